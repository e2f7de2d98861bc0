//! Sessions: fed whole or in pieces, the same happens.

use bytes::{BufMut as _, BytesMut};

use super::record;
use crate::chunk::Writer;
use crate::config::Config;
use crate::reply::Reject;
use crate::session::{Event, Session};

/// What a peer may send before it asks for something.
const REQUEST: usize = 60 << 10;

/// The first bytes of a connection, C0 to C2 and what follows.
pub fn handshake(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else {
        return;
    };
    let data = &data[..data.len().min(REQUEST)];
    // A byte at a time would take long; what matters is where packets are cut.
    let cut = usize::from(*cut) * 8 + 1;
    assert_eq!(follow(data, usize::MAX), follow(data, cut));
}

/// A session behind its handshake, as chunks.
pub fn session(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else {
        return;
    };
    let data = [&shaken()[..], data].concat();
    let data = &data[..data.len().min(REQUEST)];
    assert_eq!(
        follow(data, usize::MAX),
        follow(data, usize::from(*cut) + 1)
    );
}

/// A session behind its handshake, as messages: type, length in two bytes, body.
pub fn commands(mut data: &[u8]) {
    let mut input = shaken();
    while let Some((&[kind, ..], body)) = record::<3>(&mut data) {
        Writer::default().write(&mut input, 3, (kind, 0, 1), body);
    }
    let input = &input[..input.len().min(REQUEST)];
    assert_eq!(follow(input, usize::MAX), follow(input, 1_000));
}

/// A handshake without signatures (RTMP 1.0, 5.2).
fn shaken() -> BytesMut {
    let mut input = BytesMut::new();
    input.put_u8(3);
    input.put_bytes(0, 2 * 1_536);
    input
}

/// Everything a session tells its driver, and how it ends.
fn follow(data: &[u8], cut: usize) -> (Vec<Event>, Option<String>) {
    let mut session = Session::new(Config::default());
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
                Err(error) => return (events, Some(error.to_string())),
                Ok(None) => break,
                Ok(Some(event)) => {
                    answer(&mut session, &event);
                    events.push(event);
                }
            }
        }
    }
    (events, None)
}

fn answer(session: &mut Session, event: &Event) {
    match event {
        Event::Publish(target) if target.name == "refused" => {
            session.reject(Reject::Unauthorised, None)
        }
        Event::Publish(_) => session.accept_publish(),
        Event::Play(_) => drop(session.accept_play()),
        _ => {}
    }
}
