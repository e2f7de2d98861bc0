//! The stream resource: what an operator writes, what holds where nothing is written.

mod callback;
mod check;
mod definition;
mod destination;
mod edit;
mod forms;
mod hook;
mod input;
mod overlay;
mod push;
mod rules;
mod scheme;
mod secrets;
mod srt;
mod template;
mod transcode;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use callback::{Callback, OnFailure};
pub(crate) use check::check_name;
pub(crate) use definition::Definition;
pub(crate) use destination::Destination;
pub(crate) use edit::{merge, typed};
use forms::Labels;
pub(crate) use hook::{Format, Hook, HookDefinition, Overflow, Target};
pub(crate) use input::{Input, Variant};
pub(crate) use push::Push;
use rules::Rule;
pub(crate) use scheme::Scheme;
use srt::Srt;
pub(crate) use template::{AutoPublish, Template, Templates};
use transcode::Transcode;
pub(crate) use transcode::check_capabilities;

/// The input that the slate is.
pub(crate) const SLATE: &str = "slate";

/// A stream as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamConfig {
    /// `[A-Za-z0-9_-]+` joined by `/`, at most 128 characters.
    #[schema(
        example = "news",
        max_length = 128,
        pattern = "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"
    )]
    pub(crate) name: String,
    /// The template whose members hold where the stream has none of its own: objects member by
    /// member, inputs by id. A member that is null holds nothing, whatever the template has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    pub(crate) template: Option<String>,
    /// Whether it runs; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// Free words of the operator, for filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Labels>)]
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Where media comes from: the best one that delivers feeds the programme.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub(crate) inputs: Vec<Input>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) publish: Option<Publish>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failover: Option<Failover>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slate: Option<Slate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hls: Option<Hls>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dash: Option<Dash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) srt: Option<Srt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transcode: Option<Transcode>,
    /// Where it is pushed to: servers that take it as they take an encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 16)]
    pub(crate) push: Option<Vec<Push>>,
    /// Asked before an encoder is let in, which its key must have let in already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_publish: Option<Callback>,
    /// Asked before a player is let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_play: Option<Callback>,
}

/// What is shown while no input delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slate {
    /// A file below the root for files: MP4, MPEG-TS or FLV. It is repeated.
    #[schema(
        example = "file://back-soon.mp4",
        max_length = 2048,
        pattern = "^file://.+"
    )]
    pub(crate) url: String,
}

/// How encoders are let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    /// What happens to a second publisher while the first one delivers; `reject` is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) second_publisher: Option<SecondPublisher>,
}

/// What happens to a second publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecondPublisher {
    /// It is refused, unless the first has been silent for a second.
    Reject,
}

/// How the programme goes on over changes of its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failover {
    /// Whether the programme returns to a better input; default `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failback: Option<Failback>,
    /// How long a better input must deliver without fault before that, doubled by each of its
    /// failures within ten minutes, up to five minutes; 1000..=300000, default 3000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 300000)]
    pub(crate) failback_after_ms: Option<u32>,
    /// How far the programme may run ahead of UTC; 200..=2000, default 2000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 200, maximum = 2000)]
    pub(crate) max_lead_ms: Option<u32>,
    /// Seconds without media after which players are told that the stream has ended; 0..=604800,
    /// default 0: never. It goes on when an encoder comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 604800)]
    pub(crate) hold_s: Option<u32>,
    /// When what an input does becomes a fault, instead of what is learned from its arrivals. The
    /// last one that fits holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 32)]
    pub(crate) rules: Option<Vec<Rule>>,
}

/// Whether the programme returns to a better input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failback {
    /// Once that input has delivered for long enough.
    Auto,
    /// Only by hand, or when the present one fails.
    Never,
}

