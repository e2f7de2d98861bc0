//! Addresses of streams elsewhere: `rtmp(s)://[user:pass@]host[:port]/app[/instance]/stream[?query]`,
//! or without the stream, where a key is what it is called.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

const RTMP: u16 = 1935;
const RTMPS: u16 = 443;
/// Longer ones are no addresses.
const LONGEST: usize = 2048;
/// Shorter ones are in every word, and no secrets.
const SECRET: usize = 3;

/// The address of a stream on another server.
///
/// A path is cut as ffmpeg and librtmp do it: of two elements the first is the application, of
/// more the first two are (`app/instance`), and the rest is the stream's name. Where the name has
/// slashes of its own, `app//a/b` says so; one with a colon (`app/mp4:a/b`) is never cut. The query
/// goes with the stream's name, nothing is decoded. What stands before `@` is taken and not used:
/// the authentications of Adobe and Limelight are not spoken.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    /// With a query where a key is the stream's name.
    app: String,
    /// With the query, which may hold a key; or a key as a whole.
    stream: String,
    /// Nothing of the stream's name is shown.
    keyed: bool,
}

/// What is no address of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Neither `rtmp` nor `rtmps`.
    #[error("not rtmp:// or rtmps://")]
    Scheme,
    /// No host, or one with characters that hosts do not have.
    #[error("no valid host")]
    Host,
    /// A port that is none.
    #[error("no valid port")]
    Port,
    /// An application and a stream are needed.
    #[error("the path is not /app/stream")]
    Path,
    /// Spaces and the like, or thousands of characters.
    #[error("blanks, control characters or over {LONGEST} bytes")]
    Characters,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (secure, host, port, path) = split(text)?;
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(p, q)| (p, Some(q)));
        let (app, name) = split_path(path).ok_or(UrlError::Path)?;
        let stream = match query {
            Some(query) => format!("{name}?{query}"),
            None => name.to_owned(),
        };
        Ok(Self {
            secure,
            host,
            port,
            app: app.to_owned(),
            stream,
            keyed: false,
        })
    }
}

/// Whether it is secure, host, port, path with query.
fn split(text: &str) -> Result<(bool, String, u16, &str), UrlError> {
    if text.len() > LONGEST || text.chars().any(is_blank) {
        return Err(UrlError::Characters);
    }
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "rtmp" => false,
        "rtmps" => true,
        _ => return Err(UrlError::Scheme),
    };
    let (authority, path) = rest.split_once('/').ok_or(UrlError::Path)?;
    let default = if secure { RTMPS } else { RTMP };
    let (host, port) = split_authority(authority, default)?;
    Ok((secure, host, port, path))
}

fn is_blank(c: char) -> bool {
    c.is_control() || c.is_whitespace()
}

fn split_authority(authority: &str, default: u16) -> Result<(String, u16), UrlError> {
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let (host, port) = match host_port.strip_prefix('[') {
        Some(literal) => {
            let (host, port) = literal.split_once(']').ok_or(UrlError::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
            (host, port)
        }
        None => {
            let at = host_port.find(':').unwrap_or(host_port.len());
            let (host, port) = host_port.split_at(at);
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if host.is_empty() || !host.bytes().all(fits) {
                return Err(UrlError::Host);
            }
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|p| *p != 0),
        None => port.is_empty().then_some(default),
    };
    Ok((host.to_owned(), port.ok_or(UrlError::Port)?))
}

fn split_path(path: &str) -> Option<(&str, &str)> {
    let first = path.find('/')?;
    let rest = &path[first + 1..];
    let colon = rest.find(':').unwrap_or(rest.len());
    let cut = match rest.find('/') {
        Some(second) if second < colon => first + 1 + second,
        _ => first,
    };
    let (app, name) = (path[..cut].trim_end_matches('/'), &path[cut + 1..]);
    (!app.is_empty() && !name.is_empty()).then_some((app, name))
}

impl Url {
    /// The stream called `key` at a server, as encoders put the two together: the URL's whole path,
    /// with its query, is the application. Nothing of the key is ever shown.
    ///
    /// # Errors
    /// A text that is no address of an application, or a key with blanks in it.
    pub fn keyed(text: &str, key: &str) -> Result<Self, UrlError> {
        let (secure, host, port, path) = split(text)?;
        if key.is_empty() || key.len() > LONGEST || key.chars().any(is_blank) {
            return Err(UrlError::Characters);
        }
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Err(UrlError::Path);
        }
        Ok(Self {
            secure,
            host,
            port,
            app: format!("{path}{query}"),
            stream: key.to_owned(),
            keyed: true,
        })
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// A name or an IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, or the scheme's own: 1935, 443.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The application, as `connect` names it.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The stream, as `play` and `publish` name it. Its query may hold a key, or it is one.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Server and application; `connect` names them as `tcUrl`.
    pub(crate) fn application(&self) -> String {
        let default = if self.secure { RTMPS } else { RTMP };
        let scheme = if self.secure { "rtmps" } else { "rtmp" };
        let (open, close) = match self.host.contains(':') {
            true => ("[", "]"),
            false => ("", ""),
        };
        let port = match self.port == default {
            true => String::new(),
            false => format!(":{}", self.port),
        };
        let (host, app) = (&self.host, &self.app);
        format!("{scheme}://{open}{host}{close}{port}/{app}")
    }

    /// What is secret in it: values of queries, and a key.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let query = |text| str::split_once(text, '?').map(|(_, query)| query);
        let queries = [query(&self.app), query(&self.stream)];
        let pairs = queries.into_iter().flatten().flat_map(|q| q.split('&'));
        let values = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let key = self.keyed.then(|| before_query(&self.stream));
        values.chain(key).filter(|secret| secret.len() >= SECRET)
    }
}

