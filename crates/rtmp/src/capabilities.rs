//! What the other end says it can read (Enhanced RTMP v2, `connect` and the answer to it).

use std::collections::HashMap;

use container::flv::Mux;

use crate::amf::Value;

/// `capsEx`: several tracks of a kind.
const MULTITRACK: u32 = 2;
/// `FourCcInfoMask`: the client can decode it, or pass it on.
const CAN_DECODE: u32 = 1;
const CAN_FORWARD: u32 = 4;
/// There are about ten codes.
const CODES: usize = 32;

/// What a client can read, or a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// FourCC codes; `None` where it says nothing of them, `*` among them is every one.
    codes: Option<Vec<String>>,
    multitrack: bool,
}

impl Capabilities {
    pub(crate) fn read(members: &HashMap<String, Value>) -> Self {
        let mut codes = match members.get("fourCcList") {
            Some(Value::StrictArray(list)) => Some(list.iter().filter_map(code).collect()),
            _ => None,
        };
        for map in ["videoFourCcInfoMap", "audioFourCcInfoMap"] {
            if let Some(Value::Object(map)) = members.get(map) {
                let listed: &mut Vec<String> = codes.get_or_insert_default();
                let readable = map.iter().filter(|(_, mask)| reads(mask));
                listed.extend(readable.map(|(code, _)| code.clone()));
            }
        }
        if let Some(codes) = &mut codes {
            codes.truncate(CODES);
        }
        let flags = members.get("capsEx").map_or(0, number);
        Self {
            codes,
            multitrack: flags & MULTITRACK != 0,
        }
    }

    /// From the two objects of an answer to `connect`: some servers say it in the one, some in the
    /// other.
    pub(crate) fn answered(values: [Option<&Value>; 2]) -> Self {
        let read = |value: Option<&Value>| match value {
            Some(Value::Object(members)) => Self::read(members),
            _ => Self::default(),
        };
        let [properties, information] = values.map(read);
        Self {
            codes: information.codes.or(properties.codes),
            multitrack: information.multitrack || properties.multitrack,
        }
    }

    /// Whether it said anything of FourCC codes.
    pub(crate) const fn is_enhanced(&self) -> bool {
        self.codes.is_some()
    }

    /// Whether a track is worth sending. Who says nothing gets all codecs: readers of today's
    /// enhanced tags do not announce themselves (ffmpeg, VLC), and servers could not before v2;
    /// others leave them out.
    pub(crate) fn take(&self, mux: &Mux) -> bool {
        if mux.is_multitrack() && !self.multitrack {
            return false;
        }
        let Some(codes) = self.codes.as_ref().filter(|_| mux.is_enhanced()) else {
            return true;
        };
        let fourcc = mux.fourcc();
        codes
            .iter()
            .any(|code| code == "*" || code.as_bytes() == fourcc)
    }
}

fn code(value: &Value) -> Option<String> {
    match value {
        Value::Utf8String(code) if code.len() <= 4 => Some(code.clone()),
        _ => None,
    }
}

fn reads(mask: &Value) -> bool {
    number(mask) & (CAN_DECODE | CAN_FORWARD) != 0
}

fn number(value: &Value) -> u32 {
    match value {
        // A saturating cast: what is no number is 0.
        Value::Number(n) => *n as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::codec::{AacConfig, OpaqueConfig};
    use media::{CodecConfig, TrackKind};

    use super::*;
    use crate::amf::text;

    fn aac(number: u8) -> Mux {
        let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
        Mux::new(&CodecConfig::Aac(config), number).unwrap()
    }

    fn vp9() -> Mux {
        let config = OpaqueConfig {
            kind: TrackKind::Video,
            fourcc: *b"vp09",
            data: Bytes::new(),
        };
        Mux::new(&CodecConfig::Opaque(config), 0).unwrap()
    }

    fn read(members: &[(&str, Value)]) -> Capabilities {
        let own = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
        Capabilities::read(&members.iter().map(own).collect())
    }

    #[test]
    fn who_says_nothing_gets_one_track_of_each_kind() {
        let silent = read(&[]);
        assert!(silent.take(&aac(0)) && silent.take(&vp9()) && !silent.take(&aac(1)));
    }

    #[test]
    fn who_lists_codes_gets_those_and_what_has_a_legacy_tag() {
        let list = Value::StrictArray(vec![text("av01")]);
        let listed = read(&[("fourCcList", list), ("capsEx", Value::Number(2.0))]);
        assert!(listed.take(&aac(0)) && !listed.take(&aac(1)) && !listed.take(&vp9()));
        let list = Value::StrictArray(vec![text("*")]);
        let any = read(&[("fourCcList", list), ("capsEx", Value::Number(3.0))]);
        assert!(any.take(&aac(1)) && any.take(&vp9()));
        let map = [("vp09".to_owned(), Value::Number(4.0))];
        let mapped = read(&[("videoFourCcInfoMap", Value::Object(map.into()))]);
        assert!(mapped.take(&vp9()) && mapped.is_enhanced());
    }
}
