//! Where a push goes, by its URL and key.

const LONGEST: usize = 2_048;
const KEY: usize = 256;

/// Where a push goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A server of RTMP or RTMPS.
    Rtmp(rtmp::Url),
    /// One of SRT, which listens.
    Srt(srt::Url),
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    /// `url` or `key`.
    pub(crate) member: &'static str,
    pub(crate) why: String,
}

impl Wrong {
    fn url(why: impl Into<String>) -> Self {
        Self {
            code: "push_url_invalid",
            member: "url",
            why: why.into(),
        }
    }

    fn key(why: &str) -> Self {
        Self {
            code: "key_invalid",
            member: "key",
            why: why.to_owned(),
        }
    }
}

impl Destination {
    pub(crate) fn of(url: &str, key: Option<&str>) -> Result<Self, Wrong> {
        if url.chars().count() > LONGEST {
            return Err(Wrong::url(format!("at most {LONGEST} characters")));
        }
        let blank = |c: char| c.is_control() || c.is_whitespace();
        if key.is_some_and(|k| k.is_empty() || k.chars().count() > KEY || k.contains(blank)) {
            return Err(Wrong::key("1 to 256 characters, no blanks"));
        }
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("rtmp" | "rtmps") => Self::rtmp(url, key),
            Some("srt") => Self::srt(url, key),
            _ => Err(Wrong {
                code: "push_scheme_unsupported",
                ..Wrong::url("rtmp://, rtmps:// or srt://")
            }),
        }
    }

    fn rtmp(url: &str, key: Option<&str>) -> Result<Self, Wrong> {
        let read = match key {
            Some(key) => rtmp::Url::keyed(url, key),
            None => url.parse(),
        };
        let why = |e: rtmp::UrlError| match (e, key) {
            (rtmp::UrlError::Path, Some(_)) => Wrong::url("the path is not /app"),
            (rtmp::UrlError::Path, None) => {
                Wrong::url("the path is not /app/stream, and there is no key")
            }
            (e, _) => Wrong::url(e.to_string()),
        };
        read.map(Self::Rtmp).map_err(why)
    }

    fn srt(url: &str, key: Option<&str>) -> Result<Self, Wrong> {
        let read = url.parse::<srt::Url>();
        let mut read = read.map_err(|e| Wrong::url(e.to_string()))?;
        match key {
            Some(_) if !read.stream_id.is_empty() => {
                return Err(Wrong::key("the URL has a streamid already"));
            }
            Some(key) => key.clone_into(&mut read.stream_id),
            None => {}
        }
        Ok(Self::Srt(read))
    }

    /// A short name for events.
    pub(crate) const fn protocol(&self) -> &'static str {
        match self {
            Self::Rtmp(url) if url.is_secure() => "rtmps",
            Self::Rtmp(_) => "rtmp",
            Self::Srt(_) => "srt",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_a_key_say_where() {
        let Ok(Destination::Rtmp(url)) = Destination::of("rtmps://h/app", Some("k3")) else {
            panic!("RTMP");
        };
        assert_eq!((url.app(), url.stream(), url.port()), ("app", "k3", 443));
        let srt = "srt://[::1]:9000?streamid=publish:a%2Fb:k&passphrase=geheimgeheim&pbkeylen=32&latency=200&mode=caller";
        let found = Destination::of(srt, None).unwrap();
        let Destination::Srt(srt) = &found else {
            panic!("SRT");
        };
        assert_eq!((srt.host.as_str(), srt.port), ("::1", 9000));
        assert_eq!(srt.stream_id, "publish:a/b:k");
        assert!(!format!("{found:?}").contains("geheim"));
        let Ok(Destination::Srt(srt)) = Destination::of("srt://h:1", Some("k3")) else {
            panic!("SRT");
        };
        assert_eq!(srt.stream_id, "k3");
    }

    #[test]
    fn what_leads_nowhere_is_told() {
        for (url, key, code, member) in [
            ("http://h/app", None, "push_scheme_unsupported", "url"),
            ("rtmp://h/app", None, "push_url_invalid", "url"),
            ("rtmp://h", Some("k"), "push_url_invalid", "url"),
            ("rtmp://h/app", Some("a b"), "key_invalid", "key"),
            ("rtmp://h/app", Some(""), "key_invalid", "key"),
            ("srt://h", None, "push_url_invalid", "url"),
            ("srt://h:0", None, "push_url_invalid", "url"),
            ("srt://h:1?mode=listener", None, "push_url_invalid", "url"),
            (
                "srt://h:1?passphrase=short",
                None,
                "push_url_invalid",
                "url",
            ),
            ("srt://h:1?pbkeylen=17", None, "push_url_invalid", "url"),
            ("srt://h:1?latency=-1", None, "push_url_invalid", "url"),
            ("srt://h:1?streamid=a", Some("k"), "key_invalid", "key"),
        ] {
            let wrong = Destination::of(url, key).unwrap_err();
            assert_eq!((wrong.code, wrong.member), (code, member), "{url}");
        }
    }
}
