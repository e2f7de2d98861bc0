//! What an MPD says (ISO/IEC 23009-1), as far as the linter asks; what is wrong with its form.

use media::{Span, Timestamp};
use roxmltree::{Document, Node};

use super::xml::{boolean, duration, elements, misplaced, named};
use crate::lint::attributes::{date, seconds};

const NAMESPACE: &str = "urn:mpeg:dash:schema:mpd:2011";

/// An MPD. What is missing is `None`, empty or zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Mpd {
    pub(super) dynamic: bool,
    pub(super) profiles: Vec<String>,
    pub(super) available: Option<Timestamp>,
    pub(super) published: Option<Timestamp>,
    pub(super) update: Option<Span>,
    pub(super) depth: Option<Span>,
    pub(super) longest: Option<Span>,
    /// Where it is no longer live.
    pub(super) end: Option<Span>,
    pub(super) location: Option<String>,
    pub(super) services: Vec<Service>,
    pub(super) timings: Vec<Descriptor>,
    pub(super) periods: Vec<Period>,
    /// What cannot be read, or should not be there.
    pub(super) faults: Vec<String>,
}

/// `ServiceDescription`; latencies in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) target: Option<i64>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    /// Least and greatest playback rate, in thousandths.
    pub(super) rates: Option<(i64, i64)>,
}

/// `schemeIdUri` and `value`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) scheme: String,
    pub(super) value: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Period {
    pub(super) id: String,
    pub(super) start: Option<Span>,
    pub(super) has_duration: bool,
    pub(super) sets: Vec<Set>,
    /// As it is written.
    pub(super) text: String,
}

/// `AdaptationSet`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) mime: String,
    pub(super) lang: Option<String>,
    pub(super) label: Option<String>,
    pub(super) roles: Vec<Descriptor>,
    pub(super) properties: Vec<Descriptor>,
    pub(super) aligned: bool,
    pub(super) start_with_sap: Option<u64>,
    pub(super) references: Vec<Reference>,
    pub(super) representations: Vec<Representation>,
}

/// `ProducerReferenceTime`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) inband: bool,
    pub(super) wall_clock: Option<Timestamp>,
    /// In ticks.
    pub(super) presentation: Option<u64>,
    pub(super) timing: Option<Descriptor>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Representation {
    pub(super) id: String,
    pub(super) codecs: String,
    pub(super) bandwidth: u64,
    pub(super) size: Option<(u32, u32)>,
    pub(super) rate: Option<u32>,
    pub(super) resync: Option<Resync>,
    pub(super) template: Template,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Resync {
    pub(super) kind: u64,
    /// In ticks.
    pub(super) distance: Option<u64>,
    pub(super) marker: bool,
}

/// `SegmentTemplate`, with what it takes over from the elements above.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) timescale: u32,
    /// In ticks, as `offset`.
    pub(super) duration: u64,
    pub(super) first: u64,
    pub(super) last: Option<u64>,
    pub(super) offset: u64,
    pub(super) early: Option<Span>,
    pub(super) complete: Option<bool>,
    pub(super) initialization: String,
    pub(super) media: String,
    pub(super) timeline: bool,
}

impl Template {
    pub(super) fn uri(&self, number: u64) -> String {
        self.media.replace("$Number$", &number.to_string())
    }
}

impl Set {
    /// What must stay as it is while the Period lasts.
    pub(super) fn lasting(&self) -> Self {
        let mut lasting = self.clone();
        for one in &mut lasting.representations {
            one.bandwidth = 0;
            (one.template.early, one.template.last) = (None, None);
        }
        lasting
    }
}

impl Period {
    pub(super) fn representations(&self) -> impl Iterator<Item = (&Set, &Representation)> {
        let of = |set| Set::representations_of(set);
        self.sets.iter().flat_map(of)
    }

    pub(super) fn find(&self, id: &str) -> Option<(&Set, &Representation)> {
        self.representations().find(|(_, r)| r.id == id)
    }

    /// Its first number, by any of its templates.
    pub(super) fn first(&self) -> Option<u64> {
        Some(self.representations().next()?.1.template.first)
    }
}

