use std::path::Path;
use std::time::Duration;

use file::{Error, resolve};
use tempfile::TempDir;

use crate::fixture::{make, run, source};

async fn error(root: &TempDir, path: &str) -> Error {
    let played = run(root, path, true, Duration::from_secs(60)).await;
    played.result.expect("an end").expect_err(path)
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_played() {
    let root = tempfile::tempdir().unwrap();
    make(&root, &source("2", "2", "a.mp4"));
    make(&root, "-i a.mp4 -c copy -movflags +faststart fast.mp4");
    make(&root, "-i a.mp4 -map 0:v -c:v mpeg2video other.ts");
    let cut = |from: &str, to: &str, part: usize| {
        let data = std::fs::read(root.path().join(from)).unwrap();
        std::fs::write(root.path().join(to), &data[..data.len() * part / 4]).unwrap();
    };
    cut("a.mp4", "nomoov.mp4", 3);
    cut("fast.mp4", "cut.mp4", 3);
    std::fs::write(root.path().join("empty"), []).unwrap();
    std::fs::write(root.path().join("text"), "no media at all").unwrap();
    std::fs::create_dir(root.path().join("dir")).unwrap();
    assert!(matches!(error(&root, "none.mp4").await, Error::NotFound(_)));
    assert!(matches!(
        error(&root, "a.mp4/b.mp4").await,
        Error::NotFound(_)
    ));
    assert!(matches!(error(&root, "dir").await, Error::Outside(_)));
    assert!(matches!(
        error(&root, "nomoov.mp4").await,
        Error::CutShort(_)
    ));
    assert!(matches!(error(&root, "cut.mp4").await, Error::CutShort(_)));
    assert!(matches!(error(&root, "empty").await, Error::Format(_)));
    assert!(matches!(error(&root, "text").await, Error::Format(_)));
    let endless = [
        b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x01free",
        &(u64::MAX - 15).to_be_bytes()[..],
    ];
    std::fs::write(root.path().join("endless.mp4"), endless.concat()).unwrap();
    assert!(matches!(
        error(&root, "endless.mp4").await,
        Error::CutShort(_)
    ));
    let error = error(&root, "other.ts").await;
    assert!(matches!(error, Error::NoMedia(_)) && error.is_refusal());
    assert_eq!(error.to_string(), "other.ts: no media that can be played");
}

#[tokio::test]
async fn nothing_leads_out_of_the_root() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(place.path().join("secret.ts"), "x").unwrap();
    std::fs::write(root.join("sub/in.ts"), "x").unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
    link("../secret.ts", "out.ts");
    link("..", "up");
    link("sub/in.ts", "inside.ts");
    let outside = [
        "",
        "/",
        ".",
        "..",
        "../secret.ts",
        "sub/../../secret.ts",
        "file://../secret.ts",
        "out.ts",
        "up/secret.ts",
        "./sub",
        "sub",
    ];
    for path in outside {
        let found = resolve(&root, path).await;
        assert!(matches!(found, Err(Error::Outside(_))), "{path}: {found:?}");
    }
    let outside = place.path().join("secret.ts");
    let absolute = resolve(&root, outside.to_str().unwrap()).await;
    assert!(
        matches!(absolute, Err(Error::NotFound(_))),
        "read as relative"
    );
    assert!(matches!(
        resolve(&root, "a\0b").await,
        Err(Error::Outside(_))
    ));
    let inside = root.canonicalize().unwrap().join("sub/in.ts");
    for path in [
        "sub/in.ts",
        "file://sub/in.ts",
        "file:///sub/in.ts",
        "inside.ts",
    ] {
        assert_eq!(resolve(&root, path).await.unwrap(), inside, "{path}");
    }
    let nowhere = resolve(Path::new("/nowhere/at/all"), "a.ts").await;
    assert!(matches!(nowhere, Err(Error::Root(_))));
}
