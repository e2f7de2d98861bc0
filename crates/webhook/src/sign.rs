//! Who sent it: Standard Webhooks, `v1`, symmetric (<https://www.standardwebhooks.com>).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;

use crate::error::Error;

/// The event's id: the same however often it is sent.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// When it was sent, in Unix seconds.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// Signatures, with spaces between them.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

const PREFIX: &str = "whsec_";

/// Padded as the scheme has it, or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `v1,` and the signature in base64: HMAC-SHA256 of `{id}.{timestamp}.{body}`. `timestamp` is in
/// Unix seconds.
#[must_use]
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key(secret)));
    signing.update(format!("{id}.{timestamp}.").as_bytes());
    signing.update(body);
    format!("v1,{}", BASE64.encode(signing.sign()))
}

/// The scheme's headers, with one signature per secret: two while one is replaced by the other, none
/// where nobody asked for signatures.
///
/// # Errors
/// An id that no header can hold.
pub fn headers(
    secrets: &[&str],
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ID, HeaderValue::try_from(id).map_err(|_| Error::Id)?);
    headers.insert(TIMESTAMP, timestamp.into());
    let signatures: Vec<_> = secrets
        .iter()
        .map(|secret| sign(secret, id, timestamp, body))
        .collect();
    if !signatures.is_empty() {
        let value = HeaderValue::try_from(signatures.join(" "));
        headers.insert(SIGNATURE, value.map_err(|_| Error::Id)?);
    }
    Ok(headers)
}

/// Whether a secret that says it is base64 (`whsec_…`) is, and there is a key in it.
#[must_use]
pub fn is_secret(secret: &str) -> bool {
    match secret.strip_prefix(PREFIX) {
        Some(encoded) => BASE64.decode(encoded).is_ok_and(|key| !key.is_empty()),
        None => !secret.is_empty(),
    }
}

/// A secret that is none ([`is_secret`]) is its own bytes: something has to be signed with.
fn key(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(PREFIX);
    let key = encoded.and_then(|encoded| BASE64.decode(encoded).ok());
    key.unwrap_or_else(|| secret.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    /// From the scheme's own libraries.
    #[test]
    fn the_published_vector() {
        let signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_a_key_or_its_text() {
        assert_eq!(key("whsec_AAEC"), [0, 1, 2]);
        assert_eq!(key("whsec_AAE"), [0, 1]);
        assert_eq!(key("AAEC"), b"AAEC");
        assert_eq!(key("whsec_!"), b"whsec_!");
        assert!(is_secret("whsec_AAEC") && is_secret("x"));
        assert!(!is_secret("whsec_!") && !is_secret("whsec_") && !is_secret(""));
    }

    #[test]
    fn two_secrets_make_two_signatures() {
        let headers = headers(&[SECRET, "old"], "msg_1", 17, BODY).unwrap();
        let both = [SECRET, "old"].map(|secret| sign(secret, "msg_1", 17, BODY));
        assert_eq!(headers[SIGNATURE], both.join(" "));
        assert_eq!(
            (&headers[ID], &headers[TIMESTAMP]),
            (&HeaderValue::from_static("msg_1"), &17.into())
        );
        assert!(super::headers(&[], "a\nb", 17, BODY).is_err());
        assert!(
            !super::headers(&[], "a", 17, BODY)
                .unwrap()
                .contains_key(SIGNATURE)
        );
    }
}
