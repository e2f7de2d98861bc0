//! What a caller wants, as its stream id says (libsrt's access control guidelines, and the short
//! forms).

use std::fmt;

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// To receive a stream: what is meant where nothing is said.
    #[default]
    Read,
    /// To send one.
    Publish,
    /// Something else.
    Other,
}

/// A stream id, taken apart.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The stream's name; of a player perhaps with `@` and a rendition.
    pub name: String,
    /// To send or to receive.
    pub mode: Mode,
    /// The key.
    pub key: Option<String>,
    /// The input that an encoder is for.
    pub input: Option<String>,
    /// All of it, as it was sent.
    pub text: String,
}

/// The key stays out of logs, and so does what holds it.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("mode", &self.mode)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

const STANDARD: &str = "#!::";

impl Target {
    /// Reads `#!::r=NAME,m=publish,s=KEY`,
    /// `publish:NAME:KEY`, `read:NAME`, and a bare `NAME`; the short forms may have a query:
    /// `publish:NAME?key=KEY&input=backup`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut target = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        match text.strip_prefix(STANDARD) {
            Some(pairs) => target.standard(pairs),
            None => target.short(text),
        }
        target
    }

    /// What it brings beside name and mode, as a query: for those who decide.
    #[must_use]
    pub fn query(&self) -> String {
        match self.text.strip_prefix(STANDARD) {
            Some(pairs) => pairs.replace(',', "&"),
            None => {
                let query = self.text.split_once('?').map_or("", |(_, query)| query);
                let is_there = query.split('&').any(|pair| pair.starts_with("key="));
                let key = self.key.as_deref().filter(|_| !is_there);
                match key {
                    Some(key) if query.is_empty() => format!("key={key}"),
                    Some(key) => format!("{query}&key={key}"),
                    None => query.to_owned(),
                }
            }
        }
    }

    fn standard(&mut self, pairs: &str) {
        for (name, value) in pairs.split(',').filter_map(|p| p.split_once('=')) {
            match name {
                "r" => value.trim_matches('/').clone_into(&mut self.name),
                "m" => self.mode = mode(value),
                "s" | "key" => self.key = Some(value.to_owned()),
                "input" => self.input = Some(value.to_owned()),
                _ => {}
            }
        }
    }

    fn short(&mut self, text: &str) {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let rest = match path.split_once(':') {
            Some((word, rest)) if mode(word) != Mode::Other => {
                self.mode = mode(word);
                rest
            }
            _ => path,
        };
        let (name, key) = match rest.split_once(':') {
            Some((name, key)) => (name, Some(key)),
            None => (rest, None),
        };
        name.trim_matches('/').clone_into(&mut self.name);
        self.key = key.filter(|k| !k.is_empty()).map(str::to_owned);
        for (name, value) in query.split('&').filter_map(|p| p.split_once('=')) {
            match name {
                "key" => self.key = Some(value.to_owned()),
                "input" => self.input = Some(value.to_owned()),
                "mode" | "m" => self.mode = mode(value),
                _ => {}
            }
        }
    }
}

fn mode(word: &str) -> Mode {
    match word {
        "publish" | "push" => Mode::Publish,
        "read" | "request" | "play" => Mode::Read,
        _ => Mode::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_ids_say_what_is_wanted() {
        use Mode::{Other, Publish, Read};
        for (text, name, mode, key, input) in [
            ("publish:news:k1", "news", Publish, Some("k1"), None),
            ("publish:a/b:k:1", "a/b", Publish, Some("k:1"), None),
            ("publish:news", "news", Publish, None, None),
            (
                "publish:news?key=k1&input=backup",
                "news",
                Publish,
                Some("k1"),
                Some("backup"),
            ),
            ("read:news@720p", "news@720p", Read, None, None),
            ("read:news:k2", "news", Read, Some("k2"), None),
            ("news", "news", Read, None, None),
            ("/a/b", "a/b", Read, None, None),
            (
                "#!::r=news,m=publish,s=k1",
                "news",
                Publish,
                Some("k1"),
                None,
            ),
            (
                "#!::u=me,r=a/b,input=x,m=publish,key=k",
                "a/b",
                Publish,
                Some("k"),
                Some("x"),
            ),
            ("#!::h=host,r=/news,t=stream", "news", Read, None, None),
            ("#!::m=request,r=news", "news", Read, None, None),
            ("#!::r=news,m=bidirectional", "news", Other, None, None),
            ("#!::", "", Read, None, None),
            ("", "", Read, None, None),
        ] {
            let t = Target::parse(text);
            let found = (
                t.name.as_str(),
                t.mode,
                t.key.as_deref(),
                t.input.as_deref(),
            );
            assert_eq!(found, (name, mode, key, input), "{text}");
        }
        for (text, query) in [
            ("publish:news:k1", "key=k1"),
            ("publish:news:k1?input=b", "input=b&key=k1"),
            ("publish:news:k1?monkey=2", "monkey=2&key=k1"),
            ("publish:news:k1?key=k2", "key=k2"),
            ("#!::r=news,s=k1", "r=news&s=k1"),
        ] {
            assert_eq!(Target::parse(text).query(), query, "{text}");
        }
        assert!(!format!("{:?}", Target::parse("publish:x:geheim")).contains("geheim"));
    }
}
