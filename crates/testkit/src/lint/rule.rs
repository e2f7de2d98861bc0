//! The rules, by the names under which the project speaks of them: H1 to H32 are the low-latency
//! HLS checklist, D1 to D14 that of low-latency DASH; the others are what a live playlist or MPD
//! must keep besides.

use std::fmt;

macro_rules! rules {
    ($($list:ident, $whose:literal { $($name:ident = $label:literal, $text:literal;)* })*) => {
        /// A rule that a live stream can break.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $text] $name,)*)*
        }

        impl Rule {
            $(#[doc = $whose] pub const $list: &'static [Self] = &[$(Self::$name,)*];)*

            /// The short name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$name => $label,)*)* }
            }

            /// What the rule asks for.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $($(Self::$name => $text,)*)* }
            }
        }
    };
}

rules! {
    HLS, "Of HLS, in the order of the checklist." {
        H1 = "H1", "PART-INF with PART-TARGET wherever parts are listed";
        H2 = "H2", "PART-HOLD-BACK is at least twice PART-TARGET";
        H3 = "H3", "PART-HOLD-BACK is at least three times the largest PART-TARGET of all renditions";
        H4 = "H4", "HOLD-BACK is at least 3, CAN-SKIP-UNTIL at least 6 target durations";
        H5 = "H5", "a part lasts at most PART-TARGET and at least 85 % of it, but for the known exceptions";
        H6 = "H6", "a part is published no later than one PART-TARGET after the one before";
        H7 = "H7", "a segment is exactly its parts";
        H8 = "H8", "what is listed can be downloaded, and for three target durations after";
        H9 = "H9", "segments and parts leave the playlist in order";
        H10 = "H10", "a blocking reload is answered when what it asks for is there";
        H11 = "H11", "_HLS_part without _HLS_msn is refused with 400";
        H12 = "H12", "what lies too far ahead is refused with 400 at once";
        H13 = "H13", "a request blocked for three target durations is answered with 503";
        H14 = "H14", "an old _HLS_msn gives the whole playlist; directives mean nothing after ENDLIST";
        H15 = "H15", "a delta update stands for the whole playlist";
        H16 = "H16", "EXT-X-SKIP has the version it needs";
        H17 = "H17", "delta updates are offered for windows of more than two minutes";
        H18 = "H18", "the next part is hinted at, and comes under the hinted URI";
        H19 = "H19", "a hinted part can be requested at once and is sent when it is whole";
        H20 = "H20", "unknown, unhinted and abandoned resources are 404";
        H21 = "H21", "one report per other rendition, relative and up to date";
        H22 = "H22", "a segment has an independent part, and independent parts are marked";
        H23 = "H23", "all renditions advance within one PART-TARGET of each other";
        H25 = "H25", "playlists come compressed to who takes gzip, and are the same";
        H26 = "H26", "ranges are served, an origin sends no Age";
        H27 = "H27", "answers may be cached for as long as is recommended";
        H30 = "H30", "a listed part is there, or carries GAP";
        H31 = "H31", "no parts in playlists of I-frames";
        H32 = "H32", "a segment's MAP, KEY, DISCONTINUITY and PROGRAM-DATE-TIME precede its first part";
        Grammar = "GRAMMAR", "a playlist that can be read";
        Serve = "SERVE", "a live playlist answers 200";
        Index = "INDEX", "the multivariant playlist tells bandwidth, codecs and relative URIs";
        Rounding = "ROUNDING", "EXTINF, rounded, is at most TARGETDURATION";
        Constant = "CONSTANT", "TARGETDURATION and PART-TARGET never change and agree where they must";
        Sequence = "SEQUENCE", "numbers never go back, and what was published is never contradicted";
        Discontinuity = "DISCONTINUITY", "discontinuities are counted, carry a MAP and cover no hole";
        Dates = "DATES", "PROGRAM-DATE-TIME on every segment, continuous";
        Clock = "CLOCK", "decode times rise without holes and agree with PROGRAM-DATE-TIME";
        Independent = "INDEPENDENT", "EXT-X-INDEPENDENT-SEGMENTS is true where it is claimed";
        Ts = "TS", "a segment in MPEG-TS is whole packets from the tables on, as long as is told, and counts on";
        Classic = "CLASSIC", "a classic playlist lists the same complete segments, and nothing of low latency";
    }
    DASH, "Of DASH, in the order of the checklist." {
        D1 = "D1", "the profiles of live and of low latency, in an MPD with relative addresses";
        D2 = "D2", "a ServiceDescription with a target latency";
        D3 = "D3", "UTCTiming of a known scheme, which tells the time";
        D4 = "D4", "a ProducerReferenceTime per Adaptation Set, and prft that agrees with it";
        D5 = "D5", "SegmentTemplate with $Number$ and a duration, which segments keep within half of it";
        D6 = "D6", "a segment is one CMAF fragment, of several chunks that do not overlap";
        D7 = "D7", "availabilityTimeOffset is a segment less a chunk, availabilityTimeComplete is false";
        D8 = "D8", "a classic MPD is the same without what is of low latency";
        D9 = "D9", "a Resync per Representation that is true, and within the target latency";
        D10 = "D10", "minimumUpdatePeriod, and whoever keeps to it knows of each Period in time";
        D11 = "D11", "no events in band";
        D12 = "D12", "what is promised is answered 200, what is about to be is held";
        D13 = "D13", "times and numbers count from the Unix epoch";
        D14 = "D14", "DVB's mark of low latency, and what players need to survive a hold";
        Mpd = "MPD", "an MPD that can be read, at once";
        Join = "JOIN", "who joins gets the MPD, which names another address for those who are in";
        Periods = "PERIODS", "Periods follow each other, each ended by the next alone";
        Stable = "STABLE", "what a Period says does not change while it lasts";
        Window = "WINDOW", "the time shift buffer shrinks only after media was away";
        Pace = "PACE", "each chunk comes as it is made, and alone";
        Media = "MEDIA", "every number has media, without a hole";
        Filler = "FILLER", "a number that is answered without media never has any, and waits no longer than need be";
        Expiry = "EXPIRY", "what lies in the time shift buffer can be downloaded";
        Sap = "SAP", "segments begin with a keyframe where startWithSAP says so";
        Codecs = "CODECS", "codecs, sizes and timescale are those of the initialisation";
        Bandwidth = "BANDWIDTH", "bandwidth is not below what segments have";
        Language = "LANG", "roles, and languages that tell Adaptation Sets apart";
        Cache = "CACHE", "types, and for how long answers may be kept";
        Same = "SAME", "a number is the same bytes in HLS";
    }
    BOTH, "Of both." {
        Reuse = "REUSE", "a URI stands for the same bytes for ever";
        Aligned = "ALIGNED", "a number means the same time in every rendition";
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
