//! What is written as a transport stream, read by others and by ourselves.

use std::path::Path;
use std::process::Command;

use bytes::{Bytes, BytesMut};
use container::ingest::{audio_track, data_track};
use container::ts::{Demux, Mux};
use media::codec::{AacConfig, H264Config, OpaqueConfig, OpusConfig, data};
use media::{CodecConfig, Frame, Role, Span, Timestamp, Track, TrackId, TrackKind};
use mpeg2ts::ts::{ReadTsPacket as _, TsPacket, TsPacketReader, TsPayload};
use proptest::prelude::*;

use crate::real::{Files, Found, probe, source};

pub fn demux(data: Bytes) -> (Found, Demux) {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(data, &mut items);
    demux.flush(&mut items);
    (Found::of(items), demux)
}

pub fn mux(tracks: &[Track], frames: &[Frame]) -> Bytes {
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    assert_eq!(mux.tracks(tracks), []);
    for frame in frames {
        mux.frame(frame, &mut out);
    }
    assert_eq!(mux.refused(), 0);
    out.freeze()
}

/// What ffmpeg finds wrong with a file, at every level of talk.
fn complaints(file: &Path) -> Vec<String> {
    let run = |args: &[&str]| {
        let out = Command::new("ffmpeg")
            .args(["-v", args[0], "-nostdin", "-i"])
            .arg(file)
            .args(&args[1..])
            .args(["-f", "null", "-"])
            .output()
            .expect("ffmpeg; run `make setup`");
        assert!(out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let debug = run(&["debug", "-map", "0", "-c", "copy"]);
    let wrong = [
        "Continuity",
        "corrupt",
        "discont",
        "non monoton",
        "Invalid",
        "PES packet size",
    ];
    let found = debug
        .lines()
        .filter(|l| wrong.iter().any(|w| l.contains(w)));
    let decoded = run(&["warning"]);
    found.chain(decoded.lines()).map(str::to_owned).collect()
}

/// Reading and writing once more changes nothing.
fn same(one: &Found, other: &Found) {
    assert_eq!(one.tracks, other.tracks);
    assert_eq!(other.ignored, Vec::<&str>::new());
    assert_eq!(one.frames.len(), other.frames.len());
    for track in &one.tracks {
        let of = |found: &Found| found.packets(track.id.0, 90_000);
        assert_eq!(of(one), of(other), "{}", track.config.name());
    }
}

#[test]
fn ffmpeg_reads_each_codec() {
    const X265: &str =
        "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=24:open-gop=1:bframes=3";
    const X264: &str = "-c:v libx264 -preset veryfast -g 25 -bf 2";
    for (video, audio) in [
        (X264, "aac"),
        (X265, "libopus"),
        (X264, "ac3"),
        (X264, "eac3"),
        (X264, "mp2"),
        (X265, "libmp3lame"),
        (X264, "mp2 -ar 22050"),
    ] {
        let files = Files::new();
        files.make(&source(&format!("{video} -c:a {audio} -ac 2"), "a.ts"));
        let (found, _) = demux(files.read("a.ts"));
        let written = mux(&found.tracks, &found.frames);
        assert_eq!(written.len() % 188, 0);
        let ours = files.write("b.ts", &written);
        let (again, reader) = demux(written);
        assert_eq!(reader.counters(), container::ts::Counters::default());
        same(&found, &again);
        assert_eq!(complaints(&ours), Vec::<String>::new(), "{audio}");
        for (number, stream) in [(0, "v:0"), (1, "a:0")] {
            let (theirs, ours) = (probe(&ours, stream), found.packets(number, 90_000));
            let times = |p: &[crate::real::Packet]| -> Vec<_> {
                p.iter().map(|p| (p.pts, p.dts, p.key)).collect()
            };
            assert_eq!(times(&theirs), times(&ours), "{video} {audio} {stream}");
        }
    }
}

#[test]
fn segments_made_apart_are_one_stream() {
    let files = Files::new();
    files.make(&source(
        "-c:v libx264 -preset veryfast -g 10 -bf 2 -c:a aac -ac 2",
        "a.ts",
    ));
    let (found, _) = demux(files.read("a.ts"));
    let starts: Vec<usize> = (0..found.frames.len())
        .filter(|i| found.frames[*i].track == TrackId(0) && found.frames[*i].random_access)
        .collect();
    assert_eq!(starts.len(), 13);
    let mut whole = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        // One node made the first ones, and each of the others a single one.
        let end = starts.get(n + 1).copied().unwrap_or(found.frames.len());
        let (mut mux, mut out) = (Mux::new(), BytesMut::new());
        mux.tracks(&found.tracks);
        if n % 2 == 1 {
            mux.frame(&found.frames[0], &mut out);
            out.clear();
        }
        mux.segment(found.frames[*start..end].iter(), &mut out);
        let (alone, _) = demux(out.clone().freeze());
        assert_eq!(alone.frames.len(), end - start, "decodable by itself");
        whole.extend(out);
    }
    let ours = files.write("b.ts", &whole);
    let (again, reader) = demux(whole.into());
    assert_eq!(reader.counters(), container::ts::Counters::default());
    same(&found, &again);
    assert_eq!(complaints(&ours), Vec::<String>::new());
}

#[test]
fn gstreamer_reads_it() {
    let files = Files::new();
    files.make(&source(
        "-c:v libx264 -preset veryfast -g 25 -bf 2 -c:a aac -ac 2",
        "a.ts",
    ));
    let (found, _) = demux(files.read("a.ts"));
    files.write("b.ts", &mux(&found.tracks, &found.frames));
    let status = Command::new("gst-launch-1.0")
        .arg("-q")
        .args("filesrc location=b.ts ! tsdemux name=d d. ! queue ! h264parse ! mp4mux name=m ! filesink location=b.mp4 d. ! queue ! aacparse ! m.".split(' '))
        .current_dir(files.path(""))
        .status()
        .expect("GStreamer; run `make setup`");
    assert!(status.success());
    assert_eq!(probe(&files.path("b.mp4"), "v:0").len(), 125);
    // Its sound begins and ends where the pictures do; of ffmpeg's file it leaves out two.
    let sound = probe(&files.path("b.mp4"), "a:0").len();
    assert!(found.of_track(1).len() - sound <= 2);
}

pub fn h264() -> CodecConfig {
    const AVCC: &[u8] = b"\x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xda\x02\x80\xbf\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x58\xba\x80\x01\x00\x04\x68\xce\x0f\xc8";
    CodecConfig::H264(H264Config::parse(Bytes::from_static(AVCC)).unwrap())
}

fn aac() -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
}