impl Set {
    fn representations_of(set: &Self) -> impl Iterator<Item = (&Self, &Representation)> {
        set.representations.iter().map(move |r| (set, r))
    }
}

impl Mpd {
    /// # Errors
    /// What is no XML, or no MPD.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let document = Document::parse(text).map_err(|e| e.to_string())?;
        let root = document.root_element();
        if !root.has_tag_name((NAMESPACE, "MPD")) {
            return Err(format!("{:?} is no MPD", root.tag_name()));
        }
        let mut reader = Reader::default();
        misplaced(root, &mut reader.faults);
        let mut mpd = reader.mpd(root);
        mpd.faults = reader.faults;
        Ok(mpd)
    }

    pub(super) fn target(&self) -> Option<Span> {
        let target = self.services.iter().find_map(|s| s.target);
        target.map(Span::from_millis)
    }

    /// The newest Period that `number` of a Representation may belong to.
    pub(super) fn period_of(&self, id: &str, number: u64) -> Option<&Period> {
        let begun = |p: &&Period| p.find(id).is_some_and(|(_, r)| r.template.first <= number);
        self.periods.iter().rev().find(begun)
    }
}

#[derive(Default)]
struct Reader {
    faults: Vec<String>,
}

impl Reader {
    fn get<T>(
        &mut self,
        node: Node<'_, '_>,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = node.attribute(name)?;
        let value = parse(text);
        if value.is_none() {
            let of = node.tag_name().name();
            self.faults.push(format!("{of}@{name}=\"{text}\""));
        }
        value
    }

    fn number<T: std::str::FromStr>(&mut self, node: Node<'_, '_>, name: &str) -> Option<T> {
        self.get(node, name, |t| t.parse().ok())
    }

    fn mpd(&mut self, node: Node<'_, '_>) -> Mpd {
        for needed in ["profiles", "minBufferTime"] {
            if node.attribute(needed).is_none() {
                self.faults.push(format!("no MPD@{needed}"));
            }
        }
        self.get(node, "minBufferTime", duration);
        self.get(node, "suggestedPresentationDelay", duration);
        let profiles = text(node, "profiles");
        let location = named(node, "Location").next();
        Mpd {
            dynamic: node.attribute("type") == Some("dynamic"),
            profiles: profiles.split(',').map(|p| p.trim().to_owned()).collect(),
            available: self.get(node, "availabilityStartTime", date),
            published: self.get(node, "publishTime", date),
            update: self.get(node, "minimumUpdatePeriod", duration),
            depth: self.get(node, "timeShiftBufferDepth", duration),
            longest: self.get(node, "maxSegmentDuration", duration),
            end: self.get(node, "mediaPresentationDuration", duration),
            location: location.and_then(|n| n.text()).map(|t| t.trim().to_owned()),
            services: named(node, "ServiceDescription")
                .map(|n| self.service(n))
                .collect(),
            timings: named(node, "UTCTiming").map(descriptor).collect(),
            periods: named(node, "Period").map(|n| self.period(n)).collect(),
            faults: Vec::new(),
        }
    }

    fn service(&mut self, node: Node<'_, '_>) -> Service {
        let mut service = Service::default();
        if let Some(latency) = named(node, "Latency").next() {
            service.target = self.number(latency, "target");
            service.min = self.number(latency, "min");
            service.max = self.number(latency, "max");
        }
        if let Some(rate) = named(node, "PlaybackRate").next() {
            let thousandths = |t: &str| Some(seconds(t)?.as_millis());
            let (min, max) = (
                self.get(rate, "min", thousandths),
                self.get(rate, "max", thousandths),
            );
            service.rates = Some((min.unwrap_or(1_000), max.unwrap_or(1_000)));
        }
        service
    }

    fn period(&mut self, node: Node<'_, '_>) -> Period {
        Period {
            id: text(node, "id"),
            start: self.get(node, "start", duration),
            has_duration: node.has_attribute("duration"),
            sets: named(node, "AdaptationSet").map(|n| self.set(n)).collect(),
            text: node.document().input_text()[node.range()].to_owned(),
        }
    }

