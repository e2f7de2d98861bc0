//! Playlists as they are read (RFC 8216 and its draft successor), with nothing decided yet.

mod date;
mod media;
mod multivariant;

use std::ops::Range;
use std::sync::Arc;

use ::media::Span;
use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::Tag;
use quick_m3u8::{HlsLine, Reader};

pub(crate) use media::{Media, Segment};
pub(crate) use multivariant::Multivariant;

/// No media lasts longer than a day in one piece; a duration beyond it is a mistake.
const LONGEST: f64 = 86_400.0;

/// Either kind.
#[derive(Debug)]
pub(crate) enum Playlist {
    Multivariant(Multivariant),
    Media(Media),
}

/// Bytes somewhere, relative to the playlist that names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Resource {
    pub(crate) uri: String,
    pub(crate) range: Option<Range<u64>>,
}

/// How segments are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The whole segment, AES-128 in CBC with PKCS 7 padding.
    Aes128 { uri: String, iv: Option<[u8; 16]> },
    /// In a way that is not understood: the method or key format.
    Other(String),
}

/// An initialization section, with the key that was in force where it was named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Map {
    pub(crate) at: Resource,
    pub(crate) key: Option<Arc<Key>>,
}

/// Reads a playlist; lines that are wrong are left out.
pub(crate) fn parse(text: &str) -> Result<Playlist, &'static str> {
    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with("#EXTM3U") {
        return Err("no playlist: it does not begin with #EXTM3U");
    }
    // Dates are read by ourselves: ffmpeg writes +0000 for +00:00.
    let options = ParsingOptionsBuilder::new()
        .with_parsing_for_all_tags()
        .without_parsing_for_program_date_time()
        .without_parsing_for_daterange()
        .build();
    let mut reader = Reader::from_str(text, options);
    let mut media = media::Builder::default();
    let mut variants = multivariant::Builder::default();
    let mut multivariant = false;
    loop {
        match reader.read_line() {
            Ok(None) => break,
            Ok(Some(HlsLine::KnownTag(KnownTag::Hls(tag)))) => {
                multivariant |= matches!(tag, Tag::StreamInf(_) | Tag::Media(_));
                variants.tag(&tag);
                media.tag(&tag);
            }
            Ok(Some(HlsLine::UnknownTag(tag))) if tag.name() == "-X-PROGRAM-DATE-TIME" => {
                media.date(tag.value().and_then(|v| date::parse(v.0)));
            }
            Ok(Some(HlsLine::Uri(uri))) => {
                let uri = uri.trim();
                if !uri.is_empty() {
                    variants.uri(uri);
                    media.uri(uri);
                }
            }
            Ok(Some(_)) | Err(_) => {}
        }
    }
    if multivariant {
        return Ok(Playlist::Multivariant(variants.finish()?));
    }
    media.finish().map(Playlist::Media)
}

/// Seconds as a playlist has them.
fn seconds(value: f64) -> Option<Span> {
    #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
    (0.0..=LONGEST)
        .contains(&value)
        .then(|| Span::from_nanos((value * 1e9).round() as i64))
}

#[cfg(test)]
mod tests;
