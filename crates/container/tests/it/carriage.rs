//! What transport streams carry beside the usual: data, LATM, AV1; and how soon it is told.

use bytes::{Bytes, BytesMut};
use container::fmp4;
use container::ingest::{Assembler, Item, Output, Stats, data_track};
use container::ts::{Counters, Demux, Mux};
use media::codec::{OpaqueConfig, data};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};
use proptest::prelude::*;

use crate::mux::{demux, frame, h264, mux, picture};
use crate::real::{Files, Found, probe, source};

const fn ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn data_of(id: TrackId, fourcc: [u8; 4], descriptors: &'static [u8]) -> Track {
    let config = OpaqueConfig {
        kind: TrackKind::Data,
        fourcc,
        data: Bytes::from_static(descriptors),
    };
    Track::new(id, CodecConfig::Opaque(config))
}

/// A time signal (SCTE 35 14.1), at 0x072bd0050 on its own clock.
const SIGNAL: &[u8] = b"\xfc\x30\x34\0\0\0\0\0\0\xff\xff\xf0\x05\x06\xfe\x72\xbd\x00\x50\x00\x1e\x02\x1c\x43\x55\x45\x49\x48\x00\x00\x8e\x7f\xcf\x00\x01\xa5\x99\xb0\x08\x08\x00\x00\x00\x00\x2c\xa0\xa1\x8a\x34\x02\x00\x9a\xc9\xd1\x7e";
const NULL: &[u8] = b"\xfc\x30\x11\0\0\0\0\0\0\0\xff\xff\xff\0\0\0\x4f\x25\x33\x96";

#[test]
fn data_comes_back_with_its_descriptors() {
    let datas = [
        (data::SCTE35, &b"\x8a\x01\x02"[..], NULL),
        (
            data::ID3,
            b"\x26\x0d\xff\xffID3 \xffID3 \x05\x0f",
            b"ID3\x04\0\0\0\0\0\0",
        ),
        (
            data::KLV_ASYNC,
            b"\x05\x04KLVA\x26\x01\x00",
            b"\x06\x0e\x2b\x34\x00",
        ),
        (
            data::KLV_SYNC,
            b"\x05\x04KLVA\x26\x09\x01\x00\xffKLVA\x00\x0f",
            b"\0\0\x0f\0\x01\x05",
        ),
        (data::TELETEXT, b"\x56\x05deu\x09\x00", &[0x10; 139]),
        (
            data::DVB_SUBTITLES,
            b"\x59\x08deu\x10\x00\x01\x00\x01",
            b"\x20\0\x0f",
        ),
    ];
    let mut tracks = vec![Track::new(TrackId(0), h264())];
    let mut frames = vec![picture(ms(0), true, 300)];
    for (n, (fourcc, descriptors, payload)) in (0..).zip(datas) {
        tracks.push(data_of(data_track(n), fourcc, descriptors));
        frames.push(frame(data_track(n), ms(0), payload.to_vec()));
    }
    let (found, reader) = demux(mux(&tracks, &frames));
    assert_eq!(reader.counters(), Counters::default());
    let (mut ours, mut theirs) = (tracks, found.tracks);
    ours.sort_by_key(|t| t.id);
    theirs.sort_by_key(|t| t.id);
    assert_eq!(ours, theirs);
    let (mut ours, mut theirs) = (frames, found.frames);
    ours.sort_by_key(|f| f.track);
    theirs.sort_by_key(|f| f.track);
    assert_eq!(ours, theirs);
}

/// The time of the splice in a section, by hand.
fn due(section: &[u8]) -> u64 {
    let number = |b: &[u8]| b.iter().fold(0, |n, b| n << 8 | u64::from(*b)) & ((1 << 33) - 1);
    (number(&section[4..9]) + number(&section[14..19])) % (1 << 33)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
    /// However the clock is moved on the way, a splice is due when the pictures of its time are.
    #[test]
    fn splices_keep_their_time(
        source in 0_i64..3_000_000_000_000, moved in -2_000_000_000_000_i64..2_000_000_000_000, ahead in 0_i64..600_000,
    ) {
        let tracks = [Track::new(TrackId(0), h264()), data_of(data_track(0), data::SCTE35, b"")];
        let cue = Frame { pts: ms(source + ahead), ..frame(data_track(0), ms(source), SIGNAL.to_vec()) };
        let frames = |by: i64, cue: &Frame| {
            let shift = Span::from_millis(by);
            let cue = Frame { dts: cue.dts + shift, pts: cue.pts + shift, ..cue.clone() };
            [picture(ms(source + by), true, 10), cue]
        };
        let ticks = |t: Timestamp| t.to_ticks(90_000).rem_euclid(1 << 33).unsigned_abs();
        let (found, _) = demux(mux(&tracks, &frames(0, &cue)));
        let read = found.of_track(0x4000)[0];
        prop_assert_eq!(read.pts - read.dts, Span::from_millis(ahead));
        prop_assert_eq!(due(&read.payload), ticks(cue.pts));
        let read = Frame { dts: cue.dts, pts: cue.pts, ..read.clone() };
        let (found, _) = demux(mux(&tracks, &frames(moved, &read)));
        let again = found.of_track(0x4000)[0];
        prop_assert_eq!(due(&again.payload), ticks(cue.pts + Span::from_millis(moved)));
        prop_assert_eq!(again.pts - again.dts, Span::from_millis(ahead));
        // Nothing but `pts_adjustment` and the CRC is another one.
        prop_assert_eq!(&again.payload[9..again.payload.len() - 4], &SIGNAL[9..SIGNAL.len() - 4]);
    }
}