    fn set(&mut self, node: Node<'_, '_>) -> Set {
        let label = named(node, "Label").next();
        let property = |n: &Node<'_, '_>| {
            matches!(
                n.tag_name().name(),
                "SupplementalProperty" | "EssentialProperty"
            )
        };
        Set {
            id: text(node, "id"),
            kind: text(node, "contentType"),
            mime: text(node, "mimeType"),
            lang: node.attribute("lang").map(str::to_owned),
            label: label.and_then(|n| n.text()).map(str::to_owned),
            roles: named(node, "Role").map(descriptor).collect(),
            properties: elements(node).filter(property).map(descriptor).collect(),
            aligned: self.get(node, "segmentAlignment", boolean) == Some(true),
            start_with_sap: self.number(node, "startWithSAP"),
            references: named(node, "ProducerReferenceTime")
                .map(|n| self.reference(n))
                .collect(),
            representations: named(node, "Representation")
                .map(|n| self.representation(n))
                .collect(),
        }
    }

    fn reference(&mut self, node: Node<'_, '_>) -> Reference {
        Reference {
            id: text(node, "id"),
            kind: text(node, "type"),
            inband: self.get(node, "inband", boolean) == Some(true),
            wall_clock: self.get(node, "wallClockTime", date),
            presentation: self.number(node, "presentationTime"),
            timing: named(node, "UTCTiming").map(descriptor).next(),
        }
    }

    fn representation(&mut self, node: Node<'_, '_>) -> Representation {
        let set = node.parent_element().unwrap_or(node);
        let period = set.parent_element().unwrap_or(node);
        let (width, height): (Option<u32>, Option<u32>) =
            (self.number(node, "width"), self.number(node, "height"));
        let codecs = [node, set].into_iter().find_map(|n| n.attribute("codecs"));
        let resync = [node, set]
            .into_iter()
            .find_map(|n| named(n, "Resync").next());
        Representation {
            id: text(node, "id"),
            codecs: codecs.unwrap_or_default().to_owned(),
            bandwidth: self.number(node, "bandwidth").unwrap_or(0),
            size: width.zip(height),
            rate: self.number(node, "audioSamplingRate"),
            resync: resync.map(|n| self.resync(n)),
            template: self.template([node, set, period]),
        }
    }

    fn resync(&mut self, node: Node<'_, '_>) -> Resync {
        Resync {
            kind: self.number(node, "type").unwrap_or(0),
            distance: self.number(node, "dT"),
            marker: self.get(node, "marker", boolean) == Some(true),
        }
    }

    /// The innermost element that has an attribute is what counts (5.3.9.1).
    fn template(&mut self, levels: [Node<'_, '_>; 3]) -> Template {
        let all: Vec<_> = levels
            .into_iter()
            .filter_map(|n| named(n, "SegmentTemplate").next())
            .collect();
        let of = |name: &str| all.iter().copied().find(|n| n.has_attribute(name));
        let string = |name: &str| of(name).map_or_else(String::new, |n| text(n, name));
        let mut ticks = |name: &str| self.number(of(name)?, name);
        let (timescale, duration) = (ticks("timescale"), ticks("duration"));
        let (first, last) = (ticks("startNumber"), ticks("endNumber"));
        let offset = ticks("presentationTimeOffset");
        let early = of("availabilityTimeOffset");
        let complete = of("availabilityTimeComplete");
        Template {
            timescale: timescale.map_or(1, |t: u64| u32::try_from(t).unwrap_or(0)),
            duration: duration.unwrap_or(0),
            first: first.unwrap_or(1),
            last,
            offset: offset.unwrap_or(0),
            early: early.and_then(|n| self.get(n, "availabilityTimeOffset", seconds)),
            complete: complete.and_then(|n| self.get(n, "availabilityTimeComplete", boolean)),
            initialization: string("initialization"),
            media: string("media"),
            timeline: all
                .iter()
                .any(|n| named(*n, "SegmentTimeline").next().is_some()),
        }
    }
}

fn text(node: Node<'_, '_>, name: &str) -> String {
    node.attribute(name).unwrap_or_default().to_owned()
}

fn descriptor(node: Node<'_, '_>) -> Descriptor {
    Descriptor {
        scheme: text(node, "schemeIdUri"),
        value: text(node, "value"),
    }
}
