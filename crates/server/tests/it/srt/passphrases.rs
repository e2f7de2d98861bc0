//! A passphrase for each direction.

use serde_json::{Value, json};

use super::{
    OLD, clip, code, current, decodes, libsrt_hears, refused, says, send, stream, told_of,
};
use crate::events::history;
use crate::server::{Running, config, pause};

const IN: &str = "passphrase=geheim-hinein";
const OUT: &str = "passphrase=geheim-heraus";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_direction_has_its_own() {
    let (dir, file) = clip().await;
    let s = Running::with(config(&dir, &[("WEIR_SRT__IDLE_TIMEOUT_S", "2")])).await;
    let both = json!({"publish_passphrase": "geheim-hinein", "play_passphrase": "geheim-heraus"});
    stream(&s, "n", Value::Null, json!({"srt": both})).await;
    stream(&s, "open", Value::Null, json!({})).await;
    let (wrong, none) = ("passphrase=geheim-anders", "");
    let (bad, unsecure) = (Some(10), Some(11));
    for (id, passphrase, told) in [
        ("publish:n", wrong, bad),
        ("publish:n", OUT, bad),
        ("publish:n", none, unsecure),
        ("read:n", wrong, bad),
        ("read:n", IN, bad),
        ("read:n", none, unsecure),
        ("publish:open", IN, unsecure),
        ("read:open", OUT, unsecure),
        ("publish:n", IN, None),
        ("read:n", OUT, None),
        ("read:open", none, None),
    ] {
        let query = format!("streamid={id}&{passphrase}");
        assert_eq!(code(&s, &query).await, told, "{query}");
    }
    refused(&s, "bad_secret", 4).await;
    refused(&s, "unsecure", 4).await;
    for (stream, kind, reason) in [
        ("n", "publish.refused", "bad_secret"),
        ("n", "publish.refused", "unsecure"),
        ("n", "play.refused", "bad_secret"),
        ("n", "play.refused", "unsecure"),
        ("open", "publish.refused", "unsecure"),
        ("open", "play.refused", "unsecure"),
    ] {
        let data = json!({"reason": reason, "protocol": "srt", "detail": null});
        told_of(&s, stream, kind, data).await;
    }

    // Programs of others, with keys of all lengths; a stranger's tries are nothing to them.
    let mut encoder = send(
        &current(),
        &s,
        &file,
        &format!("publish:n&{IN}&pbkeylen=32"),
    );
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let played = super::address(&s, &format!("read:n&{IN}"));
    let turned_away = async {
        let (status, said) = says(OLD, &format!("-v error -i {played} -f null -")).await;
        assert!(!status.success(), "{said}");
    };
    let (current, short, long, strange) = (
        current(),
        format!("read:n&{OUT}&pbkeylen=16"),
        format!("read:n&{OUT}&pbkeylen=24"),
        format!("read:n&{wrong}"),
    );
    tokio::join!(
        decodes(OLD, &s, &short, 2),
        decodes(&current, &s, &long, 2),
        libsrt_hears(&s, &strange, "Incorrect passphrase"),
        libsrt_hears(&s, "read:n", "Password required or unexpected"),
        turned_away,
    );

    // Who does not know it comes no nearer to the input, though its encoder falls silent.
    let stranger = format!("streamid=publish:n&{wrong}");
    assert_eq!(code(&s, &stranger).await, bad);
    assert_eq!(
        code(&s, &format!("streamid=publish:n&{IN}")).await,
        Some(1409)
    );
    encoder.start_kill().unwrap();
    let strangers = async {
        loop {
            assert_eq!(code(&s, &stranger).await, bad);
            pause().await;
        }
    };
    let missed = json!({"reason": "timed out while waiting for the peer"});
    tokio::select! {
        () = strangers => {}
        _ = told_of(&s, "n", "publish.stopped", missed) => {}
    }
    let all = json!(history(&s, "").await).to_string();
    assert!(!all.contains("geheim") && !all.contains("kicked"), "{all}");
    s.stop().await;
}
