//! HTTPS and RTMPS, from clients that we did not write.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::actors::Weir;
use testkit::poll::Trust;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::server::{Running, TOKEN, config};

/// A certificate of its own for loopback, in two files.
pub(crate) fn certificate(dir: &Path) -> [String; 2] {
    let names = ["127.0.0.1", "localhost"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let files = ["cert.pem", "key.pem"].map(|name| dir.join(name));
    std::fs::write(&files[0], made.cert.pem()).unwrap();
    std::fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
    files.map(|file| file.display().to_string())
}

async fn run(program: &str, args: &str) -> Output {
    let mut command = Command::new(program);
    let command = command.args(args.split_whitespace()).stdin(Stdio::null());
    let output = command.kill_on_drop(true).output().await;
    output.unwrap_or_else(|e| panic!("{program}: {e}; run `make setup`"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encoders_and_players_come_in_over_tls() {
    let dir = TempDir::new().unwrap();
    let [cert, key] = certificate(dir.path());
    let s = Running::with(config(
        &dir,
        &[
            ("WEIR_TLS__CERTIFICATE", &cert),
            ("WEIR_TLS__KEY", &key),
            ("WEIR_HTTP__TLS_LISTEN", "127.0.0.1:0"),
            ("WEIR_RTMP__TLS_LISTEN", "127.0.0.1:0"),
        ],
    ))
    .await;
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let stream = json!({"name": "n", "inputs": [input]});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);

    let (https, rtmps) = (s.https.unwrap(), s.rtmps.unwrap());
    let url = format!("rtmps://{rtmps}/live/n");
    let push = format!(
        "-v error -re -f lavfi -i testsrc2=s=160x90:r=10 -c:v libx264 -preset ultrafast \
         -tune zerolatency -g 20 -f flv {url}"
    );
    let _encoder = Command::new("ffmpeg")
        .args(push.split_whitespace())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    s.until("/n/v0.m3u8", |a| a.status == 200).await;

    let fetch =
        format!("-sS --http2 --cacert {cert} -w %{{http_version}} https://{https}/n/v0.m3u8");
    let fetched = run("curl", &fetch).await;
    let text = String::from_utf8_lossy(&fetched.stdout);
    assert!(
        text.starts_with("#EXTM3U") && text.ends_with("\n2"),
        "{fetched:?}"
    );
    let old =
        format!("-sS --http1.1 --cacert {cert} -o /dev/null -w %{{http_code}} https://{https}/n/");
    assert_eq!(run("curl", &old).await.stdout, b"200");
    let ask =
        format!("-sS --cacert {cert} --oauth2-bearer {TOKEN} https://{https}/api/v1/streams/n");
    let shown: Value = serde_json::from_slice(&run("curl", &ask).await.stdout).unwrap();
    assert_eq!(
        shown["urls"]["play"]["hls"],
        format!("https://{https}/n/index.m3u8")
    );
    assert_eq!(shown["urls"]["play"]["rtmps"], url);
    let clear = format!("-sS http://{https}/n/");
    assert!(
        !run("curl", &clear).await.status.success(),
        "it speaks TLS alone"
    );
    let play = run(
        "ffmpeg",
        &format!("-v error -xerror -i {url} -t 1 -f null -"),
    )
    .await;
    assert!(play.status.success(), "{play:?}");
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_over_tls_during_a_restart_waits_and_is_served() {
    let binary = Path::new(env!("CARGO_BIN_EXE_weir"));
    let mut weir = Weir::start_secure(binary).await.unwrap();
    let secure = weir.secure.as_ref().unwrap();
    let trust = Trust::Authority(secure.authority()).client().unwrap();
    let connector = TlsConnector::from(Arc::new(trust));
    let doors = [secure.https().unwrap(), secure.rtmps().unwrap()];
    weir.stop().await.unwrap();
    let mut waiting = Vec::new();
    for door in doors {
        waiting.push(TcpStream::connect(door).await.unwrap());
    }
    weir.resume().await.unwrap();
    for (stream, door) in waiting.into_iter().zip(doors) {
        let shaken = connector.connect(ServerName::from(door.ip()), stream).await;
        assert!(shaken.is_ok(), "{door}: {shaken:?}");
    }
    weir.stop().await.unwrap();
}
