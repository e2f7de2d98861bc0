//! Bytes to messages.

use bytes::{Buf as _, Bytes, BytesMut};
use media::{Frame, Span, Timestamp, TrackId};

use super::cut::Cut;
use super::{Error, Message, flag, kind, tracks};

/// The length in front of a message.
const LENGTH: usize = 4;

/// Reads one connection. What is received goes into [`Reader::space`].
#[derive(Debug)]
pub struct Reader {
    received: BytesMut,
    most: usize,
}

impl Reader {
    /// A reader that takes no message longer than `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            received: BytesMut::new(),
            most,
        }
    }

    /// Where received bytes are appended.
    pub const fn space(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    /// The next message; `None` until more is received.
    ///
    /// # Errors
    /// What cannot be read; the connection is of no more use.
    pub fn take(&mut self) -> Result<Option<Message>, Error> {
        let Some(head) = self.received.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > self.most {
            let most = self.most;
            return Err(Error::TooLong { length, most });
        }
        if self.received.len() < LENGTH + length {
            return Ok(None);
        }
        self.received.advance(LENGTH);
        read(self.received.split_to(length).freeze()).map(Some)
    }
}

fn read(body: Bytes) -> Result<Message, Error> {
    let mut cut = Cut(body);
    match cut.u8()? {
        kind::TRACKS => Ok(Message::Tracks {
            rendition: cut.u16()?,
            tracks: tracks::read(&mut cut)?.into(),
        }),
        kind::GROUP => {
            let (rendition, id) = (cut.u16()?, Timestamp::from_nanos(cut.i64()?));
            let flags = cut.u8()?;
            Ok(Message::Group {
                rendition,
                id,
                spliced: flags & flag::SPLICED != 0,
                lost: flags & flag::LOST != 0,
            })
        }
        kind::FRAME => Ok(Message::Frame {
            rendition: cut.u16()?,
            frame: read_frame(cut)?,
        }),
        kind::CONTROL => Ok(Message::Control(cut.0)),
        _ => Err(Error::Unknown("kind of message")),
    }
}

fn read_frame(mut cut: Cut) -> Result<Frame, Error> {
    let track = TrackId(cut.u16()?);
    let flags = cut.u8()?;
    let (dts, pts, duration) = (cut.i64()?, cut.i64()?, cut.i64()?);
    Ok(Frame {
        track,
        dts: Timestamp::from_nanos(dts),
        pts: Timestamp::from_nanos(pts),
        duration: (duration >= 0).then(|| Span::from_nanos(duration)),
        random_access: flags & flag::RANDOM_ACCESS != 0,
        leading: flags & flag::LEADING != 0,
        payload: cut.0,
    })
}
