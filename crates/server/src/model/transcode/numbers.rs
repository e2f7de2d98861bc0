//! Members that are a word or a number.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// Sound tracks of one source.
const TRACKS: u64 = ladder::Output::MOST_SLOTS as u64;
/// A language and all that may follow it.
const LANGUAGE: usize = 35;

/// How many pictures a second: the source's, half of them, or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fps {
    Source,
    Half,
    Number(Number),
}

/// Sound tracks of the source: all of them, one by its number, or those of a language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracks(pub(super) ladder::From);

impl Fps {
    /// `None` for a number that is no rate.
    pub(super) fn rate(&self) -> Option<ladder::Rate> {
        Some(match self {
            Self::Source => ladder::Rate::Source,
            Self::Half => ladder::Rate::Half,
            Self::Number(number) => ladder::Rate::Fixed(ladder::FrameRate::of(number.as_f64()?)?),
        })
    }
}

impl Serialize for Fps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Source => serializer.serialize_str("source"),
            Self::Half => serializer.serialize_str("half"),
            Self::Number(number) => number.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Fps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => Ok(Self::Number(number)),
            Value::String(word) if word == "source" => Ok(Self::Source),
            Value::String(word) if word == "half" => Ok(Self::Half),
            _ => Err(D::Error::custom("\"source\", \"half\" or a number")),
        }
    }
}

impl Serialize for Tracks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            ladder::From::All => serializer.serialize_str("*"),
            ladder::From::Track(number) => serializer.serialize_u16(*number),
            ladder::From::Language(language) => serializer.serialize_str(language),
        }
    }
}

impl<'de> Deserialize<'de> for Tracks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let why = "\"*\", the number of a track, 0..=15, or a language";
        tracks(&value)
            .map(Self)
            .ok_or_else(|| D::Error::custom(why))
    }
}

fn tracks(value: &Value) -> Option<ladder::From> {
    let number = value.as_u64().filter(|number| *number < TRACKS);
    if let Some(number) = number {
        return u16::try_from(number).ok().map(ladder::From::Track);
    }
    match value.as_str()? {
        "*" => Some(ladder::From::All),
        language if is_language(language) => Some(ladder::From::Language(language.to_owned())),
        _ => None,
    }
}

/// Well-formed as far as it matters here (RFC 5646 2.1).
fn is_language(text: &str) -> bool {
    let mut subtags = text.split('-');
    let first = subtags.next().unwrap_or_default();
    let word = |subtag: &str, least| {
        (least..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let letters = first.bytes().all(|b| b.is_ascii_alphabetic());
    text.len() <= LANGUAGE && letters && word(first, 2) && subtags.all(|subtag| word(subtag, 1))
}

impl ToSchema for Fps {}
impl ToSchema for Tracks {}

impl PartialSchema for Fps {
    fn schema() -> RefOr<Schema> {
        either(
            "How many pictures a second: the source's, half of them, or at most so many.",
            &json!({"type": "string", "enum": ["source", "half"]}),
            &json!({"type": "number", "minimum": 1, "maximum": 240}),
        )
    }
}

impl PartialSchema for Tracks {
    fn schema() -> RefOr<Schema> {
        let pattern = "^(\\*|[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)$";
        either(
            "Sound tracks of the source: all of them (`*`), those of a language (BCP 47), or one by its number.",
            &json!({"type": "string", "maxLength": LANGUAGE, "pattern": pattern}),
            &json!({"type": "integer", "minimum": 0, "maximum": TRACKS - 1}),
        )
    }
}

fn either(description: &str, text: &Value, number: &Value) -> RefOr<Schema> {
    let schema = json!({"description": description, "oneOf": [text, number]});
    serde_json::from_value(schema).expect("a schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_shown_again() {
        for text in ["\"source\"", "\"half\"", "25", "29.97", "12.5"] {
            let fps: Fps = serde_json::from_str(text).unwrap();
            assert_eq!(json!(fps).to_string(), text);
        }
        for text in ["\"*\"", "0", "15", "\"pt-BR\"", "\"deu\""] {
            let tracks: Tracks = serde_json::from_str(text).unwrap();
            assert_eq!(json!(tracks).to_string(), text);
        }
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["\"auto\"", "\"25\"", "null", "[25]"] {
            assert!(serde_json::from_str::<Fps>(text).is_err(), "{text}");
        }
        for text in [
            "16",
            "-1",
            "1.5",
            "\"\"",
            "\"1\"",
            "\"e\"",
            "\"en-\"",
            "\"en_US\"",
            "\"englishes\"",
        ] {
            assert!(serde_json::from_str::<Tracks>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_rates() {
        let rate = |number: f64| Fps::Number(Number::from_f64(number).unwrap()).rate();
        let ntsc = ladder::FrameRate::new(30_000, 1_001).unwrap();
        assert_eq!(rate(29.97), Some(ladder::Rate::Fixed(ntsc)));
        assert_eq!(rate(1e9), None);
    }
}