fn opaque(id: TrackId, fourcc: [u8; 4]) -> Track {
    let (kind, data) = (TrackKind::Data, Bytes::new());
    Track::new(id, CodecConfig::Opaque(OpaqueConfig { kind, fourcc, data }))
}

pub fn frame(track: TrackId, dts: Timestamp, payload: Vec<u8>) -> Frame {
    Frame {
        track,
        dts,
        pts: dts,
        duration: None,
        random_access: true,
        leading: false,
        payload: payload.into(),
    }
}

/// A picture of one slice.
pub fn picture(dts: Timestamp, key: bool, bytes: usize) -> Frame {
    let mut payload = u32::try_from(bytes + 1).unwrap().to_be_bytes().to_vec();
    payload.push(if key { 0x65 } else { 0x41 });
    payload.extend(std::iter::repeat_n(0x11, bytes));
    Frame {
        random_access: key,
        ..frame(TrackId(0), dts, payload)
    }
}

fn packets(data: &[u8]) -> Vec<TsPacket> {
    let mut reader = TsPacketReader::new(data);
    std::iter::from_fn(|| reader.read_ts_packet().unwrap()).collect()
}

/// Every clock reference, in ticks of 27 MHz.
fn references(data: &[u8]) -> Vec<u64> {
    let field = |p: TsPacket| p.adaptation_field?.pcr.map(|c| c.as_u64());
    packets(data).into_iter().filter_map(field).collect()
}

fn clock_is_steady(data: &[u8]) {
    let references = references(data);
    assert!(references.len() > 1);
    for pair in references.windows(2) {
        let step = (pair[1] + (300 << 33) - pair[0]) % (300 << 33);
        assert!(step > 0 && step <= 27_000 * 40, "{step}");
    }
}

#[test]
fn the_clock_is_told_every_forty_milliseconds() {
    let ms = Timestamp::from_millis;
    // One picture a second with sound and without, across the wrap; then sound alone.
    let start = 95_443_000 * 3;
    let tracks = [
        Track::new(TrackId(0), h264()),
        Track::new(TrackId(1), aac()),
    ];
    let pictures = (0..6).map(|n| picture(ms(start + n * 1000), true, 500));
    let alone: Vec<Frame> = pictures.clone().collect();
    clock_is_steady(&mux(&tracks[..1], &alone));
    let sound = |n: i64| frame(TrackId(1), ms(start + n * 20), vec![7; 200]);
    let mut both: Vec<Frame> = (0..300).map(sound).collect();
    both.extend(pictures);
    both.sort_by_key(|f| (f.dts, f.track));
    clock_is_steady(&mux(&tracks, &both));
    let slow: Vec<Frame> = (0..100)
        .map(|n| frame(TrackId(1), ms(n * 64), vec![7; 99]))
        .collect();
    clock_is_steady(&mux(&tracks[1..], &slow));
}

