//! What this machine can encode with.

use serde::{Deserialize, Serialize};

/// What a worker found when it tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// libavcodec, as it names itself.
    pub libavcodec: String,
    /// Encoders, each of which was opened and made to encode.
    pub encoders: Vec<Encoder>,
    /// What can be decoded, by the codec's short name.
    pub decoders: Vec<String>,
    /// Hardware devices, each of which was opened.
    pub devices: Vec<Device>,
}

/// One encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoder {
    /// The codec, as ladders name it.
    pub codec: String,
    /// The encoder in libavcodec.
    pub name: String,
    /// Why it cannot be used; `None` where it can.
    pub unavailable: Option<String>,
}

/// One kind of hardware device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `vaapi`, `cuda`, `qsv`.
    pub kind: String,
    /// Why it cannot be used; `None` where it can.
    pub unavailable: Option<String>,
}

impl Capabilities {
    /// Why a codec cannot be encoded here; `None` where it can.
    #[must_use]
    pub fn lacks(&self, codec: &str) -> Option<&str> {
        match self.encoders.iter().find(|e| e.codec == codec) {
            Some(encoder) => encoder.unavailable.as_deref(),
            None => Some("not known to the worker"),
        }
    }
}
