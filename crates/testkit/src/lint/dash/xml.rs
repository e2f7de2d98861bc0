//! The XML of MPDs: which elements and attributes may be where (ISO/IEC 23009-1, DASH-MPD.xsd), and
//! values of attributes.

use media::Span;
use roxmltree::Node;

use crate::lint::attributes::seconds;

/// An element: its name, its children in their order, its attributes.
type Shape = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const DESCRIPTOR: &[&str] = &["schemeIdUri", "value", "id"];

/// What a writer of ours may use; elements without a row are not looked into.
const SHAPES: &[Shape] = &[
    (
        "MPD",
        &[
            "ProgramInformation",
            "BaseURL",
            "Location",
            "PatchLocation",
            "ServiceDescription",
            "InitializationSet",
            "InitializationGroup",
            "InitializationPresentation",
            "ContentProtection",
            "Period",
            "Metrics",
            "EssentialProperty",
            "SupplementalProperty",
            "UTCTiming",
            "LeapSecondInformation",
        ],
        &[
            "id",
            "profiles",
            "type",
            "availabilityStartTime",
            "availabilityEndTime",
            "publishTime",
            "mediaPresentationDuration",
            "minimumUpdatePeriod",
            "minBufferTime",
            "timeShiftBufferDepth",
            "suggestedPresentationDelay",
            "maxSegmentDuration",
            "maxSubsegmentDuration",
        ],
    ),
    (
        "ServiceDescription",
        &[
            "Scope",
            "Latency",
            "PlaybackRate",
            "OperatingQuality",
            "OperatingBandwidth",
        ],
        &["id"],
    ),
    (
        "Latency",
        &["QualityLatency"],
        &["referenceId", "target", "max", "min"],
    ),
    ("PlaybackRate", &[], &["max", "min"]),
    (
        "Period",
        &[
            "BaseURL",
            "SegmentBase",
            "SegmentList",
            "SegmentTemplate",
            "AssetIdentifier",
            "EventStream",
            "ServiceDescription",
            "ContentProtection",
            "AdaptationSet",
            "Subset",
            "SupplementalProperty",
            "EmptyAdaptationSet",
            "GroupLabel",
            "Preselection",
        ],
        &["id", "start", "duration", "bitstreamSwitching"],
    ),
    (
        "AdaptationSet",
        &[
            "FramePacking",
            "AudioChannelConfiguration",
            "ContentProtection",
            "OutputProtection",
            "EssentialProperty",
            "SupplementalProperty",
            "InbandEventStream",
            "Switching",
            "RandomAccess",
            "GroupLabel",
            "Label",
            "ProducerReferenceTime",
            "ContentPopularityRate",
            "Resync",
            "Accessibility",
            "Role",
            "Rating",
            "Viewpoint",
            "ContentComponent",
            "BaseURL",
            "SegmentBase",
            "SegmentList",
            "SegmentTemplate",
            "Representation",
        ],
        &[
            "id",
            "group",
            "lang",
            "contentType",
            "par",
            "minBandwidth",
            "maxBandwidth",
            "minWidth",
            "maxWidth",
            "minHeight",
            "maxHeight",
            "minFrameRate",
            "maxFrameRate",
            "segmentAlignment",
            "subsegmentAlignment",
            "subsegmentStartsWithSAP",
            "bitstreamSwitching",
            "initializationSetRef",
            "initializationPrincipal",
            "profiles",
            "width",
            "height",
            "sar",
            "frameRate",
            "audioSamplingRate",
            "mimeType",
            "segmentProfiles",
            "codecs",
            "containerProfiles",
            "maximumSAPPeriod",
            "startWithSAP",
            "scanType",
            "selectionPriority",
        ],
    ),
    (
        "ProducerReferenceTime",
        &["UTCTiming"],
        &[
            "id",
            "inband",
            "type",
            "applicationScheme",
            "wallClockTime",
            "presentationTime",
        ],
    ),
    (
        "Representation",
        &[
            "FramePacking",
            "AudioChannelConfiguration",
            "ContentProtection",
            "OutputProtection",
            "EssentialProperty",
            "SupplementalProperty",
            "InbandEventStream",
            "Switching",
            "RandomAccess",
            "GroupLabel",
            "Label",
            "ProducerReferenceTime",
            "ContentPopularityRate",
            "Resync",
            "BaseURL",
            "ExtendedBandwidth",
            "SubRepresentation",
            "SegmentBase",
            "SegmentList",
            "SegmentTemplate",
        ],
        &[
            "id",
            "bandwidth",
            "qualityRanking",
            "dependencyId",
            "width",
            "height",
            "sar",
            "frameRate",
            "audioSamplingRate",
            "mimeType",
            "segmentProfiles",
            "codecs",
            "containerProfiles",
            "maximumSAPPeriod",
            "startWithSAP",
            "scanType",
            "selectionPriority",
        ],
    ),
    ("Resync", &[], &["type", "dT", "dImax", "dImin", "marker"]),
    (
        "SegmentTemplate",
        &[
            "Initialization",
            "RepresentationIndex",
            "FailoverContent",
            "SegmentTimeline",
            "BitstreamSwitching",
        ],
        &[
            "timescale",
            "eptDelta",
            "pdDelta",
            "presentationTimeOffset",
            "presentationDuration",
            "timeShiftBufferDepth",
            "availabilityTimeOffset",
            "availabilityTimeComplete",
            "duration",
            "startNumber",
            "endNumber",
            "media",
            "index",
            "initialization",
            "bitstreamSwitching",
        ],
    ),
    ("UTCTiming", &[], DESCRIPTOR),
    ("Role", &[], DESCRIPTOR),
    ("EssentialProperty", &[], DESCRIPTOR),
    ("SupplementalProperty", &[], DESCRIPTOR),
    ("AudioChannelConfiguration", &[], DESCRIPTOR),
];

