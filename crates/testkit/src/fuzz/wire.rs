//! Messages between the server and its transcoders, as either end reads them.

use bytes::BufMut as _;
use container::wire::{Message, Reader, put};
use ladder::{Order, Report};

/// As much as either end takes, and no more.
const MOST: usize = 1 << 20;

/// Whatever is read is written again as it was, however it is cut; what is said in words is read or
/// refused.
pub fn messages(data: &[u8]) {
    let whole = read(data, data.len().max(1));
    assert_eq!(whole, read(data, 7), "cut elsewhere");
    let mut chunks = Vec::new();
    for message in &whole {
        put(message, &mut chunks);
        if let Message::Control(text) = message {
            said(text);
        }
    }
    let again = chunks.concat();
    assert_eq!(
        read(&again, again.len().max(1)),
        whole,
        "written and read again"
    );
}

fn read(data: &[u8], piece: usize) -> Vec<Message> {
    let mut reader = Reader::new(MOST);
    let mut messages = Vec::new();
    for piece in data.chunks(piece) {
        reader.space().put_slice(piece);
        loop {
            match reader.take() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

fn said(text: &[u8]) {
    if let Ok(order) = Order::of_control(text) {
        assert_eq!(Order::of_control(&order.to_control()).ok(), Some(order));
    }
    if let Ok(report) = Report::of_control(text) {
        assert_eq!(Report::of_control(&report.to_control()).ok(), Some(report));
    }
}
