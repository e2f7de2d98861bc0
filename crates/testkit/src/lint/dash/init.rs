//! Rules about initialisation sections.

use bytes::Bytes;
use container::fmp4::Demux;
use container::ingest::Item;
use media::{CodecConfig, TrackKind};

use super::mpd::{Representation, Set};
use crate::lint::Rule;
use crate::lint::bodies::Init;
use crate::lint::ledger::Bench;

pub(super) fn check(b: &mut Bench<'_>, bytes: &Bytes, set: &Set, one: &Representation) {
    let timescale = Init::read(bytes).map(|i| i.timescale);
    let told = one.template.timescale;
    b.check(Rule::Codecs, timescale == Some(told), || {
        format!("{}: timescale {told}, {timescale:?} in mdhd", one.id)
    });
    let Some(config) = config(bytes) else {
        return b.check(Rule::Codecs, false, || {
            format!("{}: no sample entry", one.id)
        });
    };
    let codecs = config.rfc6381();
    b.check(
        Rule::Codecs,
        codecs.as_ref().is_none_or(|c| *c == one.codecs),
        || format!("{}: codecs {}, it is {codecs:?}", one.id, one.codecs),
    );
    let kind = match config.kind() {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
        _ => &set.kind,
    };
    let same = set.kind == kind && set.mime == format!("{kind}/mp4");
    b.check(Rule::Codecs, same, || {
        format!("{}: {} {} of {kind}", one.id, set.kind, set.mime)
    });
    if let Some(info) = config.video() {
        let size = Some((info.width, info.height));
        b.check(Rule::Codecs, one.size == size, || {
            format!("{}: size {:?}, it is {size:?}", one.id, one.size)
        });
    }
    if let Some(info) = config.audio() {
        let rate = Some(info.sample_rate);
        b.check(Rule::Codecs, one.rate == rate, || {
            format!(
                "{}: audioSamplingRate {:?}, it is {rate:?}",
                one.id, one.rate
            )
        });
    }
}

fn config(bytes: &Bytes) -> Option<CodecConfig> {
    let mut items = Vec::new();
    Demux::default().push(bytes.clone(), &mut items).ok()?;
    items.into_iter().find_map(|item| match item {
        Item::Track(track) => Some(track.config),
        _ => None,
    })
}
