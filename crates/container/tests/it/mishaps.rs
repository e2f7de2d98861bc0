//! Transport streams as they arrive from afar: wrapped, torn, late, full of junk.

use std::sync::Arc;

use bytes::Bytes;
use container::ingest::{Assembler, Figures, Item, Output, Stats};
use container::ts::{Counters, Demux};
use media::{Frame, Span, Timestamp, TrackId};

use crate::real::{Files, source};

const H264_AAC: &str = "-c:v libx264 -preset veryfast -g 25 -bf 2 -c:a aac -ac 2";

/// What goes on to the broadcast when the stream comes at its own pace.
struct Ingested {
    frames: Vec<Frame>,
    figures: Figures,
    counters: Counters,
}

impl Ingested {
    fn of(data: &[u8]) -> Self {
        let mut items = Vec::new();
        let mut demux = Demux::default();
        for piece in data.chunks(1316) {
            demux.push(Bytes::copy_from_slice(piece), &mut items);
        }
        demux.flush(&mut items);
        let stats = Arc::new(Stats::new(|| Timestamp::ZERO));
        let (mut assembler, mut out) = (Assembler::new(Arc::clone(&stats)), Vec::new());
        let (mut now, mut pictures) = (Timestamp::ZERO, 0);
        for item in items {
            if let Item::Frame(f) = &item
                && f.track == TrackId(0)
            {
                pictures += 1;
                now = Timestamp::from_millis(pictures * 40);
            }
            assembler.item(item, now, &mut out);
        }
        let counters = demux.counters();
        counters.tell(&stats);
        let frames = out.into_iter().filter_map(|o| match o {
            Output::Frame(f) => Some(f),
            _ => None,
        });
        Self {
            frames: frames.collect(),
            figures: stats.figures(),
            counters,
        }
    }

    fn of_track(&self, track: u16) -> Vec<&Frame> {
        let frames = self.frames.iter();
        frames.filter(|f| f.track == TrackId(track)).collect()
    }

    fn fixes(&self, name: &str) -> u64 {
        let found = self.figures.fixes.iter().find(|(n, _)| *n == name);
        found.map_or(0, |(_, n)| *n)
    }

    /// DTS that increase, by no more than `most` between frames of a track.
    fn is_steady(&self, most: Span) {
        for track in [0, 1] {
            for pair in self.of_track(track).windows(2) {
                let step = pair[1].dts - pair[0].dts;
                assert!(step > Span::ZERO && step <= most, "{track}: {step:?}");
            }
        }
    }
}

#[test]
fn a_stream_from_thirty_seconds_before_the_wrap() {
    let files = Files::new();
    let long = "-f lavfi -i testsrc2=s=64x64:r=25:d=40 -f lavfi -i sine=d=40 -c:v libx264 \
        -preset ultrafast -g 25 -c:a aac";
    files.make(&format!("{long} a.mp4"));
    // 2^33 / 90,000 is 95,443.7 s; ffmpeg begins 1.4 s later than told.
    files.make("-i a.mp4 -c copy -output_ts_offset 95412.3 a.ts");
    let found = Ingested::of(&files.read("a.ts"));
    let first = found.frames[0].dts.to_ticks(90_000);
    let before = ((1 << 33) - first) / 90_000;
    assert!((29..=31).contains(&before), "{before} s");
    assert_eq!(found.of_track(0).len(), 1_000);
    assert!(found.figures.fixes.iter().all(|(_, n)| *n == 0));
    assert_eq!(
        (found.figures.losses, found.counters),
        (0, Counters::default())
    );
    found.is_steady(Span::from_millis(41));
    let (video, audio) = (found.of_track(0), found.of_track(1));
    let apart = video[999].dts - audio.last().unwrap().dts;
    assert!(apart.abs() < Span::from_millis(100), "{apart:?}");
}

