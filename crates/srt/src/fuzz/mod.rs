//! Fuzz targets: what must hold whatever a peer sends. `crates/testkit/fuzz` runs them under an
//! engine, the tests below over the kept corpora.

mod control;
mod handshake;
mod key;
mod values;

pub use crate::link::fuzz::link;
pub use control::control;
pub use handshake::handshake;
pub use key::key;
pub use values::{stream_id, url};

/// The next record: a head of `N` bytes, of which the last two are the length of the body.
pub(crate) fn record<'a, const N: usize>(data: &mut &'a [u8]) -> Option<(&'a [u8; N], &'a [u8])> {
    let (head, rest) = data.split_first_chunk::<N>()?;
    let len = head.last_chunk().map_or(0, |l| u16::from_be_bytes(*l));
    let (body, rest) = rest.split_at(usize::from(len).min(rest.len()));
    *data = rest;
    Some((head, body))
}

/// Puts `change` over what begins there.
fn change(bytes: &mut [u8], change: &[u8]) {
    bytes.iter_mut().zip(change).for_each(|(b, c)| *b ^= c);
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::replay;

    #[test]
    fn kept_corpora() {
        replay("srt_handshake", super::handshake);
        replay("srt_control", super::control);
        replay("srt_key", super::key);
        replay("srt_stream_id", super::stream_id);
        replay("srt_url", super::url);
        replay("srt_link", super::link);
    }
}
