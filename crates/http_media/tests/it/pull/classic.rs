//! Whole presentations that ffmpeg wrote: every frame arrives, once, in order.

use std::time::Duration;

use http_media::pull::hls::{Choice, Pull};
use hub::EndReason;

use super::site::Site;
use super::{Seen, anywhere, pull_hls};

const SOURCE: &str = "-f lavfi -i testsrc2=s=160x90:r=25:d=4 -f lavfi -i sine=f=440:r=48000:d=4 \
    -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -shortest";
const LONG: Duration = Duration::from_secs(30);

async fn pull(site: &Site, name: &str) -> Seen {
    let seen = pull_hls(Pull::new(anywhere(&site.url(name))), LONG).await;
    assert_eq!(
        seen.end.as_ref().ok(),
        Some(&EndReason::Finished),
        "{:?}",
        seen.end
    );
    seen
}

/// Frames per track as ffprobe counts packets, and as they came.
async fn same_frames(site: &Site, seen: &Seen, original: &str) {
    for (track, kind) in [(0, "v"), (1, "a")] {
        let args = format!(
            "-v error -count_packets -select_streams {kind}:0 -show_entries stream=nb_read_packets -of csv=p=0 {original}"
        );
        let probe = tokio::process::Command::new("ffprobe")
            .args(args.split(' '))
            .current_dir(site.folder.path())
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(probe.stdout).unwrap();
        let frames = seen.of(track);
        // A transport stream's are listed once more, under their programme.
        let packets = text.split([',', '\n']).next().unwrap().trim();
        let packets: usize = packets.parse().unwrap();
        assert_eq!(frames.len(), packets, "frames of track {track}");
        let increasing = frames.windows(2).all(|w| w[0].dts < w[1].dts);
        assert!(increasing, "track {track}");
    }
}

/// Pace: neither all at once nor slower than the media.
fn at_pace(seen: &Seen) {
    let (first, last) = (seen.frames.first().unwrap(), seen.frames.last().unwrap());
    let lasts = (last.1.dts - first.1.dts).as_secs_f64();
    assert!(
        (last.0 - lasts).abs() < 1.0,
        "{} s took {} s",
        lasts,
        last.0
    );
}

#[tokio::test]
async fn segments_of_transport_streams_encrypted() {
    let site = Site::start().await;
    site.write("k.bin", [7_u8; 16]);
    let key = format!("{}\n{}\n", site.url("k.bin"), site.path("k.bin").display());
    site.write("keys", key);
    site.ffmpeg(&format!("{SOURCE} x.ts")).await;
    let args = "-f hls -hls_time 1 -hls_playlist_type vod -hls_key_info_file keys";
    site.ffmpeg(&format!("-i x.ts -c copy {args} i.m3u8")).await;
    let seen = pull(&site, "i.m3u8").await;
    assert_eq!(seen.tracks.len(), 2);
    same_frames(&site, &seen, "x.ts").await;
    at_pace(&seen);
    let asked = site.asked.lock().unwrap();
    let keys = asked.iter().filter(|p| p.as_str() == "/k.bin").count();
    assert_eq!(keys, 1, "{asked:?}");
}

#[tokio::test]
async fn byte_ranges_of_one_fragmented_file() {
    let site = Site::start().await;
    let args =
        "-f hls -hls_time 1 -hls_playlist_type vod -hls_segment_type fmp4 -hls_flags single_file";
    site.ffmpeg(&format!("{SOURCE} -bf 2 {args} i.m3u8")).await;
    let seen = pull(&site, "i.m3u8").await;
    same_frames(&site, &seen, "i.m3u8").await;
    assert!(
        seen.of(0).iter().any(|f| f.pts > f.dts),
        "reordered pictures"
    );
    at_pace(&seen);
}

#[tokio::test]
async fn sound_apart_by_rule() {
    let site = Site::start().await;
    let args = format!(
        "{SOURCE} -map 0:v -map 0:v -map 1:a -b:v:0 300k -b:v:1 90k -f hls -hls_time 1 -hls_playlist_type vod \
         -hls_segment_filename s%v_%d.ts -master_pl_name m.m3u8 \
         -var_stream_map v:0,agroup:a,name:high\u{2003}v:1,agroup:a,name:low\u{2003}a:0,agroup:a,default:yes,language:deu,name:ton i_%v.m3u8"
    );
    // One argument of several words.
    let mut command = super::site::command(site.folder.path(), "");
    let words = args.split(' ').filter(|w| !w.trim_matches(' ').is_empty());
    command.args(words.map(|w| w.replace('\u{2003}', " ")));
    let output = command.output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let config = Pull {
        choice: Choice::Lowest,
        ..Pull::new(anywhere(&site.url("m.m3u8")))
    };
    let seen = pull_hls(config, LONG).await;
    assert_eq!(
        seen.end.as_ref().ok(),
        Some(&EndReason::Finished),
        "{:?}",
        seen.end
    );
    let sound = seen.tracks.iter().find(|t| t.id.0 == 1).unwrap();
    assert_eq!(sound.language.as_deref(), Some("de"));
    assert_eq!(seen.of(0).len(), 100);
    // 4 s at 48 kHz; what precedes the first picture is left out.
    assert!(
        (186..=189).contains(&seen.of(1).len()),
        "{}",
        seen.of(1).len()
    );
    let asked = site.asked.lock().unwrap();
    assert!(!asked.iter().any(|p| p.contains("high")), "{asked:?}");
    let order: Vec<_> = seen.frames.iter().map(|(_, f)| f.dts).collect();
    assert!(order.is_sorted(), "interleaved by time");
}

