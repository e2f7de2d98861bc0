//! The stream resource: what an operator writes, what holds where nothing is written.

mod check;
mod edit;
mod forms;
mod rules;
mod scheme;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[cfg(any(test, fuzzing))]
pub(crate) use check::check_name;
pub(crate) use edit::{accept, merge, shown, typed};
use forms::{KeyForm, Labels};
use rules::Rule;
pub(crate) use scheme::Scheme;

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

/// One source of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Unique within the stream.
    #[schema(example = "main", max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    pub(crate) id: String,
    /// `publish://`: an encoder pushes. Or what is pulled: `rtmp(s)://`, `http(s)://….m3u8` (HLS),
    /// `http(s)://….ts` (MPEG-TS), `file://` (MP4, MPEG-TS or FLV below the root for files),
    /// `stream://` with the name of another stream. A password and the query read `***`; what is
    /// written back as it was read keeps them.
    #[schema(
        example = "publish://",
        max_length = 2048,
        pattern = "^(publish://$|(rtmps?|https?|file|stream)://.+)"
    )]
    pub(crate) url: String,
    /// Lower wins; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "int64", maximum = 4_294_967_295_i64)]
    pub(crate) priority: Option<u32>,
    /// What an encoder must know; absent makes a random one, null lets everybody publish. Reads
    /// `{"set": true}`, which on write means keep.
    #[serde(default)]
    #[schema(value_type = Option<KeyForm>)]
    pub(crate) key: Option<String>,
    /// Whether a pull is connected all the time; default `hot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standby: Option<Standby>,
    /// Whether a pull is connected without viewers; default `always`. Beside inputs that are always
    /// connected, one on demand fills in for them without viewers too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Start>,
    /// How long a pull on demand stays connected after its last viewer; 0..=3600000, default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 3600000)]
    pub(crate) idle_timeout_ms: Option<u32>,
    /// Whether the wall clock that a source tells (the dates of an HLS playlist) is believed; default
    /// `auto`. Between two inputs that are, the programme goes on at the point of equal time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clock: Option<Clock>,
    /// Sent with every request of a pull over HTTP. Values read `{"set": true}`, which on write
    /// means keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, KeyForm>>)]
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// Which variant of a multivariant playlist; default `highest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<Variant>,
    /// Whether the certificate of the server is verified; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_verify: Option<bool>,
    /// Whether a file begins again when it ends; default false.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub(crate) repeat: Option<bool>,
    /// How long connecting may take; 100..=60000, default 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 60000)]
    pub(crate) connect_timeout_ms: Option<u32>,
    /// How long a connection that is pulled from may say nothing; 500..=60000, default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 500, maximum = 60000)]
    pub(crate) silence_timeout_ms: Option<u32>,
}

/// Whether a pull is connected all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standby {
    /// All the time.
    Hot,
    /// Only while nothing better delivers.
    Cold,
}

/// Whether a pull is connected without viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Start {
    /// From the beginning.
    Always,
    /// From the first viewer on, until there are none for a while.
    OnDemand,
}

/// Whether the wall clock of a source is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Clock {
    /// Where it is steady, and within 10 s of UTC.
    Auto,
    /// Always.
    Trust,
    /// Never.
    Ignore,
}

/// Which variant of a multivariant playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Variant {
    /// The one with the most bits.
    Highest,
    /// The one with the fewest.
    Lowest,
    /// The best of at most so many kilobits per second, or else the lowest.
    MaxKbps(u32),
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
    /// `cmaf` is the only one for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<Container>,
}

/// What segments are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Container {
    /// Fragmented MP4.
    Cmaf,
}

