//! What the machine can encode with, as the worker finds by trying.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ladder::Capabilities;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::Error;

/// Opening a dozen encoders and devices takes a second where it works.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of an answer: a real one has a thousand.
const MOST: u64 = 1 << 20;

/// Asks the worker program what it can encode with.
///
/// # Errors
/// It does not start, or does not answer.
pub async fn probe(program: &Path) -> Result<Capabilities, Error> {
    let mut command = Command::new(program);
    command
        .arg("--probe")
        .env("SVT_LOG", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let answer = |why: String| Error::Answer {
        path: program.to_owned(),
        why,
    };
    let failed = |source| Error::Start {
        path: program.to_owned(),
        source,
    };
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut told = Vec::new();
    let asking = async {
        if let Some(out) = child.stdout.take() {
            out.take(MOST).read_to_end(&mut told).await?;
        }
        child.wait().await
    };
    let status = timeout(PATIENCE, asking)
        .await
        .map_err(|_| answer("it took too long".to_owned()))?
        .map_err(failed)?;
    if !status.success() {
        return Err(answer(status.to_string()));
    }
    serde_json::from_slice(&told).map_err(|error| answer(error.to_string()))
}
