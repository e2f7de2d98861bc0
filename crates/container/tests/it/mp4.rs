use std::path::Path;

use bytes::Bytes;
use container::fmp4::{Demux, Index, Limits, Mp4Error};
use container::ingest::Item;

use crate::real::{Files, Found, Packet, probe, source};

const FRAGMENTED: &str = "-movflags +frag_keyframe+delay_moov+default_base_moof";

/// Codecs that MP4 carries: encoders, our names, and the timescale that ffmpeg gives the sound.
const CODECS: &[(&str, [&str; 2])] = &[
    (
        "-c:v libx264 -preset veryfast -g 25 -bf 2 -c:a aac",
        ["h264", "aac"],
    ),
    (
        "-c:v libx265 -preset ultrafast -x265-params log-level=none -g 25 -tag:v hvc1 -c:a ac3",
        ["h265", "ac3"],
    ),
    (
        "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 25 -c:a libopus",
        ["av1", "opus"],
    ),
    (
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a flac -strict -2",
        ["vp9", "flac"],
    ),
    (
        "-c:v libx264 -preset ultrafast -c:a libmp3lame",
        ["h264", "mp3"],
    ),
    ("-c:v libx264 -preset ultrafast -c:a eac3", ["h264", "eac3"]),
];

fn demux(data: &Bytes, piece: usize) -> Found {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    for at in (0..data.len()).step_by(piece) {
        let piece = data.slice(at..data.len().min(at + piece));
        demux.push(piece, &mut items).unwrap();
    }
    demux.flush(&mut items);
    Found::of(items)
}

/// Reads a progressive file by its tables.
fn index(data: &Bytes) -> Found {
    let moov = body(data, b"moov").unwrap();
    let mut index = Index::new(moov, Limits::default()).unwrap();
    assert!(!index.is_fragmented());
    let mut items = Vec::new();
    index.announce(&mut items);
    while let Some(place) = index.next_place().unwrap() {
        let at = usize::try_from(place.offset).unwrap();
        index.sample(&place, data.slice(at..at + place.size), &mut items);
    }
    Found::of(items)
}

/// The body of a top-level box.
fn body(data: &Bytes, kind: &[u8; 4]) -> Option<Bytes> {
    let mut at = 0;
    while let Some(head) = data.get(at..at + 8) {
        let size = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        if &head[4..] == kind {
            return Some(data.slice(at + 8..at + size));
        }
        at += size;
    }
    None
}

/// Times and payloads as ffprobe reads them from the same file; the payloads of H.265's keyframes,
/// which lose their parameter sets, alone are others.
fn same_as_probed(found: &Found, file: &Path, names: [&str; 2]) {
    // VP9 is told of with its first keyframe.
    let told = |name: &&str| found.codecs().contains(name);
    assert!(
        found.tracks.len() == 2 && names.iter().all(told),
        "{names:?}"
    );
    for (track, stream) in [(0, "v:0"), (1, "a:0")] {
        let theirs = probe(file, stream);
        let timescale = timescale(file, stream);
        let ours = found.packets(track, timescale);
        assert_eq!(ours.len(), theirs.len(), "{names:?} {stream}");
        for (our, their) in ours.iter().zip(&theirs) {
            let times = |p: &Packet| (p.dts, p.pts, p.key);
            assert_eq!(times(our), times(their), "{names:?} {stream}");
            assert!(
                our.hash == their.hash || (names[0] == "h265" && our.key),
                "{names:?} {stream}"
            );
        }
    }
}

fn timescale(file: &Path, stream: &str) -> u32 {
    let out = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-of", "csv=p=0"])
        .args(["-show_entries", "stream=time_base"])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let digits = |c: char| c.is_ascii_digit();
    let text = text.trim().strip_prefix("1/").unwrap();
    text.split(|c| !digits(c)).next().unwrap().parse().unwrap()
}