/// HLS and LL-HLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hls {
    /// Wanted segment duration, 500..=12000, default 2000; the keyframes decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 500, maximum = 12000)]
    pub(crate) segment_ms: Option<u32>,
    /// Wanted part duration, 100..=2000 and at most half a segment, default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 2000)]
    pub(crate) part_ms: Option<u32>,
    /// How much media a playlist lists, in seconds, 6..=21600, default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 6, maximum = 21600)]
    pub(crate) window_s: Option<u32>,
    /// What segments are in, default `cmaf`; those of DASH are always that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<Container>,
}

/// DASH and low-latency DASH, of the segments of HLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dash {
    /// Whether players may take segments while they grow, default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) low_latency: Option<bool>,
    /// What they are given of them at a time; `frame` is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chunk: Option<Chunk>,
    /// How far behind low-latency players stay, 1000..=30000, default 2500; there are a segment and
    /// more in front of it within `hls.window_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 30000)]
    pub(crate) latency_ms: Option<u32>,
}

/// What players are given of a growing segment at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Chunk {
    /// Each picture, and 100 ms of sound.
    Frame,
    /// As much as a part of LL-HLS.
    Part,
}

/// What segments are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Container {
    /// Fragmented MP4.
    Cmaf,
    /// MPEG-TS, in classic playlists.
    Ts,
    /// `index.m3u8` is as with `cmaf`, `ts.m3u8` as with `ts`.
    Both,
}

impl StreamConfig {
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// What holds: every default written out.
    pub(crate) fn effective(&self) -> Self {
        let failover = self.failover.as_ref();
        let (hls, dash) = (self.hls.as_ref(), self.dash.as_ref());
        Self {
            name: self.name.clone(),
            template: self.template.clone(),
            enabled: Some(self.is_enabled()),
            labels: Some(self.labels.clone().unwrap_or_default()),
            inputs: self.inputs.iter().map(Input::effective).collect(),
            publish: Some(Publish {
                second_publisher: Some(SecondPublisher::Reject),
            }),
            failover: Some(Failover {
                failback: Some(failover.and_then(|f| f.failback).unwrap_or(Failback::Auto)),
                failback_after_ms: Some(
                    failover.and_then(|f| f.failback_after_ms).unwrap_or(3_000),
                ),
                max_lead_ms: Some(failover.and_then(|f| f.max_lead_ms).unwrap_or(2_000)),
                hold_s: Some(failover.and_then(|f| f.hold_s).unwrap_or(0)),
                rules: Some(failover.and_then(|f| f.rules.clone()).unwrap_or_default()),
            }),
            slate: self.slate.clone(),
            hls: Some(Hls {
                segment_ms: Some(self.segment_ms()),
                part_ms: Some(hls.and_then(|h| h.part_ms).unwrap_or(200)),
                window_s: Some(hls.and_then(|h| h.window_s).unwrap_or(60)),
                container: Some(hls.and_then(|h| h.container).unwrap_or(Container::Cmaf)),
            }),
            dash: Some(Dash {
                low_latency: Some(self.low_latency()),
                chunk: Some(dash.and_then(|d| d.chunk).unwrap_or(Chunk::Frame)),
                latency_ms: Some(dash.and_then(|d| d.latency_ms).unwrap_or(2_500)),
            }),
            srt: self.srt.clone(),
            transcode: self
                .transcode
                .as_ref()
                .map(|t| t.effective(self.segment_ms())),
            push: Some(self.pushes().iter().map(Push::effective).collect()),
            on_publish: self.on_publish.as_ref().map(Callback::effective),
            on_play: self.on_play.as_ref().map(Callback::effective),
        }
    }

    /// Whether players get nothing of the programme as it came.
    pub(crate) fn is_all_encoded(&self) -> bool {
        self.ladder().is_some_and(|ladder| !ladder.copies_video())
    }

    /// What HLS players are given.
    pub(crate) fn container(&self) -> http_media::Container {
        let given = self.hls.as_ref().and_then(|hls| hls.container);
        match given.unwrap_or(Container::Cmaf) {
            Container::Cmaf => http_media::Container::Cmaf,
            Container::Ts => http_media::Container::Ts,
            Container::Both => http_media::Container::Both,
        }
    }