impl StreamConfig {
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// What holds: every default written out.
    pub(crate) fn effective(&self) -> Self {
        let failover = self.failover.as_ref();
        let hls = self.hls.as_ref();
        Self {
            name: self.name.clone(),
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
                segment_ms: Some(hls.and_then(|h| h.segment_ms).unwrap_or(2_000)),
                part_ms: Some(hls.and_then(|h| h.part_ms).unwrap_or(200)),
                window_s: Some(hls.and_then(|h| h.window_s).unwrap_or(60)),
                container: Some(Container::Cmaf),
            }),
        }
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
        }
    }

    /// How it is packaged.
    pub(crate) fn packaging(&self) -> packager::Config {
        let ms = |v: Option<u32>| media::Span::from_millis(i64::from(v.unwrap_or(0)));
        let all = self.effective();
        let hls = all.hls;
        let hls = hls.as_ref();
        packager::Config {
            segment: ms(hls.and_then(|h| h.segment_ms)),
            part: ms(hls.and_then(|h| h.part_ms)),
            window: media::Span::from_secs(i64::from(hls.and_then(|h| h.window_s).unwrap_or(60))),
            max_lead: ms(all.failover.and_then(|f| f.max_lead_ms)),
            ..packager::Config::default()
        }
    }
}

impl Input {
    /// With nothing but what it must have.
    pub(crate) fn new(id: &str, url: &str) -> Self {
        Self {
            id: id.to_owned(),
            url: url.to_owned(),
            priority: None,
            key: None,
            standby: None,
            start: None,
            idle_timeout_ms: None,
            clock: None,
            headers: None,
            variant: None,
            tls_verify: None,
            repeat: None,
            connect_timeout_ms: None,
            silence_timeout_ms: None,
        }
    }

    /// How it comes; `None` for what is not supported.
    pub(crate) fn scheme(&self) -> Option<Scheme> {
        Scheme::of(&self.url)
    }

    /// What holds: every default that matters to its kind written out.
    fn effective(&self) -> Self {
        let pulled = self.scheme() != Some(Scheme::Publish);
        let ms = |given: Option<u32>, default| pulled.then(|| given.unwrap_or(default));
        Self {
            priority: Some(self.priority.unwrap_or(0)),
            standby: pulled.then(|| self.standby.unwrap_or(Standby::Hot)),
            start: pulled.then(|| self.start.unwrap_or(Start::Always)),
            idle_timeout_ms: self
                .is_on_demand()
                .then(|| self.idle_timeout_ms.unwrap_or(10_000)),
            clock: (self.scheme() == Some(Scheme::Hls)).then(|| self.clock.unwrap_or(Clock::Auto)),
            connect_timeout_ms: ms(self.connect_timeout_ms, 5_000),
            silence_timeout_ms: ms(self.silence_timeout_ms, 10_000),
            ..self.clone()
        }
    }

    /// What of it a connection depends on: the rest may change while it lasts.
    pub(crate) fn connection(&self) -> Self {
        Self {
            priority: None,
            standby: None,
            clock: None,
            ..self.clone()
        }
    }

    /// How the programme takes it.
    pub(crate) fn role(&self) -> failover::Role {
        failover::Role::Source {
            priority: self.priority.unwrap_or(0),
            cold: self.standby == Some(Standby::Cold),
            on_demand: self.is_on_demand(),
            clock: match self.clock {
                None | Some(Clock::Auto) => failover::Belief::Auto,
                Some(Clock::Trust) => failover::Belief::Trust,
                Some(Clock::Ignore) => failover::Belief::Ignore,
            },
        }
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.start == Some(Start::OnDemand)
    }

    /// How long it stays connected when nobody needs it.
    pub(crate) fn idle_timeout(&self) -> Duration {
        let given = self.idle_timeout_ms.unwrap_or(10_000);
        Duration::from_millis(given.into())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms.unwrap_or(5_000).into())
    }

    pub(crate) fn silence_timeout(&self) -> Duration {
        Duration::from_millis(self.silence_timeout_ms.unwrap_or(10_000).into())
    }
}

impl StreamConfig {
    /// The inputs, and the slate as the input that it is.
    pub(crate) fn all_inputs(&self) -> Vec<Input> {
        self.inputs
            .iter()
            .cloned()
            .chain(self.slate_input())
            .collect()
    }

    /// The streams whose programmes it takes.
    pub(crate) fn feeders(&self) -> Vec<String> {
        let streams = self
            .inputs
            .iter()
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
