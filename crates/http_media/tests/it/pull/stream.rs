//! MPEG-TS in one body, from ffmpeg's own server.

use std::time::Duration;

use http_media::pull::ts::Pull;
use hub::EndReason;

use super::site::{Site, command};
use super::{anywhere, pull_ts};

const SOURCE: &str = "-re -f lavfi -i testsrc2=s=160x90:r=25:d=5 -re -f lavfi -i sine=f=440:r=48000:d=5 \
    -c:v libx264 -preset ultrafast -tune zerolatency -g 25 -pix_fmt yuv420p -c:a aac -shortest";

#[tokio::test]
async fn ffmpeg_as_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let url = format!("http://127.0.0.1:{port}/live.ts");
    let mut server = command(
        folder.path(),
        &format!("{SOURCE} -f mpegts -listen 1 {url}"),
    )
    .spawn()
    .unwrap();
    // It listens once it has opened its inputs.
    let seen = loop {
        let seen = pull_ts(Pull::new(anywhere(&url)), Duration::from_secs(20)).await;
        if seen.first.is_zero() && seen.frames.is_empty() && server.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        break seen;
    };
    println!(
        "{} pictures, {} sounds, longest gap {:.3} s, {:?}",
        seen.of(0).len(),
        seen.of(1).len(),
        seen.longest_gap(0),
        seen.end
    );
    assert_eq!(seen.of(0).len(), 125);
    assert!(
        (230..=236).contains(&seen.of(1).len()),
        "{}",
        seen.of(1).len()
    );
    assert_eq!(seen.longest_step(0), 40);
}

#[tokio::test]
async fn a_file_goes_by_its_timestamps() {
    let site = Site::start().await;
    let source = SOURCE.replace("-re", "").replace("d=5", "d=3");
    site.ffmpeg(&format!("{source} -f mpegts a.ts")).await;
    let seen = pull_ts(
        Pull::new(anywhere(&site.url("a.ts"))),
        Duration::from_secs(20),
    )
    .await;
    assert_eq!(seen.end.unwrap(), EndReason::Finished);
    assert_eq!(
        seen.frames.iter().filter(|(_, f)| f.track.0 == 0).count(),
        75
    );
    let last = seen.frames.last().unwrap().0;
    assert!((2.0..5.0).contains(&last), "{last}");
}

#[tokio::test]
async fn packets_that_are_missing_are_told() {
    let site = Site::start().await;
    let source = SOURCE.replace("-re", "").replace("d=5", "d=3");
    site.ffmpeg(&format!("{source} -f mpegts a.ts")).await;
    let whole = std::fs::read(site.path("a.ts")).unwrap();
    let of_pictures = |p: &[u8]| p[1] & 0x1f == 1 && p[2] == 0;
    let mut packets: Vec<_> = whole.chunks(188).collect();
    let middle = packets.len() / 2;
    let hit = packets.iter().skip(middle).position(|p| of_pictures(p));
    packets.remove(middle + hit.unwrap());
    site.write("b.ts", packets.concat());
    for (name, losses) in [("a.ts", 0), ("b.ts", 1)] {
        let pull = Pull::new(anywhere(&site.url(name)));
        let seen = pull_ts(pull, Duration::from_secs(20)).await;
        assert_eq!((seen.losses, seen.figures.losses), (losses, losses));
    }
}

#[tokio::test]
async fn what_is_no_transport_stream_is_refused() {
    let site = Site::start().await;
    site.write("a.ts", vec![b'x'; 100_000]);
    let seen = pull_ts(
        Pull::new(anywhere(&site.url("a.ts"))),
        Duration::from_secs(5),
    )
    .await;
    assert!(seen.end.unwrap_err().is_refusal());
}
