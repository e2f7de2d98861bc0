use bytes::Bytes;
use container::ts::{Config, Demux};

use crate::real::{Files, Found, Packet, probe, source};

const H264_AAC: &str = "-c:v libx264 -preset veryfast -g 25 -bf 2 -c:a aac -ac 2";

fn demux(data: &Bytes, piece: usize) -> (Found, Demux) {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    for at in (0..data.len()).step_by(piece) {
        demux.push(data.slice(at..data.len().min(at + piece)), &mut items);
    }
    demux.flush(&mut items);
    (Found::of(items), demux)
}

/// Hashes of payloads, as the file tells them that the transport stream was made of.
fn hashes(packets: &[Packet]) -> Vec<&str> {
    packets.iter().map(|p| &p.hash[..8]).collect()
}

/// Times of ours against those that ffprobe reads from the same transport stream.
fn same_times(ours: &[Packet], theirs: &[Packet]) {
    let times = |p: &[Packet]| -> Vec<_> { p.iter().map(|p| (p.dts, p.pts, p.key)).collect() };
    assert_eq!(times(ours), times(theirs));
}

#[test]
fn h264_and_aac_with_b_frames() {
    let files = Files::new();
    let mp4 = files.make(&source(H264_AAC, "a.mp4"));
    let ts = files.make("-i a.mp4 -c copy a.ts");
    let data = files.read("a.ts");
    for piece in [188, 1316, 1000, 1 << 20] {
        let (found, demux) = demux(&data, piece);
        assert_eq!(found.codecs(), ["h264", "aac"], "{piece}");
        let video = found.packets(0, 90_000);
        assert_eq!(video.len(), 125);
        assert_eq!(hashes(&video), hashes(&probe(&mp4, "v:0")));
        same_times(&video, &probe(&ts, "v:0"));
        let audio = found.packets(1, 90_000);
        assert_eq!(hashes(&audio), hashes(&probe(&mp4, "a:0")));
        same_times(&audio, &probe(&ts, "a:0"));
        assert_eq!(demux.counters(), container::ts::Counters::default());
        assert_eq!(found.ignored, Vec::<&str>::new());
        let size = found.tracks[0].config.video().unwrap();
        assert_eq!(
            (size.width, size.height, size.frame_rate),
            (160, 90, Some((25, 1)))
        );
    }
}

#[test]
fn hevc_with_open_groups_and_opus() {
    let files = Files::new();
    let codecs = "-c:v libx265 -preset veryfast -x265-params log-level=none:keyint=24:open-gop=1:bframes=3:b-adapt=0:scenecut=0 -c:a libopus -ac 2";
    let mp4 = files.make(&source(codecs, "a.mp4"));
    let ts = files.make("-i a.mp4 -c copy a.ts");
    let (found, _) = demux(&files.read("a.ts"), 1316);
    assert_eq!(found.codecs(), ["h265", "opus"]);
    let video = found.packets(0, 90_000);
    assert_eq!(video.len(), 125);
    // The parameter sets stay in the keyframes of ffmpeg's file.
    let others = |packets: &[Packet]| -> Vec<_> {
        let others = packets.iter().filter(|p| !p.key);
        others.map(|p| p.hash.clone()).collect()
    };
    assert!(others(&video).len() > 100 && others(&video) == others(&probe(&mp4, "v:0")));
    same_times(&video, &probe(&ts, "v:0"));
    assert!(found.of_track(0).iter().any(|f| f.leading));
    let audio = found.packets(1, 90_000);
    assert_eq!(hashes(&audio), hashes(&probe(&mp4, "a:0")));
    let size = found.tracks[0].config.video().unwrap();
    assert_eq!(
        (size.width, size.height, size.frame_rate),
        (160, 90, Some((25, 1)))
    );
}

