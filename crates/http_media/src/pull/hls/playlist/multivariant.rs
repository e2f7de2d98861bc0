//! Multivariant playlists, and the rule that picks one variant.

use quick_m3u8::tag::hls::{self, EnumeratedString, MediaType, Tag};

use crate::pull::hls::Choice;

/// No server offers so many; what lies beyond is not looked at.
const MOST: usize = 1_000;

/// A multivariant playlist with at least one variant.
#[derive(Debug, Default)]
pub(crate) struct Multivariant {
    pub(crate) variants: Vec<Variant>,
    pub(crate) renditions: Vec<Rendition>,
}

/// One way to see the presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) uri: String,
    /// Bits per second.
    pub(crate) bandwidth: u64,
    /// Whether it is said to have pictures, or nothing is said.
    pub(crate) video: bool,
    pub(crate) audio: Option<String>,
}

/// An alternative sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendition {
    pub(crate) group: String,
    /// `None` where it is muxed into the variant.
    pub(crate) uri: Option<String>,
    pub(crate) name: String,
    pub(crate) language: Option<String>,
    pub(crate) default: bool,
    pub(crate) autoselect: bool,
}

impl Multivariant {
    /// The variant that the rule picks, and the sound to pull beside it. Pictures go before none.
    pub(crate) fn pick(&self, choice: Choice) -> Option<(&Variant, Option<&Rendition>)> {
        let pictures = self.variants.iter().any(|v| v.video);
        let fit = self.variants.iter().filter(|v| v.video == pictures);
        let lowest = || fit.clone().min_by_key(|v| v.bandwidth);
        // Of equals the first one: the server's own order of preference.
        let highest = |most: u64| {
            let within = fit.clone().filter(|v| v.bandwidth <= most);
            within.rev().max_by_key(|v| v.bandwidth)
        };
        let variant = match choice {
            Choice::Highest => highest(u64::MAX),
            Choice::Lowest => lowest(),
            Choice::MaxKbps(most) => highest(u64::from(most) * 1_000).or_else(lowest),
        }?;
        Some((variant, self.sound_of(variant)))
    }

    fn sound_of(&self, variant: &Variant) -> Option<&Rendition> {
        let group = variant.audio.as_deref()?;
        let members = || self.renditions.iter().filter(|r| r.group == group);
        let picked = members()
            .find(|r| r.default)
            .or_else(|| members().find(|r| r.autoselect))
            .or_else(|| members().next())?;
        picked.uri.is_some().then_some(picked)
    }
}

/// A multivariant playlist that is being read.
#[derive(Debug, Default)]
pub(super) struct Builder {
    playlist: Multivariant,
    pending: Option<Variant>,
}

impl Builder {
    pub(super) fn tag(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::StreamInf(inf) => {
                self.pending = Some(Variant {
                    uri: String::new(),
                    bandwidth: inf.bandwidth(),
                    video: inf.resolution().is_some() || shows(inf.codecs()),
                    audio: inf.audio().map(str::to_owned),
                });
            }
            Tag::Media(media) => self.rendition(media),
            _ => {}
        }
    }

    fn rendition(&mut self, media: &hls::Media<'_>) {
        if media.media_type() != EnumeratedString::Known(MediaType::Audio)
            || self.playlist.renditions.len() >= MOST
        {
            return;
        }
        self.playlist.renditions.push(Rendition {
            group: media.group_id().to_owned(),
            uri: media.uri().map(str::to_owned),
            name: media.name().to_owned(),
            language: media.language().and_then(media::language::tag),
            default: media.default(),
            autoselect: media.autoselect(),
        });
    }

    pub(super) fn uri(&mut self, uri: &str) {
        if let Some(mut variant) = self.pending.take()
            && self.playlist.variants.len() < MOST
        {
            variant.uri = uri.to_owned();
            self.playlist.variants.push(variant);
        }
    }

    pub(super) fn finish(self) -> Result<Multivariant, &'static str> {
        if self.playlist.variants.is_empty() {
            return Err("a multivariant playlist without a variant");
        }
        Ok(self.playlist)
    }
}

/// Whether a list of codecs has one for pictures. Without a list nothing speaks against it.
fn shows(codecs: Option<&str>) -> bool {
    const PICTURES: [&str; 9] = [
        "avc", "hvc", "hev", "av01", "vp08", "vp09", "dvh", "dva", "mp4v",
    ];
    codecs.is_none_or(|list| {
        let mut list = list.split(',').map(str::trim);
        list.any(|codec| PICTURES.iter().any(|p| codec.starts_with(p)))
    })
}
