//! Where a push goes, by its URL and key.

use std::fmt;

use percent_encoding::percent_decode_str;

const LONGEST: usize = 2_048;
const KEY: usize = 256;
/// What a handshake has room for (SRT, 3.2.1.3).
const STREAM_ID: usize = 512;
/// Bounds of SRT's own (3.2.2, `Key Material`).
const PASSPHRASE: std::ops::RangeInclusive<usize> = 10..=79;
const MOST_LATENCY_MS: u32 = 60_000;

/// Where a push goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A server of RTMP or RTMPS.
    Rtmp(rtmp::Url),
    /// One of SRT, which listens.
    Srt(SrtUrl),
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
            Some("srt") => SrtUrl::of(url, key).map(Self::Srt),
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

    /// A short name for events.
    pub(crate) const fn protocol(&self) -> &'static str {
        match self {
            Self::Rtmp(url) if url.is_secure() => "rtmps",
            Self::Rtmp(_) => "rtmp",
            Self::Srt(_) => "srt",
        }
    }
}

/// `srt://host:port?streamid=…&passphrase=…&pbkeylen=…&latency=…`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SrtUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) stream_id: Option<String>,
    pub(crate) passphrase: Option<String>,
    /// 16, 24 or 32 bytes.
    pub(crate) key_bytes: Option<u8>,
    pub(crate) latency_ms: Option<u32>,
}

/// Where it is, and nothing of what is secret.
impl fmt::Debug for SrtUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "srt://{}:{}", self.host, self.port)
    }
}

impl SrtUrl {
    fn of(text: &str, key: Option<&str>) -> Result<Self, Wrong> {
        let url = url::Url::parse(text).map_err(|e| Wrong::url(e.to_string()))?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let (Some(host), Some(port @ 1..)) = (host, url.port()) else {
            return Err(Wrong::url("not srt://host:port"));
        };
        if !matches!(url.path(), "" | "/") || !url.username().is_empty() {
            return Err(Wrong::url("SRT knows neither paths nor users"));
        }
        let mut read = Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            stream_id: None,
            passphrase: None,
            key_bytes: None,
            latency_ms: None,
        };
        let pairs = url.query().into_iter().flat_map(|query| query.split('&'));
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| Wrong::url(format!("{name} is not UTF-8")))?;
            read.set(name, &value)?;
        }
        match (key, &read.stream_id) {
            (Some(_), Some(_)) => Err(Wrong::key("the URL has a streamid already")),
            (Some(key), None) => {
                read.stream_id = Some(key.to_owned());
                Ok(read)
            }
            (None, _) => Ok(read),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let invalid = |why: &str| Err(Wrong::url(format!("{name}: {why}")));
        match name {
            "streamid" if (1..=STREAM_ID).contains(&value.len()) => {
                self.stream_id = Some(value.to_owned());
            }
            "streamid" => return invalid("1 to 512 bytes"),
            "passphrase" if PASSPHRASE.contains(&value.len()) => {
                self.passphrase = Some(value.to_owned());
            }
            "passphrase" => return invalid("10 to 79 bytes"),
            "pbkeylen" => match value.parse() {
                Ok(bytes @ (16 | 24 | 32)) => self.key_bytes = Some(bytes),
                _ => return invalid("16, 24 or 32"),
            },
            "latency" => match value.parse() {
                Ok(ms) if ms <= MOST_LATENCY_MS => self.latency_ms = Some(ms),
                _ => return invalid("0 to 60000 ms"),
            },
            // As other programs write what holds here anyway.
            "mode" if value == "caller" => {}
            "transtype" if value == "live" => {}
            _ => return invalid("not known, or not done here"),
        }
        Ok(())
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
        assert_eq!(srt.stream_id.as_deref(), Some("publish:a/b:k"));
        assert_eq!(srt.passphrase.as_deref(), Some("geheimgeheim"));
        assert_eq!((srt.key_bytes, srt.latency_ms), (Some(32), Some(200)));
        assert!(!format!("{found:?}").contains("geheim"));
        let Ok(Destination::Srt(srt)) = Destination::of("srt://h:1", Some("k3")) else {
            panic!("SRT");
        };
        assert_eq!(srt.stream_id.as_deref(), Some("k3"));
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
            ("srt://h:1/x", None, "push_url_invalid", "url"),
            ("srt://u@h:1", None, "push_url_invalid", "url"),
            ("srt://h:1?mode=listener", None, "push_url_invalid", "url"),
            (
                "srt://h:1?passphrase=short",
                None,
                "push_url_invalid",
                "url",
            ),
            ("srt://h:1?pbkeylen=17", None, "push_url_invalid", "url"),
            ("srt://h:1?latency=-1", None, "push_url_invalid", "url"),
            ("srt://h:1?streamid=", None, "push_url_invalid", "url"),
            ("srt://h:1?streamid=a", Some("k"), "key_invalid", "key"),
        ] {
            let wrong = Destination::of(url, key).unwrap_err();
            assert_eq!((wrong.code, wrong.member), (code, member), "{url}");
        }
    }
}