#[test]
fn cues_neither_open_nor_hold_up_anything() {
    let tracks = [
        Track::new(TrackId(0), h264()),
        data_of(data_track(0), data::SCTE35, b""),
    ];
    let mut frames = vec![frame(data_track(0), ms(0), NULL.to_vec())];
    for n in 0..60 {
        frames.push(picture(ms(n * 40), n % 25 == 0, 500));
        if n % 10 == 3 {
            frames.push(Frame {
                pts: ms(n * 40 + 20_000),
                ..frame(data_track(0), ms(n * 40), SIGNAL.to_vec())
            });
        }
    }
    let mut items = Vec::new();
    let mut demux = Demux::default();
    demux.push(mux(&tracks, &frames), &mut items);
    let stats = std::sync::Arc::new(Stats::new(|| Timestamp::ZERO));
    let mut assembler = Assembler::new(std::sync::Arc::clone(&stats));
    assembler.announce(true, false);
    let mut out = Vec::new();
    let mut now = ms(0);
    for item in items {
        if let Item::Frame(f) = &item
            && f.track == TrackId(0)
        {
            now = f.dts;
        }
        assembler.item(item, now, &mut out);
    }
    assert!(matches!(&out[0], Output::Tracks(t) if t.len() == 2));
    let frames: Vec<&Frame> = out
        .iter()
        .filter_map(|o| match o {
            Output::Frame(f) => Some(f),
            _ => None,
        })
        .collect();
    assert_eq!(frames[0].track, TrackId(0), "a picture first");
    let cues: Vec<_> = frames.iter().filter(|f| f.track != TrackId(0)).collect();
    assert_eq!(cues.len(), 6);
    for cue in cues {
        assert_eq!(cue.pts - cue.dts, Span::from_millis(20_000));
    }
    let figures = stats.figures();
    assert_eq!(figures.video_frames, 60);
    assert!(figures.fixes.iter().all(|(_, n)| *n == 0), "{figures:?}");
}

#[test]
fn aac_in_latm() {
    for channels in [1, 2, 6] {
        let files = Files::new();
        let codecs = format!("-c:v libx264 -preset ultrafast -c:a aac -ac {channels}");
        let mp4 = files.make(&source(&codecs, "a.mp4"));
        files.make("-i a.mp4 -c copy -mpegts_flags latm a.ts");
        let (found, reader) = demux(files.read("a.ts"));
        assert_eq!(found.codecs(), ["h264", "aac"]);
        assert_eq!(reader.counters(), Counters::default());
        assert_eq!(found.ignored, Vec::<&str>::new());
        let audio = found.tracks[1].config.audio().unwrap();
        assert_eq!((audio.channels, audio.sample_rate), (channels, 48_000));
        let hashes =
            |p: Vec<crate::real::Packet>| -> Vec<_> { p.into_iter().map(|p| p.hash).collect() };
        assert_eq!(hashes(found.packets(1, 90_000)), hashes(probe(&mp4, "a:0")));
        // And on as ADTS.
        let (again, _) = demux(mux(&found.tracks, &found.frames));
        assert_eq!(again.of_track(1).len(), found.of_track(1).len());
    }
}