#[test]
fn one_packet_in_a_hundred_is_lost() {
    let files = Files::new();
    files.make("-f lavfi -i testsrc2=s=320x180:r=25:d=20 -f lavfi -i sine=d=20 -c:v libx264 -preset ultrafast -g 25 -c:a aac a.ts");
    let data = files.read("a.ts");
    let (mut random, mut lost) = (7_u32, 0);
    let mut kept = Vec::new();
    for packet in data.chunks(188) {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if random >> 16 < 655 {
            lost += 1;
        } else {
            kept.extend_from_slice(packet);
        }
    }
    let (whole, found) = (Ingested::of(&data), Ingested::of(&kept));
    assert!(lost > 30, "{lost}");
    // One that is lost at either end, or behind another, is not told apart.
    let told = found.counters.cc_errors;
    assert!(told <= lost && told >= lost * 9 / 10, "{told} of {lost}");
    let by_pid: u64 = found.figures.cc_errors_by_pid.iter().map(|(_, n)| n).sum();
    assert_eq!(by_pid, told);
    assert!(found.figures.losses > 0 && found.figures.losses <= told);
    assert_eq!(whole.figures.losses, 0);
    // Each costs a picture, or a packet of ffmpeg's with several frames of sound.
    let (all, left) = (
        whole.of_track(0).len() as u64,
        found.of_track(0).len() as u64,
    );
    assert!(left >= all - lost && left < all, "{left} of {all}");
    found.is_steady(Span::from_millis(1_100));
    assert_eq!(
        found.frames.last().map(|f| f.dts),
        whole.frames.last().map(|f| f.dts)
    );
}

#[test]
fn a_clock_that_leaps_forward_and_back() {
    let files = Files::new();
    files.make(&source(H264_AAC, "a.mp4"));
    for (at, offset) in [("a", 0), ("b", 50_000), ("c", 10)] {
        files.make(&format!(
            "-i a.mp4 -c copy -output_ts_offset {offset} {at}.ts"
        ));
    }
    let data = [files.read("a.ts"), files.read("b.ts"), files.read("c.ts")].concat();
    let found = Ingested::of(&data);
    assert_eq!(found.fixes("jump"), 2);
    assert_eq!(found.of_track(0).len(), 375);
    found.is_steady(Span::from_millis(500));
    let (video, audio) = (found.of_track(0), found.of_track(1));
    for part in 0..3 {
        let start = |f: &[&Frame], n: usize| f[f.len() * n / 3].dts;
        let apart = start(&video, part) - start(&audio, part);
        assert!(apart.abs() < Span::from_millis(300), "{part}: {apart:?}");
    }
}

#[test]
fn tables_that_come_late() {
    let files = Files::new();
    files.make(&source(H264_AAC, "a.ts"));
    let data = files.read("a.ts");
    let packets: Vec<&[u8]> = data.chunks(188).collect();
    let is_table = |p: &[u8]| p[1] & 0x1f == 0x10 && p[2] == 0 || p[1] & 0x1f == 0 && p[2] < 0x12;
    // The first two seconds have none.
    let from = packets.len() * 2 / 5;
    let mut kept = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        if n > from || !is_table(packet) {
            kept.push(*packet);
        }
    }
    assert!(kept.len() < packets.len());
    let found = Ingested::of(&kept.concat());
    let video = found.of_track(0);
    assert!(
        video.len() > 40 && video[0].random_access,
        "{}",
        video.len()
    );
    assert_eq!((found.counters.cc_errors, found.figures.losses), (0, 0));
    found.is_steady(Span::from_millis(41));
}

#[test]
fn junk_and_packets_that_come_twice() {
    let files = Files::new();
    files.make(&source(H264_AAC, "a.ts"));
    let data = files.read("a.ts");
    let mut torn = Vec::new();
    let mut twice = 0;
    for (n, packet) in data.chunks(188).enumerate() {
        torn.extend_from_slice(packet);
        if n % 97 == 50 {
            torn.extend((0..n % 400).map(|b| b as u8));
        }
        if n % 89 == 60 && packet[1] & 0x1f == 1 && packet[3] & 0x10 != 0 {
            torn.extend_from_slice(packet);
            twice += 1;
        }
    }
    let found = Ingested::of(&torn);
    let whole = Ingested::of(&data);
    assert!(found.counters.repeated >= twice - 3 && twice > 5);
    assert!(found.counters.sync_losses > 5);
    let (all, left) = (whole.of_track(0).len(), found.of_track(0).len());
    // A piece of junk costs at most the packet that it lies in.
    let errors = usize::try_from(found.counters.cc_errors).unwrap();
    assert!(
        left + errors >= all && errors <= 3,
        "{left} of {all}, {errors}"
    );
    found.is_steady(Span::from_millis(200));
}