#[test]
fn fragmented_and_progressive() {
    for (codecs, names) in CODECS {
        let files = Files::new();
        let mp4 = files.make(&source(codecs, "a.mp4"));
        let progressive = index(&files.read("a.mp4"));
        same_as_probed(&progressive, &mp4, *names);
        let cmaf = files.make(&format!("-i a.mp4 -c copy -strict -2 {FRAGMENTED} f.mp4"));
        let data = files.read("f.mp4");
        for piece in [1 << 20, 1_371] {
            let found = demux(&data, piece);
            same_as_probed(&found, &cmaf, *names);
            assert_eq!(found.ignored, ["box cut short"; 0]);
            let order = found.frames.windows(2).filter(|w| w[0].dts > w[1].dts);
            // Fragments of both tracks are put into order, one by one.
            assert!(order.count() <= 5, "{names:?}");
        }
    }
}

#[test]
fn segments_after_an_initialisation() {
    let files = Files::new();
    files.make(&source(CODECS[0].0, "a.mp4"));
    files.make("-i a.mp4 -map 0:v -c copy -f hls -hls_segment_type fmp4 -hls_time 1 -hls_playlist_type vod -hls_fmp4_init_filename init.mp4 -hls_segment_filename s%d.m4s v.m3u8");
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    for name in [
        "init.mp4", "s0.m4s", "s1.m4s", "s2.m4s", "init.mp4", "s3.m4s", "s4.m4s",
    ] {
        demux.push(files.read(name), &mut items).unwrap();
        demux.flush(&mut items);
    }
    let found = Found::of(items);
    assert_eq!(
        found.codecs(),
        ["h264"],
        "the same initialisation again is no news"
    );
    let source = probe(&files.path("a.mp4"), "v:0");
    let hashes = |p: &[Packet]| p.iter().map(|p| p.hash[..8].to_owned()).collect::<Vec<_>>();
    assert_eq!(hashes(&found.packets(0, 90_000)), hashes(&source));
    assert!(found.frames.windows(2).all(|w| w[0].dts < w[1].dts));
    assert_eq!(found.ignored, ["box cut short"; 0]);
}

#[test]
fn parameter_sets_in_band_alone() {
    let files = Files::new();
    files
        .make("-f lavfi -i testsrc2=s=160x90:r=25:d=2 -c:v libx264 -preset ultrafast -g 25 a.h264");
    files.make(&format!("-i a.h264 -c copy -tag:v avc3 {FRAGMENTED} a.mp4"));
    let found = demux(&files.read("a.mp4"), 1_000);
    assert_eq!(found.codecs(), ["h264"]);
    assert_eq!(found.frames.iter().filter(|f| f.random_access).count(), 2);
}

#[test]
fn encrypted_media_is_an_error() {
    let files = Files::new();
    let key = "00112233445566778899aabbccddeeff";
    files.make(&source(CODECS[0].0, "a.mp4"));
    files.make(&format!("-i a.mp4 -c copy -encryption_scheme cenc-aes-ctr -encryption_key {key} -encryption_kid {key} e.mp4"));
    let moov = body(&files.read("e.mp4"), b"moov").unwrap();
    let error = Index::new(moov, Limits::default()).unwrap_err();
    assert!(matches!(error, Mp4Error::Encrypted), "{error}");
    let error = Demux::default().push(files.read("e.mp4"), &mut Vec::new());
    assert!(matches!(error, Err(Mp4Error::Encrypted)));
}

#[test]
fn what_is_cut_short_is_told() {
    let files = Files::new();
    files.make(&source(CODECS[0].0, "a.mp4"));
    files.make(&format!("-i a.mp4 -c copy {FRAGMENTED} f.mp4"));
    let data = files.read("f.mp4");
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux
        .push(data.slice(..data.len() / 2), &mut items)
        .unwrap();
    demux.flush(&mut items);
    let ignored = |i: &Item| *i == Item::Ignored("box cut short");
    assert_eq!(items.iter().filter(|i| ignored(i)).count(), 1);
}