#[test]
fn tables_are_told_often_and_before_keyframes() {
    let ms = Timestamp::from_millis;
    let tracks = [Track::new(TrackId(0), h264())];
    let frames: Vec<Frame> = (0..75)
        .map(|n| picture(ms(n * 40), n % 25 == 0, 10))
        .collect();
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    mux.tracks(&tracks);
    let mut since = 0;
    for frame in &frames {
        out.clear();
        mux.frame(frame, &mut out);
        let has = out[..4] == [0x47, 0x40, 0, 0x10 | out[3] & 15];
        assert!(has || !frame.random_access);
        since = if has { 0 } else { since + 1 };
        assert!(since < 3);
    }
    // Told by hand, they are not told again.
    out.clear();
    mux.tables(&mut out);
    mux.frame(&picture(ms(3_000), true, 10), &mut out);
    assert_eq!(packets(&out).len(), 3);
    // A changed set is told at once, with another version.
    out.clear();
    mux.tracks(&[tracks[0].clone(), Track::new(TrackId(1), aac())]);
    mux.frame(&picture(ms(3_040), false, 10), &mut out);
    let packets = packets(&out);
    let Some(TsPayload::Pmt(_)) = &packets[1].payload else {
        panic!("{packets:?}");
    };
}

#[test]
fn a_table_may_be_longer_than_a_packet() {
    let mut tracks = vec![Track::new(TrackId(0), h264())];
    for n in 0..60 {
        let config = CodecConfig::Opus(OpusConfig::new(2));
        let mut track = Track::new(audio_track(n), config);
        track.language = Some("de".to_owned());
        if n == 3 {
            track.role = Role::Description;
        }
        tracks.push(track);
    }
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    // 5 bytes, 16 of descriptors; in 1,024 less 16 and what the picture takes.
    let left_out = mux.tracks(&tracks);
    assert_eq!(left_out.len(), 60 - (1024 - 16 - 5) / 21);
    for track in &tracks {
        mux.frame(
            &Frame {
                track: track.id,
                ..picture(Timestamp::ZERO, true, 9)
            },
            &mut out,
        );
    }
    let config = container::ts::Config {
        tracks: 99,
        ..Default::default()
    };
    let (mut demux, mut items) = (Demux::new(config), Vec::new());
    demux.push(out.freeze(), &mut items);
    demux.flush(&mut items);
    let found = Found::of(items);
    assert_eq!(found.tracks, tracks[..tracks.len() - left_out.len()]);
    assert_eq!(demux.counters(), container::ts::Counters::default());
}

#[test]
fn what_has_no_mapping_is_left_out() {
    let flac = opaque(TrackId(3), *b"xxxx");
    let mut mux = Mux::new();
    let tracks = [
        Track::new(TrackId(0), h264()),
        flac,
        opaque(data_track(0), data::ID3),
    ];
    assert_eq!(mux.tracks(&tracks), [TrackId(3)]);
    let mut out = BytesMut::new();
    mux.frame(&frame(TrackId(3), Timestamp::ZERO, vec![1]), &mut out);
    mux.frame(&frame(TrackId(9), Timestamp::ZERO, vec![1]), &mut out);
    assert!(out.is_empty());
    for payload in [vec![], vec![0, 0, 0, 9, 1]] {
        mux.frame(&frame(TrackId(0), Timestamp::ZERO, payload), &mut out);
    }
    mux.frame(
        &frame(data_track(0), Timestamp::ZERO, vec![0; 70_000]),
        &mut out,
    );
    assert_eq!(mux.refused(), 3);
}

#[test]
fn ffprobe_knows_the_data() {
    let files = Files::new();
    let ms = Timestamp::from_millis;
    let cue = b"\xfc\x30\x11\0\0\0\0\0\0\0\xff\xff\xff\0\0\0\x4f\x25\x33\x96";
    let datas = [
        (data::SCTE35, &cue[..], "scte_35"),
        (
            data::ID3,
            b"ID3\x04\0\0\0\0\0\x0cTXXX\0\0\0\x02\0\0\x03\0",
            "timed_id3",
        ),
        (
            data::KLV_ASYNC,
            b"\x06\x0e\x2b\x34\x02\x0b\x01\x01\x0e\x01\x03\x01\x01\0\0\0\0",
            "klv",
        ),
        (
            data::KLV_SYNC,
            b"\0\0\x0f\0\x11\x06\x0e\x2b\x34\x02\x0b\x01\x01\x0e\x01\x03\x01\x01\0\0\0\0",
            "klv",
        ),
        (data::TELETEXT, &[0x10; 139], "dvb_teletext"),
        (
            data::DVB_SUBTITLES,
            b"\x20\0\x0f\x10\0\x01\0\0\xff",
            "dvb_subtitle",
        ),
    ];
    let id = |n: usize| data_track(u16::try_from(n).unwrap());
    let mut tracks = vec![Track::new(TrackId(0), h264())];
    tracks.extend((0..datas.len()).map(|n| opaque(id(n), datas[n].0)));
    let mut frames = Vec::new();
    for t in 0..50 {
        frames.push(picture(ms(t * 40), t % 25 == 0, 100));
        for (n, (_, payload, _)) in datas.iter().enumerate() {
            if t % 5 == 1 {
                frames.push(frame(id(n), ms(t * 40), payload.to_vec()));
            }
        }
    }
    let ours = files.write("a.ts", &mux(&tracks, &frames));
    let out = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
        ])
        .arg(&ours)
        .output()
        .unwrap();
    let names = String::from_utf8_lossy(&out.stdout);
    let names: Vec<&str> = names.lines().filter(|l| !l.is_empty()).collect();
    let wanted: Vec<&str> = datas.iter().map(|d| d.2).collect();
    assert!(names.ends_with(&wanted), "{names:?}");
    for (n, name) in wanted.iter().enumerate() {
        let stream = (n + 1).to_string();
        assert_eq!(probe(&ours, &stream).len(), 10, "{name}");
    }
}

