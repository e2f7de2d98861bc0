//! libsrt's own tool, called in every way that a server may not like.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::tool::Tool;

/// Who is still there then was let in.
const LET_IN: Duration = Duration::from_secs(3);

/// What each adds to the address of a stream that plays; `secret` is one that has a passphrase.
pub(super) const CALLERS: [(&str, &str, &str); 11] = [
    (
        "a passphrase that nobody asked for",
        "news",
        "&passphrase=what-nobody-asked&pbkeylen=16",
    ),
    (
        "the same of 32 bytes",
        "news",
        "&passphrase=what-nobody-asked&pbkeylen=32",
    ),
    (
        "the same of whatever length",
        "news",
        "&passphrase=what-nobody-asked",
    ),
    (
        "the right passphrase",
        "secret",
        "&passphrase=over-hill-and-dale&pbkeylen=16",
    ),
    (
        "the same of whatever length",
        "secret",
        "&passphrase=over-hill-and-dale",
    ),
    (
        "the same of 32 bytes",
        "secret",
        "&passphrase=over-hill-and-dale&pbkeylen=32",
    ),
    (
        "a wrong passphrase",
        "secret",
        "&passphrase=through-bush-and-briar&pbkeylen=16",
    ),
    ("no passphrase", "secret", ""),
    ("file transfer", "news", "&transtype=file"),
    (
        "forward error correction",
        "news",
        "&packetfilter=fec,cols:10,rows:5",
    ),
    ("a filter that has no name", "news", "&packetfilter=fec"),
];

/// Two that are refused and come back at once, for ten seconds.
pub(super) async fn insist(target: SocketAddr) -> anyhow::Result<()> {
    let from = format!("srt://{target}?mode=caller&streamid=read:what-there-is-not");
    let words = ["-a", "yes", "-q", &from, "file://con"];
    let _callers = [Tool::Libsrt.run(&words)?, Tool::Libsrt.run(&words)?];
    sleep(Duration::from_secs(10)).await;
    Ok(())
}

/// What it came to, in its own words.
pub(super) async fn call(
    target: SocketAddr,
    stream: &str,
    options: &str,
) -> anyhow::Result<String> {
    let from = format!("srt://{target}?mode=caller&streamid=read:{stream}{options}");
    let mut caller = Tool::Libsrt.run(&["-a", "no", &from, "file://con"])?;
    let stayed = timeout(LET_IN, caller.gone()).await.is_err();
    // It may stay without having been let in.
    let said = caller.said();
    let refused = said.split_once("REJECT reported from HS processing: ");
    let why = refused.and_then(|(_, rest)| rest.split_once(" - not "));
    Ok(match why {
        Some((why, _)) => format!("refused: {why}"),
        None if stayed => "let in".to_owned(),
        None => format!("is out: {}", said.replace('|', "/")),
    })
}
