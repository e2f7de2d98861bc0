//! Pushes to servers that we did not write: what an encoder sends us is what arrives there.
//! `make setup` installs them.

use std::path::Path;
use std::time::Duration;

use media::Span;
use rtmp::{DialError, Gone, Push, PushStats, Pushing, Request, push};
use tempfile::TempDir;
use tokio::process::Child;

use crate::client::{listener, stats};
use crate::elsewhere::{Packet, Source, current_ffmpeg, free_port, nginx, packets, start};
use crate::pushing::{stage, to};

const PATIENT: Span = Span::from_secs(60);

/// Calls until it is there: what takes one call alone cannot be asked otherwise.
async fn call(what: &Push) -> Pushing {
    loop {
        match push(what.clone()).await {
            Ok(pushing) => return pushing,
            Err(DialError::Connect { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An encoder publishes a file to us, and we push all of it.
async fn relay(program: &str, source: &Source, mut pushing: Pushing) -> PushStats {
    let (listener, addr) = listener(rtmp::Config::default()).await;
    let file = source.file.display();
    let url = format!("rtmp://{addr}/live/x");
    let mut encoder = start(
        program,
        &format!("-v error -re -i {file} -c copy -f flv {url}"),
    );
    let request = listener.accept().await.unwrap().request().await.unwrap();
    let Request::Publish(request) = request else {
        panic!("a publish request");
    };
    let (_presentation, publisher) = stage();
    let (broadcast, sent) = (publisher.broadcast(), PushStats::default());
    let publishing = request.accept().run(publisher, stats());
    let (published, gone) = tokio::join!(publishing, pushing.run(&broadcast, PATIENT, &sent));
    published.unwrap();
    assert_eq!(gone.unwrap(), Gone::Over);
    pushing.close().await;
    assert!(encoder.wait().await.unwrap().success());
    sent
}

/// All of the source is in the file, at the same distances in time.
async fn compare(file: &Path, source: &Source) {
    let ffmpeg = current_ffmpeg();
    let found = [
        packets(&ffmpeg, file, "v").await,
        packets(&ffmpeg, file, "a").await,
    ];
    let shift = found[0][0].dts - source.video[0].dts;
    for (found, sent) in found.iter().zip([&source.video, &source.audio]) {
        let moved = sent.iter().map(|p| Packet {
            dts: p.dts + shift,
            pts: p.pts + shift,
            hash: p.hash.clone(),
        });
        let hashes = |p: &[Packet]| p.iter().map(|p| p.hash.clone()).collect::<Vec<_>>();
        assert!(
            hashes(found) == hashes(sent),
            "{} of {}",
            found.len(),
            sent.len()
        );
        for (found, sent) in found.iter().zip(moved) {
            let off = (found.dts - sent.dts)
                .abs()
                .max((found.pts - sent.pts).abs());
            assert!(off <= 1, "{found:?} {sent:?}");
        }
    }
}

/// ffmpeg as a server that writes what it is sent.
fn server(program: &str, file: &Path) -> (Child, String) {
    let url = format!("rtmp://127.0.0.1:{}/live", free_port());
    let file = file.display();
    let args = format!("-v error -listen 1 -i {url}/k3 -c copy -y {file}");
    (start(program, &args), url)
}

async fn all_of_it(programs: [&str; 2], source: &Source) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("taken.mkv");
    let [encoder, taker] = programs;
    let (mut child, url) = server(taker, &file);
    let pushing = call(&to(&url, Some("k3"))).await;
    let sent = relay(encoder, source, pushing).await;
    assert!(sent.left_out().is_empty());
    assert!(child.wait().await.unwrap().success());
    compare(&file, source).await;
}

#[tokio::test]
async fn ffmpeg_old_and_new_take_it() {
    let source = Source::ordinary().await;
    all_of_it(["ffmpeg", "ffmpeg"], &source).await;
    all_of_it(["ffmpeg", &current_ffmpeg()], &source).await;
}

/// It announces nothing and takes it all the same.
#[tokio::test]
async fn ffmpeg_takes_enhanced_tags() {
    let codecs = "-c:v libx265 -preset ultrafast -x265-params keyint=30:log-level=none -c:a aac";
    let source = Source::new(&current_ffmpeg(), codecs).await;
    all_of_it([&current_ffmpeg(), &current_ffmpeg()], &source).await;
}

#[tokio::test]
async fn nginx_takes_it_refuses_a_second_one_and_is_killed() {
    let (dir, port) = (TempDir::new().unwrap(), free_port());
    let mut server = nginx(dir.path(), port);
    let url = format!("rtmp://127.0.0.1:{port}/live");
    let what = to(&url, Some("k3"));
    let pushing = call(&what).await;

    let refused = push(what.clone()).await.unwrap_err();
    let words = "refused: NetStream.Publish.BadName: Already publishing";
    assert!(
        refused.is_refusal() && refused.to_string().ends_with(words),
        "{refused}"
    );

    let source = Source::ordinary().await;
    let file = dir.path().join("taken.flv");
    let mut player = start(
        "ffmpeg",
        &format!("-v error -i {url}/k3 -c copy -y {}", file.display()),
    );
    relay("ffmpeg", &source, pushing).await;
    // It ends with what is published.
    assert!(player.wait().await.unwrap().success());
    let found = packets("ffmpeg", &file, "v").await;
    let first = source
        .video
        .iter()
        .position(|p| p.hash == found[0].hash)
        .unwrap();
    let hashes = |p: &[Packet]| p.iter().map(|p| p.hash.clone()).collect::<Vec<_>>();
    assert!(found.len() >= 30 && source.video[first..].len() >= found.len());
    assert_eq!(
        hashes(&found),
        hashes(&source.video[first..][..found.len()])
    );

    let mut again = push(what.clone()).await.unwrap();
    let (_presentation, publisher) = stage();
    let (broadcast, sent) = (publisher.broadcast(), PushStats::default());
    let (gone, killed) = tokio::join!(again.run(&broadcast, PATIENT, &sent), server.kill());
    killed.unwrap();
    assert_eq!(gone.unwrap(), Gone::Left);
    let error = push(what).await.unwrap_err();
    assert!(
        matches!(error, DialError::Connect { .. }) && !error.is_refusal(),
        "{error}"
    );
}
