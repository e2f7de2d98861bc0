//! Hooks that lead to this host, where nobody allowed that: nothing is sent, and that is said.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::sleep;

use super::api::Api;
use super::receiver::{Receiver, Reply};
use crate::actors::Weir;
use crate::soak::stage::say;

/// Long enough for an event to go out.
const MOMENT: Duration = Duration::from_secs(3);

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    let weir = Weir::start(binary).await?;
    let (api, receiver) = (
        Api::of(&weir)?,
        Receiver::start(|_| Reply::status(200)).await?,
    );
    for (id, host) in [("number", "127.0.0.1"), ("name", "localhost")] {
        let url = format!("http://{host}:{}/{id}", receiver.address.port());
        api.post("hooks", &json!({"id": id, "url": url})).await?;
        api.create(id).await?;
        sleep(MOMENT).await;
        let runtime = api.hook(id).await?;
        let tested = api.post(&format!("hooks/{id}/test"), &json!({})).await?;
        let (waiting, error) = (&runtime["waiting"], &runtime["last_error"]);
        say(&format!(
            "- {host} without egress.hooks: {waiting} wait, {error}; the test call: {}",
            tested["error"]
        ));
        ensure!(
            error.is_string() && tested["delivered"] == false,
            "nothing is said: {runtime}"
        );
    }
    ensure!(receiver.count("") == 0, "it was asked");
    Ok(())
}
