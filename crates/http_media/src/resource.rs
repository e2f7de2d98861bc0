//! The grammar of media URLs: the last path element is the file, all before it the stream.

use packager::{Form, PartName, Skip};

/// What is behind a stream's name where its packets are asked for.
pub(crate) const MPEGTS: &str = "/mpegts";

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Multivariant,
    Manifest,
    Playlist { media: String },
    Init { media: String, hash: String },
    Segment { media: String, number: u64 },
    Part { media: String, name: PartName },
    TsMultivariant,
    TsPlaylist { media: String },
    TsSegment { media: String, number: u64 },
}

impl Resource {
    /// Splits a decoded path, without its leading slash, into stream and resource.
    pub(crate) fn parse(path: &str) -> Option<(&str, Self)> {
        let (stream, file) = path.rsplit_once('/')?;
        Some((stream, Self::of_file(file)?))
    }

    fn of_file(file: &str) -> Option<Self> {
        if file == "index.m3u8" {
            return Some(Self::Multivariant);
        }
        if file == "index.mpd" {
            return Some(Self::Manifest);
        }
        if file == "ts.m3u8" {
            return Some(Self::TsMultivariant);
        }
        let (stem, extension) = file.rsplit_once('.')?;
        if extension == "m3u8" {
            let in_ts = stem.strip_suffix(".ts");
            let media = in_ts.unwrap_or(stem).to_owned();
            return Some(match in_ts {
                Some(_) => Self::TsPlaylist { media },
                None => Self::Playlist { media },
            });
        }
        if extension == "ts" {
            let (media, rest) = stem.rsplit_once('_')?;
            let (media, number) = (media.to_owned(), number(rest)?);
            return Some(Self::TsSegment { media, number });
        }
        let (media, rest) = stem.split_once('_')?;
        let media = media.to_owned();
        match extension {
            "mp4" => {
                let hash = rest.strip_prefix("init_")?.to_owned();
                Some(Self::Init { media, hash })
            }
            "m4s" => Some(match rest.split_once('.') {
                None => Self::Segment {
                    media,
                    number: number(rest)?,
                },
                Some((segment, index)) => Self::Part {
                    media,
                    name: PartName {
                        segment: number(segment)?,
                        index: u32::try_from(number(index)?).ok()?,
                    },
                },
            }),
            _ => None,
        }
    }
}

/// Digits alone, and no other way to write the same number.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    (plain && canonical).then(|| text.parse().ok())?
}

/// Delivery directives (RFC 8216bis 6.2.5); what is not known is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Directives {
    pub(crate) form: Form,
    pub(crate) msn: Option<u64>,
    pub(crate) part: Option<u32>,
}

impl Directives {
    /// `None` where a directive makes no sense.
    pub(crate) fn parse(query: &str) -> Option<Self> {
        let mut d = Self {
            form: Form {
                low_latency: true,
                skip: Skip::No,
            },
            ..Self::default()
        };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => d.msn = Some(value.parse().ok()?),
                "_HLS_part" => d.part = Some(value.parse().ok()?),
                "_HLS_skip" if matches!(value, "YES" | "v2") => d.form.skip = Skip::Yes,
                "ll" if value == "0" => d.form.low_latency = false,
                _ => {}
            }
        }
        (d.part.is_none() || d.msn.is_some()).then_some(d)
    }
}

/// What a pair of a segment's query says of the initialisation section that a DASH client has: a
/// hash. Anything else that is called so is somebody else's.
pub(crate) fn init_of(pair: &str) -> Option<&str> {
    let hash = pair.strip_prefix("i=")?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then_some(hash)
}

impl Resource {
    /// Whether it is there for players that know MPEG-TS alone.
    pub(crate) const fn is_ts(&self) -> bool {
        matches!(
            self,
            Self::TsMultivariant | Self::TsPlaylist { .. } | Self::TsSegment { .. }
        )
    }
}

fn is_media(path: &str) -> bool {
    path.ends_with(".m4s") || path.ends_with(".mp4")
}

/// Whether a request for `path` is a DASH client's.
#[must_use]
pub fn is_dash(path: &str, query: &str) -> bool {
    path.ends_with(".mpd") || is_media(path) && query.split('&').any(|pair| init_of(pair).is_some())
}

/// Whether a pair of a request's query is the protocol's own, and differs from request to request.
#[must_use]
pub fn is_own(path: &str, pair: &str) -> bool {
    let of_hls = pair.starts_with("_HLS_") || pair == "ll=0";
    let of_ts = path.ends_with(MPEGTS) && pair.starts_with("rung=");
    of_hls
        || of_ts
        || pair == "r=1" && path.ends_with(".mpd")
        || is_media(path) && init_of(pair).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let media = || "v0".to_owned();
        for (path, stream, resource) in [
            ("news/index.m3u8", "news", Resource::Multivariant),
            ("news/index.mpd", "news", Resource::Manifest),
            ("a/b/v0.m3u8", "a/b", Resource::Playlist { media: media() }),
            (
                "a/v0_17.m4s",
                "a",
                Resource::Segment {
                    media: media(),
                    number: 17,
                },
            ),
            (
                "a/v0_17.3.m4s",
                "a",
                Resource::Part {
                    media: media(),
                    name: PartName {
                        segment: 17,
                        index: 3,
                    },
                },
            ),
            ("a/ts.m3u8", "a", Resource::TsMultivariant),
            (
                "a/v0-hi.a1.ts.m3u8",
                "a",
                Resource::TsPlaylist {
                    media: "v0-hi.a1".to_owned(),
                },
            ),
            (
                "a/v0.a1_17.ts",
                "a",
                Resource::TsSegment {
                    media: "v0.a1".to_owned(),
                    number: 17,
                },
            ),
            (
                "a/v0_init_ff.mp4",
                "a",
                Resource::Init {
                    media: media(),
                    hash: "ff".to_owned(),
                },
            ),
        ] {
            assert_eq!(Resource::parse(path), Some((stream, resource)), "{path}");
        }
        for bad in [
            "index.m3u8",
            "a/v0_017.m4s",
            "a/v0_+7.m4s",
            "a/v0_.m4s",
            "a/v0.a1_017.ts",
            "a/v0.ts",
            "a/v0",
            "a/.mp4",
        ] {
            assert_eq!(Resource::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn directives() {
        assert!(Directives::parse("_HLS_part=3").is_none());
        assert!(Directives::parse("_HLS_msn=x").is_none());
        let d = Directives::parse("foo=1&_HLS_msn=7&_HLS_part=3&_HLS_skip=YES").unwrap();
        assert_eq!((d.msn, d.part, d.form.skip), (Some(7), Some(3), Skip::Yes));
        assert!(!Directives::parse("ll=0").unwrap().form.low_latency);
    }

    #[test]
    fn what_is_the_protocols_own_is_nobodys_credential() {
        let hash = "i=0123456789abcdef";
        assert!(is_own("a/v0_1.m4s", hash) && is_dash("a/v0_1.m4s", hash));
        assert!(!is_own("a/v0_1.m4s", "i=token") && !is_dash("a/v0_1.m4s", "i=token"));
        assert!(!is_own("a/index.m3u8", hash) && !is_dash("a/index.m3u8", hash));
        assert!(is_own("a/index.mpd", "r=1") && !is_own("a/index.m3u8", "r=1"));
        assert!(is_own("a/v0.m3u8", "_HLS_msn=1") && is_own("a/index.mpd", "ll=0"));
    }
}