/// Elements below a node, without text and comments.
pub(super) fn elements<'a, 'i: 'a>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// Elements of one name below a node.
pub(super) fn named<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    elements(node).filter(move |n| n.tag_name().name() == name)
}

/// What the schema does not allow, below a node and in it. Other namespaces are free.
pub(super) fn misplaced(node: Node<'_, '_>, faults: &mut Vec<String>) {
    let name = node.tag_name().name();
    let Some((_, children, attributes)) = SHAPES.iter().find(|(n, ..)| *n == name) else {
        return;
    };
    let mut last = 0;
    for child in elements(node) {
        let found = child.tag_name().name();
        match children.iter().position(|c| *c == found) {
            None => faults.push(format!("{found} in {name}")),
            Some(place) if place < last => {
                faults.push(format!("{found} behind {} in {name}", children[last]));
            }
            Some(place) => last = place,
        }
        misplaced(child, faults);
    }
    let own = node.attributes().filter(|a| a.namespace().is_none());
    for attribute in own.filter(|a| !attributes.contains(&a.name())) {
        faults.push(format!("{name}@{}", attribute.name()));
    }
}

/// An `xs:duration` without years and months, such as `P1DT2.5S`.
pub(super) fn duration(text: &str) -> Option<Span> {
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (text.strip_prefix('P')?, None),
    };
    if time.is_none_or(str::is_empty) && days.is_empty() || time == Some("") {
        return None;
    }
    let days = in_order(days, &[('D', 86_400)])?;
    let time = in_order(time.unwrap_or(""), &[('H', 3_600), ('M', 60), ('S', 1)])?;
    Some(days + time)
}

/// Numbers with units, each at most once, the largest first; only the last may have a fraction.
fn in_order(text: &str, units: &[(char, i64)]) -> Option<Span> {
    let (mut sum, mut rest) = (Span::ZERO, text);
    for (unit, length) in units {
        let Some((number, after)) = rest.split_once(*unit) else {
            continue;
        };
        if number.contains('.') && *unit != 'S' {
            return None;
        }
        sum += seconds(number)?.times(*length);
        rest = after;
    }
    rest.is_empty().then_some(sum)
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("PT0S", 0),
            ("PT2.5S", 2_500),
            ("PT1M0.010S", 60_010),
            ("P1DT2H3M4S", 93_784_000),
            ("PT498673H20M", 1_795_224_000_000),
            ("P2D", 172_800_000),
        ] {
            assert_eq!(duration(text), Some(Span::from_millis(millis)), "{text}");
        }
        for text in [
            "", "P", "PT", "2S", "PT2", "PT1S2M", "PT1.5M", "-PT1S", "P1M", "PTS",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn the_schema_orders_elements() {
        let faults = |text: &str| {
            let document = roxmltree::Document::parse(text).unwrap();
            let mut faults = Vec::new();
            misplaced(document.root_element(), &mut faults);
            faults
        };
        let good =
            "<MPD id='a'><Location>x</Location><Period/><Period/><UTCTiming value='y'/></MPD>";
        assert!(faults(good).is_empty());
        let late = faults("<MPD><Period/><Location>x</Location></MPD>");
        assert_eq!(late, ["Location behind Period in MPD"]);
        let unknown = faults("<MPD><Periods/><Period starts='1'/></MPD>");
        assert_eq!(unknown, ["Periods in MPD", "Period@starts"]);
        assert!(faults("<MPD xmlns:x='urn:x' x:y='1'/>").is_empty());
    }
}
