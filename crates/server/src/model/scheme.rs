//! Where an input's media comes from, by its URL.

use super::check::check_name;

/// How an input's media comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// An encoder pushes it.
    Publish,
    /// A server of RTMP or RTMPS.
    Rtmp,
    /// A server of SRT.
    Srt,
    /// Playlists over HTTP.
    Hls,
    /// MPEG-TS in one body over HTTP.
    Ts,
    /// A file of ours.
    File,
    /// The programme of the stream of this name.
    Stream(String),
}

impl Scheme {
    /// `None` for what is no URL of these.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        match scheme {
            "publish" => rest.is_empty().then_some(Self::Publish),
            "rtmp" | "rtmps" => url.parse::<rtmp::Url>().is_ok().then_some(Self::Rtmp),
            "srt" => url.parse::<srt::Url>().is_ok().then_some(Self::Srt),
            "http" | "https" => Self::over_http(url),
            "file" => (!rest.is_empty()).then_some(Self::File),
            "stream" => check_name(rest)
                .ok()
                .map(|()| Self::Stream(rest.to_owned())),
            _ => None,
        }
    }

    /// What is wrong with a URL of a scheme that we speak ourselves.
    pub(crate) fn fault(url: &str) -> Option<String> {
        match url.split_once("://")?.0 {
            "rtmp" | "rtmps" => Some(url.parse::<rtmp::Url>().err()?.to_string()),
            "srt" => Some(url.parse::<srt::Url>().err()?.to_string()),
            _ => None,
        }
    }

    fn over_http(url: &str) -> Option<Self> {
        let url = url::Url::parse(url).ok().filter(url::Url::has_host)?;
        let path = url.path().to_ascii_lowercase();
        let ends = |of: &[&str]| of.iter().any(|end| path.ends_with(end));
        if ends(&[".m3u8", ".m3u"]) {
            return Some(Self::Hls);
        }
        ends(&[".ts", ".mpegts", "/mpegts"]).then_some(Self::Ts)
    }
}

/// The URL without what is secret in it: the password, or a user's name that is all there is, and
/// the query, where keys are.
pub(super) fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return before_query(url);
    };
    // A password may hold a question mark, so it is looked for first.
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let Some((user, _)) = authority.rsplit_once('@') else {
        return before_query(url);
    };
    let name = match user.split_once(':') {
        Some((name, _)) => format!("{name}:***"),
        None => "***".to_owned(),
    };
    let behind = before_query(&rest[user.len()..]);
    format!("{scheme}://{name}{behind}")
}

/// The URL of a webhook without what is secret in it: all but where it is. A file of ours has no
/// secrets in its name.
pub(super) fn redacted_path(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|(s, _)| *s != "file") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if host == authority && matches!(path, "" | "/") {
        return url.to_owned();
    }
    format!("{scheme}://{host}/***")
}

fn before_query(text: &str) -> String {
    match text.split_once('?') {
        Some((front, _)) => format!("{front}?***"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_not_one_says_why() {
        let fault = |url| Scheme::fault(url).unwrap_or_default();
        assert_eq!(
            fault("srt://h:1?passphrase=short"),
            "a passphrase has 10 to 79 bytes"
        );
        assert!(!fault("rtmp://host").is_empty());
        assert_eq!(fault("udp://host:1"), "");
    }

    #[test]
    fn a_url_says_how_it_comes() {
        for (url, scheme) in [
            ("publish://", Some(Scheme::Publish)),
            ("publish://x", None),
            ("rtmps://host/live/x?key=1", Some(Scheme::Rtmp)),
            ("rtmp://host", None),
            ("https://host/a/index.M3U8?x=.ts", Some(Scheme::Hls)),
            ("http://host/live.ts", Some(Scheme::Ts)),
            ("http://host/live.mp4", None),
            ("file://a/b.mp4", Some(Scheme::File)),
            ("file://", None),
            ("stream://a/b", Some(Scheme::Stream("a/b".to_owned()))),
            ("stream://a//b", None),
            ("srt://host:1?streamid=read:x", Some(Scheme::Srt)),
            ("srt://host", None),
            ("udp://host:1", None),
        ] {
            assert_eq!(Scheme::of(url), scheme, "{url}");
        }
    }

    #[test]
    fn the_path_of_a_webhook_is_secret() {
        for (url, shown) in [
            (
                "https://hooks.example/services/T/B/x",
                "https://hooks.example/***",
            ),
            ("https://u:p@h:8443/", "https://h:8443/***"),
            ("https://h?t=1", "https://h/***"),
            ("https://h/", "https://h/"),
            ("https://h", "https://h"),
            ("file://a/b.jsonl", "file://a/b.jsonl"),
        ] {
            assert_eq!(redacted_path(url), shown);
        }
    }

    #[test]
    fn secrets_do_not_show() {
        for (url, shown) in [
            ("http://u:p@h/x?token=1", "http://u:***@h/x?***"),
            ("http://token@h/x", "http://***@h/x"),
            ("rtmp://u:p?q@h/x?key=1", "rtmp://u:***@h/x?***"),
            ("rtmp://h/a@b/c", "rtmp://h/a@b/c"),
            ("publish://", "publish://"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
