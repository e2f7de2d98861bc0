//! Writes the MPD.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dash_mpd_core as xml;
use media::{Role, Span, Timestamp, TrackKind};

use super::{Dash, Period, Representation, View};

const CLASSIC_PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
const LOW_LATENCY_PROFILE: &str = "http://www.dashif.org/guidelines/low-latency-live-v5";
const LOW_LATENCY_SET: &str = "urn:dvb:dash:lowlatency:critical:2019";
const CLOCK: &str = "urn:mpeg:dash:utc:http-iso:2014";
const ROLE: &str = "urn:mpeg:dash:role:2011";
const CHANNELS: &str = "urn:mpeg:mpegB:cicp:ChannelConfiguration";

/// A client that is further behind seeks, even into a hole, and stays there: none is.
const NO_LATENCY_TOO_MUCH: f64 = 3_600_000.0;
/// What a client may be ahead of its target is a share of that.
const LEAST: f64 = 0.72;
const FASTEST: f64 = 1.04;
/// Shaka adds what it takes until the newest chunk is there.
const AHEAD: Span = Span::from_millis(200);
/// What sound may be late where another encoder's begins.
const SEAM: Span = Span::from_millis(50);
/// ffmpeg takes this for a number of segments to stay behind.
const BUFFER: Duration = Duration::from_secs(2);
const REFRESH: Duration = Duration::from_secs(1);

impl Dash {
    /// The MPD that shows `view`, written at UTC `now`. `time` is where our clock is asked for,
    /// relative to the MPD.
    #[must_use]
    pub fn mpd(&self, view: View, now: Timestamp, time: &str) -> String {
        let latency = self.latency.filter(|_| view.low_latency);
        let low_latency = latency.is_some();
        let shown = &self.periods[..view.periods.min(self.periods.len())];
        let clock = xml::UTCTiming {
            schemeIdUri: CLOCK.to_owned(),
            value: Some(time.to_owned()),
            ..Default::default()
        };
        let longest = shown.iter().map(|p| p.d).max().unwrap_or_default();
        let profiles = match low_latency {
            true => format!("{CLASSIC_PROFILE},{LOW_LATENCY_PROFILE}"),
            false => CLASSIC_PROFILE.to_owned(),
        };
        let late = shown.last().map_or(Span::ZERO, |p| p.late);
        let early = latency.map_or(Span::ZERO, |l| (AHEAD + late).min(l));
        let query = if low_latency { "r=1" } else { "ll=0&r=1" };
        let periods = shown.iter().enumerate().map(|(i, p)| {
            let next = shown.get(i + 1).map(|next| next.number);
            Writer {
                period: p,
                end: next,
                latency,
                clock: &clock,
            }
            .period()
        });
        let mpd = xml::MPD {
            xmlns: Some("urn:mpeg:dash:schema:mpd:2011".to_owned()),
            mpdtype: Some("dynamic".to_owned()),
            profiles: Some(profiles),
            availabilityStartTime: Some(DateTime::UNIX_EPOCH),
            publishTime: Some(date(now)),
            mediaPresentationDuration: self.ended.map(since_epoch),
            minimumUpdatePeriod: self.ended.is_none().then_some(REFRESH),
            minBufferTime: Some(BUFFER),
            timeShiftBufferDepth: Some(Span::from_secs(view.depth_s).to_duration()),
            maxSegmentDuration: Some(longest.to_duration()),
            suggestedPresentationDelay: latency.map(|l| (l - early).to_duration()),
            locations: vec![xml::Location {
                url: format!("index.mpd?{query}"),
            }],
            ServiceDescription: latency.map(service).into_iter().collect(),
            periods: periods.collect(),
            UTCTiming: vec![clock.clone()],
            ..Default::default()
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", mpd)
    }
}

fn service(latency: Span) -> xml::ServiceDescription {
    let target = milliseconds(latency);
    xml::ServiceDescription {
        id: Some("0".to_owned()),
        Latency: vec![xml::Latency {
            target: Some(target),
            min: Some((target * LEAST).round()),
            max: Some(NO_LATENCY_TOO_MUCH),
            referenceId: Some("0".to_owned()),
        }],
        PlaybackRate: vec![xml::PlaybackRate {
            // Shaka slows down below its target, which lies where it began.
            min: Some(1.0),
            max: Some(FASTEST),
        }],
        ..Default::default()
    }
}

/// What the parts of one Period are written with.
struct Writer<'a> {
    period: &'a Period,
    end: Option<u64>,
    latency: Option<Span>,
    clock: &'a xml::UTCTiming,
}

