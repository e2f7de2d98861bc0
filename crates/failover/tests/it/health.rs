//! What one input's arrivals teach.

use failover::{Fault, Health};
use media::{Frame, Span, Timestamp, TrackId, TrackKind};
use proptest::prelude::*;

const EPOCH: Timestamp = Timestamp::from_millis(1_795_228_844_312);
const FLOOR: Span = Span::from_millis(450);
const PICTURE_MS: i64 = 40;

/// An input that shows all of its faults.
struct Watched {
    health: Health,
    pictures: i64,
    now: Timestamp,
    faults: Vec<Fault>,
}

impl Watched {
    fn new() -> Self {
        Self {
            health: Health::new(FLOOR),
            pictures: 0,
            now: EPOCH,
            faults: Vec::new(),
        }
    }

    /// Nothing comes for so long.
    fn wait(&mut self, ms: i64) {
        let until = self.now + Span::from_millis(ms);
        while self.now < until {
            self.now += Span::from_millis(10);
            let fault = self.health.fault(self.now);
            if self.faults.last().copied() != fault {
                self.faults.extend(fault);
            }
        }
    }

    /// So many pictures come at once, a group each second.
    fn send(&mut self, pictures: i64) {
        for _ in 0..pictures {
            let dts = Timestamp::from_millis(self.pictures * PICTURE_MS);
            let opens = self.pictures % 25 == 0;
            let frame = Frame {
                track: TrackId(0),
                dts,
                pts: dts,
                duration: None,
                random_access: opens,
                leading: false,
                payload: bytes::Bytes::new(),
            };
            self.health.frame(&frame, TrackKind::Video, opens, self.now);
            self.pictures += 1;
        }
    }

    fn steadily(&mut self, pictures: i64) {
        for _ in 0..pictures {
            self.wait(PICTURE_MS);
            self.send(1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn bursts_of_any_length_are_learned(
        burst in 2_i64..60,
        odd in prop::collection::vec(0_i64..6, 60),
    ) {
        let mut input = Watched::new();
        input.send(burst);
        for (i, odd) in odd.into_iter().enumerate() {
            let pictures = burst + odd;
            if i == 4 {
                input.faults.clear();
            }
            input.wait(pictures * PICTURE_MS);
            input.send(pictures);
        }
        prop_assert_eq!(input.faults, []);
    }

    /// What was missing is lost, or is late for good; or all came, but once only.
    #[test]
    fn a_stall_teaches_nothing(
        stalled in 23_i64..70,
        lost in 0_i64..3,
        between in 1_i64..300,
    ) {
        let mut input = Watched::new();
        input.send(1);
        input.steadily(250);
        let before = input.health.silence();
        prop_assert_eq!(before, Some(FLOOR));
        for _ in 0..if lost == 2 { 1 } else { 3 } {
            input.wait(stalled * PICTURE_MS);
            match lost {
                0 => input.pictures += stalled,
                1 => {}
                _ => input.send(stalled),
            }
            input.send(1);
            input.steadily(between);
        }
        prop_assert_eq!(input.health.silence(), before);
    }

    /// A link that was away fills again, and the encoder waits for its next keyframe.
    #[test]
    fn the_aftermath_of_an_outage_teaches_nothing(
        away in 25_i64..100,
        kept in 0_i64..20,
        between in 0_i64..20,
        pause in 12_i64..22,
    ) {
        let mut input = Watched::new();
        input.send(1);
        input.steadily(250);
        input.wait(away * PICTURE_MS);
        input.send(kept + 1);
        input.pictures += away - kept;
        input.steadily(between);
        input.wait(pause * PICTURE_MS);
        input.pictures += pause;
        input.send(1);
        input.steadily(100);
        prop_assert_eq!(input.health.silence(), Some(FLOOR));
        // What comes as late long after an outage is how it sends.
        input.wait(pause * PICTURE_MS);
        input.send(1);
        prop_assert!(input.health.silence() > Some(FLOOR));
    }
}
