//! What a server says when it does not want.

use std::collections::HashMap;

use crate::amf::Value;
use crate::error::ErrorKind;
use crate::target::percent_decode;
use crate::url::Url;

/// Servers have a sentence to say.
const LENGTH: usize = 256;

/// A status (RTMP 1.0, 7.2.2): what an answer is about.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) level: String,
    pub(crate) code: String,
    description: String,
    redirect: Option<String>,
}

impl Status {
    pub(crate) fn read(value: Option<Value>) -> Self {
        let Some(Value::Object(mut members)) = value else {
            return Self::default();
        };
        let redirect = match members.get("ex") {
            Some(Value::Object(ex)) if ex.contains_key("redirect") => Some(text(ex, "redirect")),
            _ => None,
        };
        members.retain(|_, value| matches!(value, Value::Utf8String(_)));
        Self {
            level: text(&members, "level"),
            code: text(&members, "code"),
            description: text(&members, "description"),
            redirect,
        }
    }

    pub(crate) fn is_refusal(&self) -> bool {
        let refusals = [
            "NetConnection.Connect.Rejected",
            "NetStream.Play.StreamNotFound",
            "NetStream.Play.Failed",
            "NetStream.Publish.BadName",
            "NetStream.Publish.Denied",
            "NetStream.Publish.Rejected",
            "NetStream.Publish.Unauthorized",
        ];
        self.level == "error" || refusals.contains(&self.code.as_str())
    }

    /// The refusal of `url`, with nothing of what is secret in it.
    pub(crate) fn refuse(self, url: &Url) -> ErrorKind {
        let description = if let Some(redirect) = &self.redirect {
            let place = redirect.parse::<Url>();
            let place = place.map_or_else(|_| "elsewhere".to_owned(), |to| to.host().to_owned());
            format!("redirects to {place}, which is not followed")
        } else if self.description.contains("authmod=") {
            "asks for a user and a password, which is not supported".to_owned()
        } else {
            self.description
        };
        let code = match self.code.as_str() {
            "" => "no code".to_owned(),
            code => clean(code, url),
        };
        ErrorKind::Refused {
            code,
            description: clean(&description, url),
        }
    }
}

fn text(members: &HashMap<String, Value>, name: &str) -> String {
    match members.get(name) {
        Some(Value::Utf8String(text)) => text.clone(),
        _ => String::new(),
    }
}

/// A peer's words, fit for a log. One that repeats what we said of a key says nothing.
fn clean(words: &str, url: &Url) -> String {
    let mut secrets = url.secrets();
    if secrets.any(|secret| words.contains(secret) || words.contains(&percent_decode(secret))) {
        return "…".to_owned();
    }
    let plain = words.chars().filter(|c| !c.is_control());
    plain.take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::{object, text};

    fn refuse(members: &[(&str, Value)]) -> String {
        let url = "rtmp://h/live/x?key=pass%20word&token=t0k".parse().unwrap();
        let members = members.iter().map(|(name, value)| (*name, value.clone()));
        Status::read(Some(object(members))).refuse(&url).to_string()
    }

    #[test]
    fn refusals_are_told_without_secrets() {
        let code = ("code", text("NetStream.Play.Failed"));
        let say = |words: &str| refuse(&[code.clone(), ("description", text(words))]);
        assert_eq!(say("no\r\nkey"), "refused: NetStream.Play.Failed: nokey");
        for told in ["no x?key=pass%20word", "pass word is wrong", "t0k"] {
            assert_eq!(say(told), "refused: NetStream.Play.Failed: …");
        }
        let need = say("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
        assert!(need.contains("not supported"), "{need}");
        assert!(say(&"long".repeat(1000)).len() < 300);
        assert_eq!(refuse(&[]), "refused: no code: ");
    }

    #[test]
    fn a_redirect_names_the_host() {
        let to = |to: &str| object([("code", Value::Number(302.0)), ("redirect", text(to))]);
        let code = ("code", text("NetConnection.Connect.Rejected"));
        let told = refuse(&[code.clone(), ("ex", to("rtmp://other:1936/live/x?key=s"))]);
        assert!(
            told.ends_with("redirects to other, which is not followed"),
            "{told}"
        );
        let told = refuse(&[code, ("ex", to("nonsense\n"))]);
        assert!(
            told.ends_with("redirects to elsewhere, which is not followed"),
            "{told}"
        );
    }
}
