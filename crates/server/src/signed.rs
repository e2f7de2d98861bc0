//! Headers of what is posted to the operator's servers: events of hooks, questions of callbacks.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::runtime::utc_ms;

/// Signs `body` as of now, where there is a `secret`, and adds the operator's `own`.
pub(crate) fn headers(
    secret: Option<&str>,
    own: Option<&BTreeMap<String, String>>,
    (id, body): (&str, &[u8]),
    content_type: HeaderValue,
) -> Result<HeaderMap, String> {
    let now = utc_ms() / 1_000;
    let signed = webhook::sign::headers(secret.as_slice(), id, now, body);
    let mut headers = signed.map_err(|error| error.to_string())?;
    for (name, value) in own.into_iter().flatten() {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        headers.insert(name, value);
    }
    headers.insert(header::CONTENT_TYPE, content_type);
    Ok(headers)
}