#[test]
fn sound_of_other_kinds() {
    for (encoder, name) in [
        ("ac3", "ac3"),
        ("eac3", "eac3"),
        ("mp2", "mp2"),
        ("libmp3lame", "mp3"),
    ] {
        let files = Files::new();
        let codecs = format!(
            "-c:v libx265 -preset ultrafast -x265-params log-level=none -c:a {encoder} -ac 2"
        );
        let ts = files.make(&source(&codecs, "a.ts"));
        let (found, _) = demux(&files.read("a.ts"), 1316);
        assert_eq!(found.codecs(), ["h265", name]);
        let (ours, theirs) = (found.packets(1, 90_000), probe(&ts, "a:0"));
        assert!(ours.len() > 100);
        assert_eq!(hashes(&ours), hashes(&theirs), "{name}");
        for (our, their) in ours.iter().zip(&theirs) {
            // Where a packet holds several frames, ffprobe rounds each step.
            assert!(
                (our.pts - their.pts).abs() <= 3,
                "{name}: {our:?} {their:?}"
            );
        }
    }
}

#[test]
fn clocks_wrap_without_a_leap() {
    let files = Files::new();
    files.make(&source(H264_AAC, "a.mp4"));
    files.make("-i a.mp4 -c copy plain.ts");
    files.make("-i a.mp4 -c copy -output_ts_offset 95440 wrap.ts");
    let (plain, _) = demux(&files.read("plain.ts"), 1316);
    let (wrapped, _) = demux(&files.read("wrap.ts"), 1316);
    let first = |found: &Found| found.of_track(0)[0].dts.to_ticks(90_000);
    let offset = first(&wrapped) - first(&plain);
    let mut beyond = 0;
    for track in [0, 1] {
        let wrapped = wrapped.packets(track, 90_000);
        assert_eq!(wrapped.len(), plain.packets(track, 90_000).len());
        for (w, p) in wrapped.iter().zip(plain.packets(track, 90_000)) {
            assert_eq!(
                (w.dts, w.pts, &w.hash),
                (p.dts + offset, p.pts + offset, &p.hash)
            );
            beyond += usize::from(w.dts >= 1 << 33);
        }
    }
    assert!(beyond > 100, "the file crosses the wrap");
}

#[test]
fn several_sounds_have_their_languages() {
    let files = Files::new();
    files.make(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=2 -f lavfi -i sine=d=2 -f lavfi -i sine=f=300:d=2 \
         -map 0 -map 1 -map 2 -c:v libx264 -preset ultrafast -c:a aac -metadata:s:a:0 language=eng \
         -metadata:s:a:1 language=deu a.ts",
    );
    let (found, _) = demux(&files.read("a.ts"), 1316);
    let told: Vec<_> = found
        .tracks
        .iter()
        .map(|t| (t.id.0, t.language.as_deref()))
        .collect();
    assert!(told.contains(&(0, None)), "{told:?}");
    assert!(
        told.contains(&(1, Some("en"))) && told.contains(&(3, Some("de"))),
        "{told:?}"
    );
}

#[test]
fn lost_and_repeated_packets_cost_what_they_hit() {
    let files = Files::new();
    files.make(&source(H264_AAC, "a.ts"));
    let data = files.read("a.ts");
    let (whole, _) = demux(&data, 1316);
    let mut packets: Vec<&[u8]> = data.chunks(188).collect();
    // A packet in the middle of a picture, then one again, then junk.
    let is_video = |p: &[u8]| p[1] & 0x5f == 0x01 && p[2] == 0 && p[3] & 0x30 == 0x10;
    let at = packets.iter().skip(300).position(|p| is_video(p)).unwrap() + 300;
    packets.remove(at);
    let again = (at + 50..).find(|i| is_video(packets[*i])).unwrap();
    packets.insert(again, packets[again]);
    packets.insert(again + 40, &[0, 0x47, 0, 1, 2]);
    let damaged: Bytes = packets.concat().into();
    let (found, demux) = demux(&damaged, 1000);
    let counters = demux.counters();
    assert_eq!(
        (counters.cc_errors, counters.repeated, counters.sync_losses),
        (1, 1, 1)
    );
    assert_eq!(found.ignored, ["damaged access unit"]);
    assert_eq!((found.losses, whole.losses), (1, 0));
    assert_eq!(found.frames.len(), whole.frames.len() - 1);
}

