//! AMF0 behind a guard: the shape is walked over, with bounds, before a parser sees it.

use std::collections::HashMap;

use bytes::Bytes;
pub(crate) use rml_amf0::Amf0Value as Value;

/// A command that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmfError {
    /// It ends within a value.
    #[error("AMF0 is cut short")]
    CutShort,
    /// Objects within objects within objects.
    #[error("AMF0 is nested deeper than {DEPTH}")]
    TooDeep,
    /// More values than any command has.
    #[error("AMF0 holds more than {VALUES} values")]
    TooMany,
    /// A type that commands do not use.
    #[error("AMF0 type {0:#04x}")]
    Type(u8),
    /// Text that is no UTF-8, and the like.
    #[error("AMF0: {0}")]
    Value(String),
}

const DEPTH: u32 = 8;
const VALUES: u32 = 1024;

/// Reads all values of a body.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut guard = Guard {
        rest: body,
        values: 0,
    };
    while !guard.rest.is_empty() {
        guard.value(0)?;
    }
    rml_amf0::deserialize(&mut &body[..]).map_err(|e| AmfError::Value(e.to_string()))
}

/// Writes values. Ours are short, so that nothing in them can be too long.
pub(crate) fn write(values: &Vec<Value>) -> Bytes {
    rml_amf0::serialize(values)
        .map(Bytes::from)
        .unwrap_or_default()
}

pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let own = |(name, value): (&str, Value)| (name.to_owned(), value);
    Value::Object(members.into_iter().map(own).collect::<HashMap<_, _>>())
}

pub(crate) fn text(text: &str) -> Value {
    Value::Utf8String(text.to_owned())
}

struct Guard<'a> {
    rest: &'a [u8],
    values: u32,
}

impl Guard<'_> {
    fn skip(&mut self, len: usize) -> Result<(), AmfError> {
        self.rest = self.rest.get(len..).ok_or(AmfError::CutShort)?;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(AmfError::CutShort)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn string(&mut self) -> Result<usize, AmfError> {
        let len = usize::from(u16::from_be_bytes(self.take()?));
        self.skip(len)?;
        Ok(len)
    }

    fn value(&mut self, depth: u32) -> Result<(), AmfError> {
        self.values += 1;
        if self.values > VALUES {
            return Err(AmfError::TooMany);
        }
        if depth > DEPTH {
            return Err(AmfError::TooDeep);
        }
        match self.take::<1>()?[0] {
            0x00 => self.skip(8),
            0x01 => self.skip(1),
            0x02 => self.string().map(|_| ()),
            0x03 => self.members(depth),
            0x05 | 0x06 => Ok(()),
            0x08 => {
                self.skip(4)?;
                self.members(depth)
            }
            0x0a => {
                let count = u32::from_be_bytes(self.take()?);
                (0..count).try_for_each(|_| self.value(depth + 1))
            }
            other => Err(AmfError::Type(other)),
        }
    }

    fn members(&mut self, depth: u32) -> Result<(), AmfError> {
        loop {
            if self.string()? == 0 {
                return match self.take()? {
                    [0x09] => Ok(()),
                    [other] => Err(AmfError::Type(other)),
                };
            }
            self.value(depth + 1)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let values = vec![
            text("connect"),
            Value::Number(1.0),
            object([("app", text("live")), ("ok", Value::Boolean(true))]),
            Value::Null,
        ];
        assert_eq!(read(&write(&values)), Ok(values));
    }

    #[test]
    fn bombs_do_not_go_off() {
        let nested: Vec<u8> = [0x03, 0, 1, b'a'].repeat(100_000);
        assert_eq!(read(&nested), Err(AmfError::TooDeep));
        assert_eq!(
            read(&[0x0a, 0xff, 0xff, 0xff, 0xff, 5, 5]),
            Err(AmfError::CutShort)
        );
        let many = [vec![0x0a, 0xff, 0xff, 0xff, 0xff], vec![5; 70_000]].concat();
        assert_eq!(read(&many), Err(AmfError::TooMany));
        assert_eq!(read(&[0x02, 0xff, 0xff, b'a']), Err(AmfError::CutShort));
        assert!(read(&[0x02, 0, 1, 0xff]).is_err());
    }
}