    fn segment_ms(&self) -> u32 {
        let given = self.hls.as_ref().and_then(|hls| hls.segment_ms);
        given.unwrap_or(2_000)
    }

    fn low_latency(&self) -> bool {
        let given = self.dash.as_ref().and_then(|dash| dash.low_latency);
        given.unwrap_or(true)
    }

    /// How long playlists hold still without media before they end; `None` is for ever.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let hold_s = self.failover.as_ref()?.hold_s?;
        (hold_s > 0).then(|| Duration::from_secs(hold_s.into()))
    }

    /// How an input is chosen.
    pub(crate) fn policy(&self) -> failover::Policy {
        let failover = self.failover.as_ref();
        let never = failover.and_then(|f| f.failback) == Some(Failback::Never);
        let after = failover.and_then(|f| f.failback_after_ms).unwrap_or(3_000);
        failover::Policy {
            failback: if never {
                failover::Failback::Never
            } else {
                failover::Failback::Auto
            },
            failback_after: media::Span::from_millis(after.into()),
            slate_after: self.packaging().segment,
        }
    }

    /// What is a fault of each input.
    pub(crate) fn tolerances(&self) -> BTreeMap<failover::InputId, failover::Tolerance> {
        let rules = self.failover.iter().flat_map(|f| f.rules.iter().flatten());
        let of = |input: &Input| rules::tolerance(rules.clone(), &input.id);
        let inputs = self.inputs.iter();
        inputs
            .map(|input| ((*input.id).into(), of(input)))
            .collect()
    }

    /// What its programme's time keeps to.
    pub(crate) fn bounds(&self) -> failover::Config {
        let packaging = self.packaging();
        failover::Config {
            max_lead: packaging.max_lead,
            gap: packaging.segment,
            continuity: if self.is_all_encoded() {
                failover::Continuity::Transcoded
            } else {
                failover::Continuity::Passthrough
            },
        }
    }

    /// How it is packaged.
    pub(crate) fn packaging(&self) -> packager::Config {
        let ms = |v: Option<u32>| media::Span::from_millis(i64::from(v.unwrap_or(0)));
        let all = self.effective();
        let (hls, dash) = (all.hls.as_ref(), all.dash.as_ref());
        let by_picture = dash.and_then(|d| d.chunk) == Some(Chunk::Frame);
        packager::Config {
            segment: ms(hls.and_then(|h| h.segment_ms)),
            part: ms(hls.and_then(|h| h.part_ms)),
            window: media::Span::from_secs(i64::from(hls.and_then(|h| h.window_s).unwrap_or(60))),
            chunk: match self.low_latency() && by_picture {
                true => packager::Chunk::Frame,
                false => packager::Chunk::Part,
            },
            latency: self
                .low_latency()
                .then(|| ms(dash.and_then(|d| d.latency_ms))),
            max_lead: ms(all.failover.as_ref().and_then(|f| f.max_lead_ms)),
            ..packager::Config::default()
        }
    }
}

impl StreamConfig {
    /// Where it is pushed to; some may be switched off.
    pub(crate) fn pushes(&self) -> &[Push] {
        self.push.as_deref().unwrap_or_default()
    }

    /// The inputs that are used.
    pub(crate) fn used_inputs(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(|input| input.is_enabled())
    }

    /// Those, and the slate as the input that it is.
    pub(crate) fn all_inputs(&self) -> Vec<Input> {
        self.used_inputs()
            .cloned()
            .chain(self.slate_input())
            .collect()
    }

    /// The streams whose programmes it takes.
    pub(crate) fn feeders(&self) -> Vec<String> {
        let streams = self
            .used_inputs()
            .filter_map(|input| match input.scheme()? {
                Scheme::Stream(name) => Some(name),
                _ => None,
            });
        streams.collect()
    }

    fn slate_input(&self) -> Option<Input> {
        let slate = self.slate.as_ref()?;
        Some(Input {
            repeat: Some(true),
            ..Input::new(SLATE, &slate.url)
        })
    }
}
