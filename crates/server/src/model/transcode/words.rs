//! Words that the description of the API lists.

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::preset;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $words:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let schema = json!({"type": "string", "enum": $words});
                serde_json::from_value(schema).expect("a schema")
            }
        }
    };
}

words!(
    /// What pictures are encoded with.
    VideoCodecWord,
    ["copy", "h264", "h265", "av1"]
);
words!(
    /// What sound is encoded with.
    AudioCodecWord,
    ["copy", "aac", "opus"]
);
words!(
    /// How pictures of another aspect ratio become those of the rung.
    FitWord,
    ["fit", "pad", "crop", "stretch"]
);
words!(
    /// What becomes of interlaced pictures.
    DeinterlaceWord,
    ["auto", "never", "always"]
);
words!(
    /// A ladder by its name.
    PresetName,
    preset::names()
);

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    fn all_are<T: DeserializeOwned, S: PartialSchema>() {
        let schema = json!(S::schema());
        let words = schema["enum"].as_array().unwrap().clone();
        assert!(!words.is_empty());
        for word in words {
            assert!(serde_json::from_value::<T>(word.clone()).is_ok(), "{word}");
        }
    }

    #[test]
    fn the_words_are_those_of_the_ladder() {
        all_are::<ladder::VideoCodec, VideoCodecWord>();
        all_are::<ladder::AudioCodec, AudioCodecWord>();
        all_are::<ladder::Fit, FitWord>();
        all_are::<ladder::Deinterlace, DeinterlaceWord>();
        all_are::<Value, PresetName>();
    }
}
