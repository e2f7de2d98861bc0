//! Fields off the front of a message.

use bytes::{Buf as _, Bytes};

use super::Error;

/// What is left of one message's body.
pub(super) struct Cut(pub(super) Bytes);

impl Cut {
    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.0.try_get_u8().map_err(|_| Error::CutShort)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.0.try_get_u16().map_err(|_| Error::CutShort)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.0.try_get_u32().map_err(|_| Error::CutShort)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Error> {
        self.0.try_get_i64().map_err(|_| Error::CutShort)
    }

    /// Bytes behind their length in 32 bits.
    pub(super) fn bytes(&mut self) -> Result<Bytes, Error> {
        let length = usize::try_from(self.u32()?).map_err(|_| Error::CutShort)?;
        if length > self.0.len() {
            return Err(Error::CutShort);
        }
        Ok(self.0.split_to(length))
    }

    /// Text, where there is any.
    pub(super) fn text(&mut self) -> Result<Option<String>, Error> {
        if self.u8()? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8(self.bytes()?.into()).map_err(|_| Error::Text)?;
        Ok(Some(text))
    }
}
