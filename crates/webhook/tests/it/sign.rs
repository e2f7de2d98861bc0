//! Signatures against `openssl`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use webhook::sign::sign;

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    done.stdout
}

#[test]
fn openssl_makes_the_same_signatures() {
    let key: Vec<u8> = (0..100u8).map(|i| i.wrapping_mul(37)).collect();
    for length in [1, 24, 64, 65, 100] {
        let key = &key[..length];
        let encoded = openssl(&["base64", "-A"], key);
        let secret = format!("whsec_{}", String::from_utf8(encoded).unwrap());
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let hexkey = format!("hexkey:{hex}");
        let body = "{\"name\":\"Gerät\"}".repeat(length);
        let text = format!("evt_7.1700000000.{body}");
        let digest = [
            "dgst", "-sha256", "-mac", "HMAC", "-macopt", &hexkey, "-binary",
        ];
        let signature = openssl(&["base64", "-A"], &openssl(&digest, text.as_bytes()));
        let ours = sign(&secret, "evt_7", 1_700_000_000, body.as_bytes());
        assert_eq!(
            ours,
            format!("v1,{}", String::from_utf8(signature).unwrap())
        );
    }
}

#[test]
fn a_plain_secret_is_the_key() {
    let digest = ["dgst", "-sha256", "-hmac", "a plain secret", "-binary"];
    let signature = openssl(&["base64", "-A"], &openssl(&digest, b"id.-1.body"));
    let ours = sign("a plain secret", "id", -1, b"body");
    assert_eq!(
        ours,
        format!("v1,{}", String::from_utf8(signature).unwrap())
    );
}