#[tokio::test]
async fn time_goes_on_over_a_discontinuity() {
    let site = Site::start().await;
    let args =
        "-f hls -hls_time 1 -hls_list_size 0 -hls_flags append_list+discont_start+omit_endlist";
    site.ffmpeg(&format!("{SOURCE} -t 2 {args} i.m3u8")).await;
    site.ffmpeg(&format!(
        "{SOURCE} -t 2 -output_ts_offset 9000 {args} i.m3u8"
    ))
    .await;
    let mut text = std::fs::read_to_string(site.path("i.m3u8")).unwrap();
    assert!(
        text.matches("#EXT-X-DISCONTINUITY\n").count() >= 1,
        "{text}"
    );
    text.push_str("#EXT-X-ENDLIST\n");
    site.write("i.m3u8", text);
    let seen = pull(&site, "i.m3u8").await;
    assert_eq!(seen.of(0).len(), 100);
    assert!(seen.longest_step(0) <= 80, "{} ms", seen.longest_step(0));
    let jumps = seen.figures.fixes.iter().find(|(name, _)| *name == "jump");
    assert_eq!(jumps, Some(&("jump", 0)));
    at_pace(&seen);
}

#[tokio::test]
async fn a_track_that_does_not_come_back_has_ended() {
    let site = Site::start().await;
    let args =
        "-f hls -hls_time 1 -hls_list_size 0 -hls_flags append_list+discont_start+omit_endlist";
    site.ffmpeg(&format!("{SOURCE} -t 2 {args} i.m3u8")).await;
    site.ffmpeg(&format!("{SOURCE} -t 3 -an {args} i.m3u8"))
        .await;
    let text = std::fs::read_to_string(site.path("i.m3u8")).unwrap();
    site.write("i.m3u8", text + "#EXT-X-ENDLIST\n");
    let seen = pull(&site, "i.m3u8").await;
    assert_eq!(seen.of(0).len(), 125);
    assert!(seen.of(1).len() > 80, "{}", seen.of(1).len());
    let tracks: Vec<_> = seen.tracks.iter().map(|t| t.id.0).collect();
    assert_eq!(tracks, [0]);
}

#[tokio::test]
async fn packed_audio() {
    let site = Site::start().await;
    site.ffmpeg("-f lavfi -i sine=f=440:r=44100:d=3 -c:a aac -f adts a.aac")
        .await;
    site.write(
        "i.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\na.aac\n#EXT-X-ENDLIST\n",
    );
    let seen = pull(&site, "i.m3u8").await;
    assert_eq!(
        seen.tracks[0].config.rfc6381().as_deref(),
        Some("mp4a.40.2")
    );
    assert_eq!(seen.of(1).len(), 131);
}

#[tokio::test]
async fn a_gap_and_a_lost_segment_cost_themselves() {
    let site = Site::with(|path, _| {
        let lost = path.starts_with("/i1.ts");
        lost.then(|| axum::response::IntoResponse::into_response(http::StatusCode::NOT_FOUND))
    })
    .await;
    let args = "-f hls -hls_time 1 -hls_playlist_type vod";
    site.ffmpeg(&format!("{SOURCE} {args} i.m3u8")).await;
    let text = std::fs::read_to_string(site.path("i.m3u8")).unwrap();
    let gap = text
        .replace("i2.ts", "#EXT-X-GAP\ni2.ts")
        .replace("\n#EXT-X-GAP\ni2.ts", "\n#EXT-X-GAP\ngone.ts");
    site.write("i.m3u8", gap);
    let seen = pull(&site, "i.m3u8").await;
    assert_eq!(seen.of(0).len(), 50);
    let counter = |name| {
        seen.figures
            .counters
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, n)| *n)
    };
    assert_eq!(
        (counter("segments_skipped"), counter("segments_gap")),
        (Some(1), Some(1))
    );
    // A gap was announced.
    assert_eq!((seen.losses, seen.figures.losses), (1, 1));
    assert!(seen.longest_step(0) >= 2_000);
}