impl Writer<'_> {
    fn period(&self) -> xml::Period {
        let mut groups: Vec<Vec<&Representation>> = Vec::new();
        for track in &self.period.tracks {
            match groups.iter_mut().find(|g| is_one_set(g[0], track)) {
                Some(group) => group.push(track),
                None => groups.push(vec![track]),
            }
        }
        let adaptations = (1..).zip(&groups).map(|(id, group)| self.set(group, id));
        xml::Period {
            id: Some(format!("p{}", self.period.number)),
            start: Some(since_epoch(self.period.start)),
            adaptations: adaptations.collect(),
            ..Default::default()
        }
    }

    fn set(&self, group: &[&Representation], id: u64) -> xml::AdaptationSet {
        let track = &group[0].track;
        let video = group.iter().filter_map(|r| r.track.config.video());
        let fastest = group.iter().filter_map(|r| r.frame_rate);
        let fastest = fastest.max_by(|a, b| rate(*a).total_cmp(&rate(*b)));
        let known = |size: Option<u32>| size.filter(|size| *size > 0).map(u64::from);
        let widest = known(video.clone().map(|v| v.width).max());
        let highest = known(video.map(|v| v.height).max());
        let property = self.latency.map(|_| xml::SupplementalProperty {
            schemeIdUri: LOW_LATENCY_SET.to_owned(),
            value: Some("true".to_owned()),
            ..Default::default()
        });
        let produced = self.latency.map(|_| self.produced(group[0], id - 1));
        let label = track.label.as_ref().map(|label| xml::Label {
            content: label.chars().filter(is_character).collect(),
            ..Default::default()
        });
        let dense = self.period.regular || track.kind != TrackKind::Video;
        let representations = group.iter().enumerate();
        xml::AdaptationSet {
            id: Some(id.to_string()),
            contentType: Some(track.kind.name().to_owned()),
            mimeType: Some(format!("{}/mp4", track.kind.name())),
            lang: track.language.clone(),
            segmentAlignment: Some(true),
            startWithSAP: dense.then_some(1),
            maxWidth: widest,
            maxHeight: highest,
            maxFrameRate: fastest.map(fraction),
            supplemental_property: property.into_iter().collect(),
            ProducerReferenceTime: produced.into_iter().collect(),
            Role: vec![role(track.role)],
            Label: label.into_iter().collect(),
            representations: representations
                .map(|(i, r)| self.representation(r, i + 1))
                .collect(),
            ..Default::default()
        }
    }

    /// Programme time is wall-clock time: the one is told by the other.
    fn produced(&self, of: &Representation, id: u64) -> xml::ProducerReferenceTime {
        let start = self.period.start.to_ticks(of.timescale);
        xml::ProducerReferenceTime {
            id: Some(id.to_string()),
            prtType: Some("encoder".to_owned()),
            inband: Some(true),
            wallClockTime: Some(date(self.period.start)),
            presentationTime: Some(offset(start)),
            UTCTiming: Some(self.clock.clone()),
        }
    }

    fn representation(&self, r: &Representation, place: usize) -> xml::Representation {
        let (video, audio) = (r.track.config.video(), r.track.config.audio());
        let size = video.filter(|v| v.width > 0);
        // Each chunk of sound, each segment of pictures, which a seam of the source may stretch.
        let (kind, distance) = match video {
            Some(_) => (
                "2",
                self.period.d + Span::from_nanos(self.period.d.as_nanos() / 8),
            ),
            None => ("1", r.chunk + SEAM),
        };
        let told = video.is_none() || self.period.regular;
        let dense = |latency: &Span| told && distance <= *latency;
        let resync = self.latency.filter(dense).map(|_| xml::Resync {
            rtype: Some(kind.to_owned()),
            dT: u64::try_from(r.ticks(distance)).ok(),
            marker: Some(true),
            ..Default::default()
        });
        let layout = audio.and_then(|a| layout(a.channels));
        let channels = layout.map(|layout| xml::AudioChannelConfiguration {
            schemeIdUri: CHANNELS.to_owned(),
            value: Some(layout.to_string()),
            ..Default::default()
        });
        xml::Representation {
            id: Some(r.id.to_string()),
            bandwidth: Some(r.bandwidth),
            codecs: r.track.config.rfc6381(),
            width: size.map(|v| u64::from(v.width)),
            height: size.map(|v| u64::from(v.height)),
            frameRate: r.frame_rate.map(fraction),
            audioSamplingRate: audio.map(|a| a.sample_rate.to_string()),
            qualityRanking: video.and_then(|_| u8::try_from(place).ok()),
            AudioChannelConfiguration: channels.into_iter().collect(),
            Resync: resync.into_iter().collect(),
            SegmentTemplate: Some(self.template(r)),
            ..Default::default()
        }
    }

    fn template(&self, r: &Representation) -> xml::SegmentTemplate {
        let start = self.period.start.to_ticks(r.timescale);
        let (id, hash) = (&r.id, &r.init.hash);
        let early = self.period.d - r.chunk - self.period.late;
        let early = milliseconds(early.max(Span::ZERO)) / 1_000.0;
        xml::SegmentTemplate {
            timescale: Some(u64::from(r.timescale)),
            duration: Some(ticks(r.ticks(self.period.d))),
            startNumber: Some(self.period.number),
            endNumber: self.end.map(|next| next.saturating_sub(1)),
            presentationTimeOffset: Some(offset(start)),
            availabilityTimeOffset: self.latency.map(|_| early),
            availabilityTimeComplete: self.latency.map(|_| false),
            initialization: Some(format!("{id}_init_{hash}.mp4?i={hash}")),
            media: Some(format!("{id}_$Number$.m4s?i={hash}")),
            ..Default::default()
        }
    }
}

