//! Reads protobuf messages field by field, in place.
//!
//! Nothing is copied and nothing allocated: a length that a message claims is compared with the bytes that are there
//! before anything is done with it.

use std::fmt;

/// The fields of a message that are yet to be read.
pub(super) struct Fields<'b> {
    rest: &'b [u8],
    /// Where the rest ends in the outermost message.
    end: usize,
}

/// A field's number and value.
pub(super) type Field<'b> = (u32, Value<'b>);

/// A value as far as the wire tells its type.
#[derive(Clone, Copy)]
pub(super) enum Value<'b> {
    Integer(u64),
    /// Text, bytes, a message or packed integers.
    Bytes(Part<'b>),
    /// Four or eight bytes, which no field of a definition has.
    Fixed,
}

/// Bytes of a message, and where they are in the outermost one.
#[derive(Clone, Copy, Default)]
pub(super) struct Part<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) start: usize,
}

/// Why bytes are no message, and at which byte that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    at: usize,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Truncated,
    Varint,
    Tag(u64),
    Length { claimed: u64, left: usize },
    Type(u32),
    Utf8(u32),
    Depth,
}

impl<'b> Part<'b> {
    pub(super) fn whole(bytes: &'b [u8]) -> Self {
        Self { bytes, start: 0 }
    }

    pub(super) fn fields(self) -> Fields<'b> {
        Fields {
            rest: self.bytes,
            end: self.start + self.bytes.len(),
        }
    }

    pub(super) fn malformed(self, reason: Reason) -> Malformed {
        Malformed {
            at: self.start,
            reason,
        }
    }

    /// The bytes as text of a field.
    pub(super) fn text(self, field: u32) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.bytes).map_err(|_| self.malformed(Reason::Utf8(field)))
    }
}

impl<'b> Fields<'b> {
    /// The next field; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Field<'b>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.position();
        let tag = self.varint()?;
        let malformed = |reason| Malformed { at: start, reason };
        let number = u32::try_from(tag >> 3).ok();
        // A tag is 32 bits long, and there is no field 0.
        let number = number.filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or_else(|| malformed(Reason::Tag(tag)))?;
        let value = match tag & 7 {
            0 => Value::Integer(self.varint()?),
            1 => self.fixed(8)?,
            2 => {
                let start = self.position();
                let claimed = self.varint()?;
                let length = usize::try_from(claimed).unwrap_or(usize::MAX);
                let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
                    let left = self.rest.len();
                    return Err(Malformed {
                        at: start,
                        reason: Reason::Length { claimed, left },
                    });
                };
                let start = self.position();
                self.rest = rest;
                Value::Bytes(Part { bytes, start })
            }
            5 => self.fixed(4)?,
            // Groups are of the time before definitions.
            _ => return Err(malformed(Reason::Tag(tag))),
        };
        Ok(Some((number, value)))
    }

    fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    fn fixed(&mut self, length: usize) -> Result<Value<'b>, Malformed> {
        let rest = self.rest.get(length..);
        self.rest = rest.ok_or(Malformed {
            at: self.position(),
            reason: Reason::Truncated,
        })?;
        Ok(Value::Fixed)
    }

    /// An integer of up to ten bytes.
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(byte.into());
        }
        let start = self.position();
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return Err(Malformed {
                    at: start,
                    reason: Reason::Truncated,
                });
            };
            self.rest = rest;
            // Of the tenth byte only one bit is left.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed {
            at: start,
            reason: Reason::Varint,
        })
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'b> Value<'b> {
    /// The value of a field that is an integer.
    pub(super) fn integer(self, field: u32, message: Part<'_>) -> Result<u64, Malformed> {
        match self {
            Self::Integer(value) => Ok(value),
            Self::Bytes(part) => Err(part.malformed(Reason::Type(field))),
            Self::Fixed => Err(message.malformed(Reason::Type(field))),
        }
    }

    /// The value of a field that is text, bytes or a message.
    pub(super) fn part(self, field: u32, message: Part<'_>) -> Result<Part<'b>, Malformed> {
        match self {
            Self::Bytes(part) => Ok(part),
            Self::Integer(_) | Self::Fixed => Err(message.malformed(Reason::Type(field))),
        }
    }

    /// The value of a field that is text.
    pub(super) fn text(self, field: u32, message: Part<'_>) -> Result<&'b str, Malformed> {
        self.part(field, message)?.text(field)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.reason {
            Reason::Truncated => write!(formatter, "it ends within the field at byte {at}"),
            Reason::Varint => write!(formatter, "the integer at byte {at} has more than 64 bits"),
            Reason::Tag(tag) => write!(formatter, "the tag at byte {at}, {tag}, is of no field"),
            Reason::Length { claimed, left } => write!(
                formatter,
                "the length at byte {at} says {claimed} bytes, but there are {left}"
            ),
            Reason::Type(field) => write!(
                formatter,
                "field {field} of the message at byte {at} is of another type"
            ),
            Reason::Utf8(field) => write!(
                formatter,
                "the text of field {field} at byte {at} is not UTF-8"
            ),
            Reason::Depth => write!(formatter, "the message at byte {at} is nested too deeply"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(bytes: &[u8]) -> String {
        let mut fields = Part::whole(bytes).fields();
        loop {
            match fields.next() {
                Ok(Some(_)) => {}
                Ok(None) => return "none".to_owned(),
                Err(malformed) => return malformed.to_string(),
            }
        }
    }

    #[test]
    fn fields_are_read_with_their_places() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0, 0];
        let mut fields = Part::whole(&bytes).fields();
        assert!(matches!(fields.next(), Ok(Some((1, Value::Integer(150))))));
        let Ok(Some((2, Value::Bytes(part)))) = fields.next() else {
            panic!("the second field is text");
        };
        assert_eq!((part.text(2), part.start), (Ok("hi"), 5));
        assert!(matches!(fields.next(), Ok(Some((3, Value::Fixed)))));
        assert!(matches!(fields.next(), Ok(None)));
    }

    #[test]
    fn integers_have_at_most_64_bits() {
        let mut largest = [0xff; 10];
        largest[9] = 1;
        let fields = |bytes: &'static [u8]| Part::whole(bytes).fields();
        assert_eq!(Part::whole(&largest).fields().varint(), Ok(u64::MAX));
        assert!(
            fields(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])
                .varint()
                .is_err()
        );
        assert!(fields(&[0xff; 12]).varint().is_err());
        assert!(fields(&[0x80]).varint().is_err());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (bytes, expected) in [
            (&[0x08][..], "it ends within the field at byte 1"),
            (
                &[0x08, 1, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f, 1],
                "the length at byte 3 says 4294967295 bytes, but there are 1",
            ),
            (&[0x00, 1], "the tag at byte 0, 0, is of no field"),
            (&[0x0b], "the tag at byte 0, 11, is of no field"),
            (&[0x0d, 1, 2], "it ends within the field at byte 1"),
        ] {
            assert_eq!(error(bytes), expected);
        }
    }
}
