//! What a client wants to publish or play: the stream's name, its key, its options.

use std::fmt;

/// A request's address, taken apart.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The application: the first part of the path.
    pub app: String,
    /// The stream's name: what follows the application.
    pub name: String,
    /// `key` of the query.
    pub key: Option<String>,
    /// `input` of the query.
    pub input: Option<String>,
    /// The whole query, as it was sent.
    pub query: String,
}

/// The key and the query stay out of logs.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("app", &self.app)
            .field("name", &self.name)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// From `connect`'s `app` and the stream name of `publish` or `play`. Clients cut a path at
    /// different slashes, and put a query behind either part.
    #[must_use]
    pub fn new(app: &str, stream: &str) -> Self {
        let (app_path, app_query) = app.split_once('?').unwrap_or((app, ""));
        let (stream_path, stream_query) = stream.split_once('?').unwrap_or((stream, ""));
        let path = format!("{app_path}/{stream_path}");
        let mut parts = path.split('/').filter(|p| !p.is_empty());
        let app = parts.next().unwrap_or_default().to_owned();
        let name: Vec<&str> = parts.collect();
        let mut target = Self {
            app,
            name: percent_decode(&name.join("/")),
            ..Self::default()
        };
        target.take_query(app_query);
        target.take_query(stream_query);
        target
    }

    fn take_query(&mut self, query: &str) {
        if !self.query.is_empty() && !query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(query);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "key" => self.key = Some(percent_decode(value)),
                "input" => self.input = Some(percent_decode(value)),
                _ => {}
            }
        }
    }
}

/// What is no valid escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|h| std::str::from_utf8(h).ok());
        match escaped.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_anywhere() {
        for (app, stream) in [
            ("live", "a/b?key=k%201&input=main"),
            ("live/a", "b?key=k%201&input=main"),
            ("live/", "/a/b?input=main&key=k 1"),
            ("live?key=k%201&input=main", "a/b"),
        ] {
            let t = Target::new(app, stream);
            assert_eq!(
                (t.app.as_str(), t.name.as_str()),
                ("live", "a/b"),
                "{app} {stream}"
            );
            assert_eq!(
                (t.key.as_deref(), t.input.as_deref()),
                (Some("k 1"), Some("main"))
            );
        }
        assert_eq!(Target::new("live?a=1", "x?b=2").query, "a=1&b=2");
        assert_eq!(Target::new("live", "x?key=%zz").key.as_deref(), Some("%zz"));
        assert!(!format!("{:?}", Target::new("live", "x?key=geheim")).contains("geheim"));
    }
}
