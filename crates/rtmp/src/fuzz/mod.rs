//! Fuzz targets: what must hold whatever a peer sends. `crates/testkit/fuzz` runs them under an
//! engine, the tests below over the kept corpora.

mod chunks;
mod client;
mod publish;
mod session;
mod values;

pub use chunks::chunks;
pub use client::client;
pub use publish::publish;
pub use session::{commands, handshake, session};
pub use values::{amf0, target, url};

/// The next record: a head of `N` bytes, of which the last two are the length of the body.
fn record<'a, const N: usize>(data: &mut &'a [u8]) -> Option<(&'a [u8; N], &'a [u8])> {
    let (head, rest) = data.split_first_chunk::<N>()?;
    let len = head.last_chunk().map_or(0, |l| u16::from_be_bytes(*l));
    let (body, rest) = rest.split_at(usize::from(len).min(rest.len()));
    *data = rest;
    Some((head, body))
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::replay;

    #[test]
    fn kept_corpora() {
        replay("rtmp_chunks", super::chunks);
        replay("rtmp_handshake", super::handshake);
        replay("rtmp_session", super::session);
        replay("rtmp_commands", super::commands);
        replay("rtmp_client", super::client);
        replay("rtmp_publish", super::publish);
        replay("rtmp_target", super::target);
        replay("rtmp_url", super::url);
        replay("amf0", super::amf0);
    }
}
