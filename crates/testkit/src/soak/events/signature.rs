//! Signatures, checked by another program: the command of `docs/events.md`.

use anyhow::ensure;
use tokio::process::Command;

use super::receiver::Asked;
use crate::soak::stage::say;

/// Requests of each hook that are checked.
const SAMPLE: usize = 5;
/// `id.timestamp.body` on its input is more than an argument may be.
const BY_HAND: &str = r#"
case "$SECRET" in
  whsec_*) key=hexkey:$(printf %s "${SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n') ;;
  *) key=key:$SECRET ;;
esac
printf '%s.%s.%s' "$ID" "$TIMESTAMP" "$BODY" | openssl dgst -sha256 -mac HMAC -macopt "$key" -binary | base64
"#;

/// Some of them, from the first to the last.
pub(super) async fn check(hook: &str, secret: &str, asked: &[Asked]) -> anyhow::Result<()> {
    let step = (asked.len() / SAMPLE).max(1);
    let mut checked = 0;
    for request in asked.iter().step_by(step) {
        let body = std::str::from_utf8(&request.body)?;
        let output = Command::new("sh")
            .args(["-c", BY_HAND])
            .env("SECRET", secret)
            .env("ID", &request.id)
            .env("TIMESTAMP", &request.timestamp)
            .env("BODY", body)
            .output()
            .await?;
        let own = format!("v1,{}", String::from_utf8_lossy(&output.stdout).trim());
        ensure!(
            request.signature == own && own.len() > 40,
            "{hook}: {} was signed {}, openssl says {own}",
            request.id,
            request.signature
        );
        checked += 1;
    }
    ensure!(checked > 0, "{hook}: nothing was signed");
    say(&format!(
        "- {hook}: {checked} signatures as openssl makes them"
    ));
    Ok(())
}
