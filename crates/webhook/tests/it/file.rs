//! Lines into real files.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;
use webhook::{Error, Rotation, Sink};

const NEVER: Rotation = Rotation { bytes: 0, keep: 0 };
/// Says in the environment that files stay small here.
const LITTLE_ROOM: &str = "WEIR_TEST_LITTLE_ROOM";

fn root() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn add(sink: &mut Sink, lines: &[&'static str]) {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| Bytes::from_static(line.as_bytes()))
        .collect();
    sink.append(&lines).await.unwrap();
}

fn text(root: &TempDir, path: &str) -> String {
    fs::read_to_string(root.path().join(path)).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn lines_are_added_below_the_root() {
    let root = root();
    let mut sink = Sink::open(root.path(), "a/b/events.jsonl", NEVER)
        .await
        .unwrap();
    add(&mut sink, &["{\"a\":1}", "{\"a\":2}"]).await;
    drop(sink);
    let mut sink = Sink::open(root.path(), "a/b/events.jsonl", NEVER)
        .await
        .unwrap();
    add(&mut sink, &["{\"a\":3}"]).await;
    add(&mut sink, &[]).await;
    assert_eq!(
        text(&root, "a/b/events.jsonl"),
        "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"
    );
    assert_eq!(mode(&root.path().join("a/b/events.jsonl")), 0o600);
    assert_eq!(mode(&root.path().join("a")), 0o700);
    let broken = sink.append(&[Bytes::from_static(b"a\nb")]).await;
    assert!(matches!(broken, Err(Error::Line)));
}

#[tokio::test]
async fn no_path_leads_out_of_the_root() {
    let (root, outside) = (root(), root());
    symlink(outside.path(), root.path().join("away")).unwrap();
    symlink(outside.path().join("new"), root.path().join("link")).unwrap();
    symlink("/dev/null", root.path().join("null")).unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    fs::write(root.path().join("plain"), "").unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(root.path().join("pipe"))
        .status();
    assert!(made.unwrap().success());
    let paths = [
        "../x",
        "/etc/x",
        "a/../../x",
        ".x",
        "away/x",
        "link",
        "null",
        "folder",
        "plain/x",
        "pipe",
        "x.1",
    ];
    for path in paths {
        let refused = Sink::open(root.path(), path, NEVER).await;
        assert!(
            matches!(refused, Err(Error::Path(_))),
            "{path}: {refused:?}"
        );
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn full_files_are_put_aside() {
    let root = root();
    let limits = Rotation { bytes: 10, keep: 2 };
    fs::write(root.path().join("x.3"), "of a time when more were kept\n").unwrap();
    let mut sink = Sink::open(root.path(), "x", limits).await.unwrap();
    for line in [
        "1111",
        "2222",
        "3333",
        "44444444444444",
        "5555",
        "6666",
        "7777",
    ] {
        add(&mut sink, &[line]).await;
    }
    assert_eq!(text(&root, "x"), "7777\n");
    assert_eq!(text(&root, "x.1"), "5555\n6666\n");
    assert_eq!(text(&root, "x.2"), "44444444444444\n");
    assert!(!root.path().join("x.3").exists());
    drop(sink);
    let limits = Rotation { bytes: 10, keep: 0 };
    let mut sink = Sink::open(root.path(), "x", limits).await.unwrap();
    add(&mut sink, &["8888", "9999"]).await;
    assert_eq!(text(&root, "x"), "8888\n9999\n");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_torn_line_is_cut_off() {
    let root = root();
    let long = "x".repeat(200_000);
    for (left, kept) in [
        ("{\"a\":1}\n{\"a\"".to_owned(), "{\"a\":1}\n"),
        ("{\"a\":1}".to_owned(), ""),
        (format!("1\n{long}"), "1\n"),
        (long, ""),
        ("1\n".to_owned(), "1\n"),
    ] {
        fs::write(root.path().join("x"), left).unwrap();
        let mut sink = Sink::open(root.path(), "x", NEVER).await.unwrap();
        add(&mut sink, &["2"]).await;
        assert_eq!(text(&root, "x"), format!("{kept}2\n"));
    }
}

#[tokio::test]
async fn a_file_that_was_moved_or_removed_is_made_anew() {
    let root = root();
    let at = |name: &str| root.path().join(name);
    let mut sink = Sink::open(root.path(), "d/x", NEVER).await.unwrap();
    add(&mut sink, &["1"]).await;
    fs::rename(at("d/x"), at("d/x.old")).unwrap();
    add(&mut sink, &["2"]).await;
    assert_eq!(
        (text(&root, "d/x.old"), text(&root, "d/x")),
        ("1\n".into(), "2\n".into())
    );
    fs::remove_dir_all(at("d")).unwrap();
    add(&mut sink, &["3"]).await;
    assert_eq!(text(&root, "d/x"), "3\n");
    fs::rename(at("d"), at("e")).unwrap();
    add(&mut sink, &["4"]).await;
    assert_eq!(
        (text(&root, "e/x"), text(&root, "d/x")),
        ("3\n".into(), "4\n".into())
    );
    // As logrotate's `copytruncate` does.
    fs::write(at("d/x"), "").unwrap();
    add(&mut sink, &["5"]).await;
    assert_eq!(text(&root, "d/x"), "5\n");
    // Somebody else was killed in the middle of a line.
    let mut other = OpenOptions::new().append(true).open(at("d/x")).unwrap();
    other.write_all(b"torn").unwrap();
    add(&mut sink, &["6"]).await;
    assert_eq!(text(&root, "d/x"), "5\n6\n");
}

#[tokio::test]
async fn a_file_has_one_writer() {
    let root = root();
    let mut first = Sink::open(root.path(), "x", NEVER).await.unwrap();
    let second = Sink::open(root.path(), "x", NEVER).await;
    assert!(matches!(second, Err(Error::Busy(_))));
    add(&mut first, &["1"]).await;
    drop(first);
    assert!(Sink::open(root.path(), "x", NEVER).await.is_ok());
}

/// The system stops it in the middle of a line, as a full disk does: in a process of its own, whose
/// files stay small.
#[tokio::test]
async fn of_a_failed_append_nothing_stays() {
    if std::env::var_os(LITTLE_ROOM).is_none() {
        let program = std::env::current_exe().unwrap();
        let child = "trap '' XFSZ; ulimit -f 8; exec \"$0\" --exact \"$1\"";
        let mut shell = std::process::Command::new("sh");
        let shell = shell.args(["-c", child]).arg(program);
        let shell = shell.arg("file::of_a_failed_append_nothing_stays");
        let done = shell.env(LITTLE_ROOM, "").output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let root = root();
    let mut sink = Sink::open(root.path(), "x", NEVER).await.unwrap();
    let line = Bytes::from("x".repeat(2999));
    sink.append(std::slice::from_ref(&line)).await.unwrap();
    for _ in 0..3 {
        let failed = sink
            .append(&[Bytes::from_static(b"whole"), line.clone(), line.clone()])
            .await;
        assert!(matches!(failed, Err(Error::File { doing: "write", .. })));
        assert_eq!(text(&root, "x").len(), 3000);
    }
    add(&mut sink, &["short"]).await;
    assert!(text(&root, "x").ends_with("x\nshort\n"));
}