#[test]
fn av1_goes_around() {
    let files = Files::new();
    files.make(&source(
        "-c:v libaom-av1 -cpu-used 8 -g 25 -t 2 -c:a aac",
        "whole.mp4",
    ));
    files.make("-i whole.mp4 -c copy -movflags +frag_keyframe+empty_moov a.mp4");
    let (mut reader, mut items) = (fmp4::Demux::default(), Vec::new());
    reader.push(files.read("a.mp4"), &mut items).unwrap();
    reader.flush(&mut items);
    let file = Found::of(items);
    assert_eq!(file.codecs(), ["av1", "aac"]);
    let (found, reader) = demux(mux(&file.tracks, &file.frames));
    assert_eq!(reader.counters(), Counters::default());
    assert_eq!(found.tracks[0], file.tracks[0]);
    let told = |f: &Found| -> Vec<_> {
        let frames = f.of_track(0).into_iter();
        frames
            .map(|f| (f.random_access, f.payload.clone()))
            .collect()
    };
    assert_eq!(told(&found).len(), 50);
    assert_eq!(told(&found), told(&file));
    // ffmpeg writes OBUs as they are and no descriptor that would say so: ours says it.
    files.make("-i whole.mp4 -map 0:v -c copy a.ts");
    let (mut tables, mut raw) = (Mux::new(), BytesMut::new());
    tables.tracks(&file.tracks);
    tables.tables(&mut raw);
    for packet in files.read("a.ts").chunks(188) {
        if packet[1] & 0x1f == 1 && packet[2] == 0 {
            raw.extend_from_slice(packet);
        }
    }
    let (found, _) = demux(raw.freeze());
    assert_eq!(told(&found), told(&file));
}

/// How many pictures were told before the next one began, of those after the first `skip`.
fn told_at_once(data: &Bytes, pid: u16, skip: usize) -> (usize, usize) {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    let (mut begun, mut told, mut all) = (0, 0, 0);
    for at in (0..data.len()).step_by(188) {
        let packet = data.slice(at..at + 188);
        if packet[1] & 0x5f == 0x40 | (pid >> 8) as u8 && packet[2] == (pid & 0xff) as u8 {
            let frames = items
                .iter()
                .filter(|i| matches!(i, Item::Frame(f) if f.track == TrackId(0)))
                .count();
            if begun > skip {
                all += 1;
                told += usize::from(frames == begun);
            }
            begun += 1;
        }
        demux.push(packet, &mut items);
    }
    assert!(
        !items
            .iter()
            .any(|i| matches!(i, Item::Lost | Item::Ignored(_)))
    );
    (told, all)
}

#[test]
fn pictures_do_not_wait_for_the_next_one() {
    let files = Files::new();
    files.make(&source(
        "-c:v libx264 -preset veryfast -g 50 -b:v 800k -c:a aac",
        "a.ts",
    ));
    // ffmpeg tells no length: a picture waits where it fills its last packet, once in 184 times.
    let theirs = files.read("a.ts");
    let (told, all) = told_at_once(&theirs, 0x100, 30);
    assert!(all > 90 && told >= all - 3, "{told} of {all}");
    // Ours does wherever it can.
    let (found, _) = demux(theirs);
    let ours = mux(&found.tracks, &found.frames);
    let (told, all) = told_at_once(&ours, 0x100, 0);
    assert_eq!(told, all);
}

#[test]
fn gstreamer_tells_no_length_either() {
    let files = Files::new();
    let pipeline = "videotestsrc num-buffers=100 ! video/x-raw,width=160,height=90,framerate=25/1 \
        ! x264enc speed-preset=veryfast bframes=0 key-int-max=25 ! mpegtsmux ! filesink location=g.ts";
    let status = std::process::Command::new("gst-launch-1.0")
        .arg("-q")
        .args(pipeline.split_whitespace())
        .current_dir(files.path(""))
        .status()
        .expect("GStreamer; run `make setup`");
    assert!(status.success());
    let (told, all) = told_at_once(&files.read("g.ts"), 0x41, 30);
    assert!(all > 60 && told >= all - 3, "{told} of {all}");
}

#[test]
fn one_mux_writes_segments_and_goes_on() {
    let tracks = [
        Track::new(TrackId(0), h264()),
        data_of(data_track(0), data::SCTE35, b""),
    ];
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    mux.tracks(&tracks);
    for n in 0..20 {
        // Cues, and tiny data, are spread too; however short, a segment has tables.
        let start = n * 70;
        let frames = [
            picture(ms(start), true, 1),
            frame(data_track(0), ms(start), NULL.to_vec()),
            picture(ms(start + 40), false, 1),
        ];
        mux.segment(frames.iter(), &mut out);
    }
    let (found, reader) = demux(out.freeze());
    assert_eq!(reader.counters(), Counters::default());
    assert_eq!((found.frames.len(), found.ignored), (60, vec![]));
}