#[test]
fn segments_are_flushed_one_by_one() {
    let files = Files::new();
    files.make(&source(H264_AAC, "a.mp4"));
    files.make("-i a.mp4 -c copy -f segment -segment_time 1 -segment_format mpegts s%d.ts");
    files.make("-i a.mp4 -c copy a.ts");
    let (whole, _) = demux(&files.read("a.ts"), 1316);
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    for n in 0..5 {
        demux.push(files.read(&format!("s{n}.ts")), &mut items);
        demux.flush(&mut items);
    }
    let found = Found::of(items);
    assert_eq!(found.codecs(), ["h264", "aac"]);
    assert_eq!(found.frames.len(), whole.frames.len());
    assert_eq!(
        hashes(&found.packets(0, 90_000)),
        hashes(&whole.packets(0, 90_000))
    );
    assert_eq!(demux.counters(), container::ts::Counters::default());
}

#[test]
fn of_several_programmes_one_is_chosen() {
    let files = Files::new();
    files.make(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -f lavfi -i testsrc2=s=320x180:r=25:d=1 -map 0 -map 1 \
         -c:v libx264 -preset ultrafast -program program_num=7:st=0 -program program_num=9:st=1 a.ts",
    );
    let data = files.read("a.ts");
    for (programme, width) in [(None, 160), (Some(7), 160), (Some(9), 320), (Some(8), 0)] {
        let config = Config {
            programme,
            ..Config::default()
        };
        let (mut demux, mut items) = (Demux::new(config), Vec::new());
        demux.push(data.clone(), &mut items);
        demux.flush(&mut items);
        let found = Found::of(items);
        let widths: Vec<_> = found
            .tracks
            .iter()
            .filter_map(|t| t.config.video())
            .map(|v| v.width)
            .collect();
        assert_eq!(
            widths,
            if width == 0 { vec![] } else { vec![width] },
            "{programme:?}"
        );
        assert_eq!(found.frames.len(), if width == 0 { 0 } else { 25 });
    }
}

#[test]
fn streams_change_with_the_programme_table() {
    let files = Files::new();
    files.make(&source(H264_AAC, "a.mp4"));
    files.make("-i a.mp4 -c copy a.ts");
    files.make(
        "-i a.mp4 -c copy -map 0:v -output_ts_offset 5 -mpegts_flags +initial_discontinuity b.ts",
    );
    files.make("-i a.mp4 -c:v copy -c:a ac3 -output_ts_offset 10 -mpegts_start_pid 0x200 c.ts");
    // The table's version tells nothing: another one is another one.
    let data = [files.read("a.ts"), files.read("b.ts"), files.read("c.ts")].concat();
    let (found, _) = demux(&data.into(), 1316);
    assert_eq!(found.codecs(), ["h264", "aac", "h264", "ac3"]);
    assert_eq!(found.ended.len(), 1, "the sound, when it went");
    assert_eq!(found.of_track(0).len(), 375);
}

#[test]
fn gstreamer_writes_it_otherwise() {
    let files = Files::new();
    let pipeline = "videotestsrc num-buffers=100 ! video/x-raw,width=160,height=90,framerate=25/1 \
        ! x264enc speed-preset=veryfast bframes=2 key-int-max=25 ! mpegtsmux name=m ! filesink location=g.ts \
        audiotestsrc num-buffers=172 ! audioconvert ! avenc_aac ! m.";
    let status = std::process::Command::new("gst-launch-1.0")
        .arg("-q")
        .args(pipeline.split_whitespace())
        .current_dir(files.path(""))
        .status()
        .expect("GStreamer; run `make setup`");
    assert!(status.success());
    let (found, demux) = demux(&files.read("g.ts"), 1316);
    let mut codecs = found.codecs();
    codecs.sort_unstable();
    assert_eq!(codecs, ["aac", "h264"]);
    assert_eq!(demux.counters(), container::ts::Counters::default());
    let ts = files.path("g.ts");
    same_times(&found.packets(0, 90_000), &probe(&ts, "v:0"));
    assert_eq!(found.of_track(1).len(), probe(&ts, "a:0").len());
    assert_eq!(found.ignored, Vec::<&str>::new());
}
