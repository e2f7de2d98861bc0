//! The client's session, that plays or publishes: fed whole or in pieces, the same happens.

use bytes::{BufMut as _, BytesMut};

use super::record;
use crate::chunk::Writer;
use crate::client::{ClientEvent, ClientSession};
use crate::config::Config;
use crate::url::Url;

/// How it is cut, then what a server sends: with an even first byte as it is, else as messages
/// behind a handshake: type, timestamp in 10 ms, length in two bytes, body.
pub fn client(data: &[u8]) {
    let Some((cut, mut data)) = data.split_first() else {
        return;
    };
    let cut = usize::from(*cut);
    if cut % 2 == 0 {
        return compare(data, cut * 8 + 1);
    }
    let mut input = BytesMut::new();
    input.put_u8(3);
    input.put_bytes(0, 2 * 1_536);
    while let Some((&[kind, time, ..], body)) = record::<4>(&mut data) {
        let head = (kind, u32::from(time) * 10, 1);
        Writer::default().write(&mut input, 3, head, body);
    }
    compare(&input, cut * 8 + 1);
}

fn compare(data: &[u8], cut: usize) {
    let small = Config {
        message_bytes: 32 << 10,
        ..Config::default()
    };
    // Before media is agreed on no more is read at a time than counts against the bound.
    let first = &data[..data.len().min(small.request_bytes)];
    for ask in [ClientSession::play, ClientSession::publish] {
        let whole = follow(ask, first, usize::MAX, small);
        assert_eq!(whole, follow(ask, first, cut, small));
    }
}

/// Everything a session tells its driver, and how it ends.
fn follow(
    ask: fn(Url, Config) -> ClientSession,
    data: &[u8],
    cut: usize,
    config: Config,
) -> (Vec<ClientEvent>, Option<String>) {
    let url = Url::keyed("rtmp://server/live", "x?key=k3y").expect("an address");
    let mut session = ask(url, config);
    let mut events = Vec::new();
    let mut sent = 0;
    for piece in data.chunks(cut) {
        session.input().extend_from_slice(piece);
        session.received(piece.len());
        loop {
            let event = session.poll();
            sent += session.output().len();
            assert!(sent <= (16 << 10) + 32 * data.len(), "answers grow");
            match event {
                Err(error) => {
                    let told = error.to_string();
                    assert!(!told.contains("k3y") && told.len() < 1_200, "{told}");
                    return (events, Some(told));
                }
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert!(events.last() != Some(&ClientEvent::Finished));
                    let media = matches!(event, ClientEvent::Media { .. });
                    assert!(!media || session.is_accepted());
                    events.push(event);
                }
            }
        }
    }
    (events, None)
}