fn before_query(text: &str) -> &str {
    text.split('?').next().unwrap_or_default()
}

/// Without queries, which may hold keys, and without a key.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.keyed {
            true => "…",
            false => before_query(&self.stream),
        };
        write!(f, "{}/{name}", before_query(&self.application()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, String, String) {
        let url: Url = text.parse().unwrap();
        (url.host, url.port, url.app, url.stream)
    }

    fn own(host: &str, port: u16, app: &str, stream: &str) -> (String, u16, String, String) {
        (host.to_owned(), port, app.to_owned(), stream.to_owned())
    }

    #[test]
    fn paths_are_cut_as_ffmpeg_does() {
        for (path, app, stream) in [
            ("live/x", "live", "x"),
            ("live/x?key=a/b", "live", "x?key=a/b"),
            ("live/inst/x", "live/inst", "x"),
            ("live/inst/x/y?k", "live/inst", "x/y?k"),
            ("live//x/y", "live", "x/y"),
            ("vod/mp4:a/b.mp4", "vod", "mp4:a/b.mp4"),
            ("vod/inst/mp4:a/b", "vod/inst", "mp4:a/b"),
        ] {
            let url = format!("rtmp://h/{path}");
            assert_eq!(parts(&url), own("h", 1935, app, stream), "{path}");
        }
    }

    #[test]
    fn authorities_are_taken_apart() {
        let found = parts("RTMPS://user:p@ss@a-1.example:8443/live/x");
        assert_eq!(found, own("a-1.example", 8443, "live", "x"));
        let found = parts("rtmps://[2001:db8::1]/live/x");
        assert_eq!(found, own("2001:db8::1", 443, "live", "x"));
        let url: Url = "rtmp://u:secret@[::1]:1936/live/x?key=secret"
            .parse()
            .unwrap();
        assert_eq!(url.application(), "rtmp://[::1]:1936/live");
        assert_eq!(format!("{url} {url:?}").matches("secret").count(), 0);
        assert_eq!(url.to_string(), "rtmp://[::1]:1936/live/x");
    }

    #[test]
    fn a_key_is_the_stream_of_an_application() {
        for (text, app) in [
            ("rtmp://h/app", "app"),
            ("rtmp://h/app/", "app"),
            ("rtmp://h/app/inst", "app/inst"),
            ("rtmp://h/a/b/c/?t=s3cret", "a/b/c?t=s3cret"),
        ] {
            let url = Url::keyed(text, "k3y?x=s3cret").unwrap();
            assert_eq!((url.app(), url.stream()), (app, "k3y?x=s3cret"), "{text}");
            let shown = format!("{url} {url:?}");
            assert!(
                !shown.contains("k3y") && !shown.contains("s3cret"),
                "{shown}"
            );
            assert!(url.secrets().any(|s| s == "k3y") && url.secrets().any(|s| s == "s3cret"));
        }
        for (text, key, error) in [
            ("rtmp://h", "k", UrlError::Path),
            ("rtmp://h/", "k", UrlError::Path),
            ("rtmp://h/?a=b", "k", UrlError::Path),
            ("rtmp://h/app", "", UrlError::Characters),
            ("rtmp://h/app", "a b", UrlError::Characters),
            ("srt://h/app", "k", UrlError::Scheme),
        ] {
            assert_eq!(Url::keyed(text, key), Err(error), "{text} {key}");
        }
    }

    #[test]
    fn what_is_no_address_is_told() {
        for (text, error) in [
            ("http://h/live/x", UrlError::Scheme),
            ("rtmp:/h/live/x", UrlError::Scheme),
            ("rtmp:///live/x", UrlError::Host),
            ("rtmp://h\u{e9}/live/x", UrlError::Host),
            ("rtmp://[::g]/live/x", UrlError::Host),
            ("rtmp://h:0/live/x", UrlError::Port),
            ("rtmp://h:99999/live/x", UrlError::Port),
            ("rtmp://[::1]1/live/x", UrlError::Port),
            ("rtmp://h", UrlError::Path),
            ("rtmp://h/live", UrlError::Path),
            ("rtmp://h/live/", UrlError::Path),
            ("rtmp://h//x", UrlError::Path),
            ("rtmp://h/live/a b", UrlError::Characters),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
    }
}
