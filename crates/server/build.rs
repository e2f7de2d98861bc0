//! Collects the front end into `$OUT_DIR/assets.rs`: the player page, its files and, where npm fetched them, hls.js
//! and dash.js.
//!
//! The build works without npm; the page then says what is missing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const OWN: [(&str, &str); 5] = [
    ("player.js", "text/javascript; charset=utf-8"),
    ("engine.js", "text/javascript; charset=utf-8"),
    ("dash_engine.js", "text/javascript; charset=utf-8"),
    ("recovery.js", "text/javascript; charset=utf-8"),
    ("player.css", "text/css; charset=utf-8"),
];

/// The name it is served under, where npm puts it, its type.
const FETCHED: [(&str, &str, &str); 5] = [
    (
        "hls.min.js",
        "node_modules/hls.js/dist/hls.min.js",
        "text/javascript; charset=utf-8",
    ),
    (
        "hls.LICENSE.txt",
        "node_modules/hls.js/LICENSE",
        "text/plain; charset=utf-8",
    ),
    (
        "dash.min.js",
        "node_modules/dashjs/dist/modern/umd/dash.mediaplayer.min.js",
        "text/javascript; charset=utf-8",
    ),
    (
        "dash.LICENSE.txt",
        "node_modules/dashjs/LICENSE.md",
        "text/plain; charset=utf-8",
    ),
    // Of what dash.js has inside; its first line points to this name.
    (
        "dash.mediaplayer.min.js.LICENSE.txt",
        "node_modules/dashjs/dist/modern/umd/dash.mediaplayer.min.js.LICENSE.txt",
        "text/plain; charset=utf-8",
    ),
];

fn main() -> io::Result<()> {
    let web = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("web");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    // The folder, not the files: what npm fetches may appear in it later.
    println!("cargo::rerun-if-changed={}", web.display());
    let files = present(&web);
    let version = version(&web, &files)?;
    let page = fs::read_to_string(web.join("index.html"))?.replace("@VERSION@", &version);
    fs::write(out.join("player.html"), page)?;
    fs::write(out.join("assets.rs"), listing(&files, &version))
}

fn present(web: &Path) -> Vec<(&'static str, PathBuf, &'static str)> {
    let own = OWN
        .iter()
        .map(|(name, mime)| (*name, web.join(name), *mime));
    let fetched = FETCHED
        .iter()
        .map(|(name, path, mime)| (*name, web.join(path), *mime));
    own.chain(fetched.filter(|(_, path, _)| path.exists()))
        .collect()
}

/// A name for this set of contents (64-bit FNV-1a), so that browsers may keep the files for ever.
fn version(web: &Path, files: &[(&str, PathBuf, &str)]) -> io::Result<String> {
    let page = web.join("index.html");
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for path in files.iter().map(|(_, path, _)| path).chain([&page]) {
        for byte in fs::read(path)? {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    Ok(format!("{hash:016x}"))
}

fn listing(files: &[(&str, PathBuf, &str)], version: &str) -> String {
    let mut text = format!("pub(super) const VERSION: &str = {version:?};\n");
    text.push_str("pub(super) const PAGE: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/player.html\"));\n");
    text.push_str("pub(super) const FILES: &[(&str, &str, &[u8])] = &[\n");
    for (name, path, mime) in files {
        let _ = writeln!(
            text,
            "    ({name:?}, {mime:?}, include_bytes!({:?})),",
            path.display().to_string()
        );
    }
    text + "];\n"
}