/// A first picture without a length is told behind the sound that follows it; where that lies beyond
/// the wrap, the picture lies before zero, and as far from the sound as it was sent.
#[test]
fn a_picture_from_before_the_wrap_may_be_told_behind_it() {
    let ms = Timestamp::from_millis;
    let start = 95_443_700;
    let tracks = [
        Track::new(TrackId(0), h264()),
        Track::new(TrackId(1), aac()),
    ];
    let frames = [
        picture(ms(start), true, 70_000),
        frame(TrackId(1), ms(start + 100), vec![3; 9]),
        picture(ms(start + 200), false, 9),
    ];
    let (found, _) = demux(mux(&tracks, &frames));
    let told: Vec<_> = found.frames.iter().map(|f| f.track.0).collect();
    assert_eq!(told, [1, 0, 0]);
    assert_eq!(found.frames[1].dts.to_ticks(90_000), start * 90 - (1 << 33));
    assert_eq!(
        found.frames[0].dts - found.frames[1].dts,
        Span::from_millis(100)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
    /// Whatever the sizes and the times, another reader finds whole packets whose counters follow
    /// each other, and ours finds the frames.
    #[test]
    fn frames_come_back(
        start in prop_oneof![Just(0_i64), Just(95_443_700), 0_i64..4_000_000_000_000],
        sizes in prop::collection::vec((prop_oneof![4 => 1_usize..1000, 1 => 1000_usize..100_000], prop_oneof![1_usize..20, 20_usize..900], 1_i64..500, 0_i64..200), 2..40),
        cut in 1_usize..40,
    ) {
        let tracks = [Track::new(TrackId(0), h264()), Track::new(TrackId(1), aac())];
        let mut time = Timestamp::from_millis(start);
        let mut frames = Vec::new();
        for (i, (video, audio, step, ahead)) in sizes.into_iter().enumerate() {
            let mut picture = picture(time, i % 7 == 0, video);
            picture.pts += Span::from_millis(ahead);
            frames.push(picture);
            frames.push(frame(TrackId(1), time + Span::from_millis(step / 2), vec![3; audio]));
            time += Span::from_millis(step);
        }
        let cut = cut.min(frames.len() - 1);
        let parts = [&frames[..cut], &frames[cut..]];
        let whole = mux(&tracks, &frames);
        let segments: Vec<u8> = parts.iter().flat_map(|part| {
            let (mut mux, mut out) = (Mux::new(), BytesMut::new());
            mux.tracks(&tracks);
            mux.segment(part.iter(), &mut out);
            out
        }).collect();
        let times = |f: &Frame| (f.track, (f.dts.to_ticks(90_000), f.pts.to_ticks(90_000)), f.random_access, f.payload.clone());
        for data in [whole, Bytes::from(segments)] {
            let packets = packets(&data);
            prop_assert_eq!(packets.len() * 188, data.len());
            let (found, demux) = demux(data);
            prop_assert_eq!(demux.counters(), container::ts::Counters::default());
            prop_assert_eq!(found.frames.len(), frames.len());
            // The reader begins within the round in which a frame is whole first.
            let first = found.of_track(0)[0].dts.to_ticks(90_000);
            let wrapped = frames[0].dts.to_ticks(90_000) - first;
            prop_assert_eq!(wrapped.rem_euclid(1 << 33), 0);
            for track in [TrackId(0), TrackId(1)] {
                let of = |frames: &[Frame], back: i64| -> Vec<_> {
                    let of = frames.iter().filter(|f| f.track == track).map(times);
                    of.map(|(t, (d, p), r, b)| (t, d - back, p - back, r, b)).collect()
                };
                prop_assert_eq!(of(&found.frames, 0), of(&frames, wrapped));
            }
        }
    }
}