/// ffmpeg takes an epoch of 1970 for none where there is no offset, and counts wrong.
fn offset(start: i64) -> u64 {
    u64::try_from(start.max(1)).unwrap_or(1)
}

/// Whether players may change between two as they see fit.
fn is_one_set(a: &Representation, b: &Representation) -> bool {
    let (a, b) = (&a.track, &b.track);
    let alike = a.language == b.language && a.role == b.role && a.label == b.label;
    let same = a.kind == b.kind && a.config.name() == b.config.name();
    same && (a.kind == TrackKind::Video || alike)
}

fn role(role: Role) -> xml::Role {
    let value = match role {
        Role::Alternate => "alternate",
        Role::Commentary => "commentary",
        Role::Description => "description",
        _ => "main",
    };
    xml::Role {
        schemeIdUri: ROLE.to_owned(),
        value: Some(value.to_owned()),
        ..Default::default()
    }
}

/// ISO/IEC 23091-3, as far as a number of channels tells.
const fn layout(channels: u16) -> Option<u16> {
    match channels {
        1..=6 => Some(channels),
        7 => Some(11),
        8 => Some(12),
        _ => None,
    }
}

/// XML 1.0, 2.2: what may stand in a document. Sources name their tracks as they like.
const fn is_character(c: &char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{1_0000}'..)
}

fn rate((num, den): (u32, u32)) -> f64 {
    f64::from(num) / f64::from(den.max(1))
}

fn fraction((num, den): (u32, u32)) -> String {
    match den {
        1 => num.to_string(),
        den => format!("{num}/{den}"),
    }
}

fn since_epoch(t: Timestamp) -> Duration {
    (t - Timestamp::ZERO).to_duration()
}

fn date(t: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(t.as_millis()).unwrap_or_default()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "whole milliseconds of some seconds"
)]
fn milliseconds(span: Span) -> f64 {
    span.as_millis() as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a segment is far below 2^53 ticks"
)]
fn ticks(ticks: i64) -> f64 {
    ticks as f64
}
