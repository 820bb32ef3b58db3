//! Writes protobuf messages in the order and form that BuildKit's Go client does.
//!
//! The rules are those of protobuf's deterministic encoding as Go has it: fields in ascending order, scalars with the
//! default value left out, set sub-messages written even when empty, map entries sorted by key and always complete.
//! Callers keep the field order; this module keeps everything else.

/// A growing protobuf message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    buffer: Vec<u8>,
}

const VARINT: u32 = 0;
const LENGTH_DELIMITED: u32 = 2;
const MINUS_ONE: [u8; 10] = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(capacity),
        }
    }

    /// Makes room for more bytes at once.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.buffer.reserve(more);
    }

    /// The bytes written so far.
    pub(crate) fn written(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes back everything after the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.buffer.truncate(length);
    }

    /// Takes everything after the first `length` bytes.
    pub(crate) fn split_off(&mut self, length: usize) -> Vec<u8> {
        self.buffer.split_off(length)
    }

    /// Takes bytes out.
    pub(crate) fn remove(&mut self, range: std::ops::Range<usize>) {
        self.buffer.drain(range);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// Fields that are encoded already.
    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A string; left out when empty.
    #[inline]
    pub(crate) fn string(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.string_always(field, value);
        }
    }

    /// A string that is written even when empty: an element of a repeated field, or half of a map entry.
    #[inline]
    pub(crate) fn string_always(&mut self, field: u32, value: &str) {
        self.bytes_always(field, value.as_bytes());
    }

    /// A repeated string.
    pub(crate) fn strings<S: AsRef<str>>(
        &mut self,
        field: u32,
        values: impl IntoIterator<Item = S>,
    ) {
        for value in values {
            self.string_always(field, value.as_ref());
        }
    }

    /// Bytes; left out when empty.
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.bytes_always(field, value);
        }
    }

    #[inline]
    pub(crate) fn bytes_always(&mut self, field: u32, value: &[u8]) {
        self.head(field, value.len());
        self.buffer.extend_from_slice(value);
    }

    /// A string made of two parts with `=` between them, as environment entries are.
    #[inline]
    pub(crate) fn assignment(&mut self, field: u32, key: &str, value: &str) {
        self.head(field, key.len() + 1 + value.len());
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.push(b'=');
        self.buffer.extend_from_slice(value.as_bytes());
    }

    #[inline]
    pub(crate) fn bool(&mut self, field: u32, value: bool) {
        if value {
            self.unsigned_always(field, 1);
        }
    }

    /// An unsigned integer or enum; left out when zero.
    #[inline]
    pub(crate) fn unsigned(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.unsigned_always(field, value);
        }
    }

    #[inline]
    pub(crate) fn unsigned_always(&mut self, field: u32, value: u64) {
        let tag = u64::from(field << 3 | VARINT);
        if tag < 0x80 && value < 0x80 {
            let both = [low_bits(tag), low_bits(value)];
            self.buffer.extend_from_slice(&both);
        } else {
            self.varint(tag);
            self.varint(value);
        }
    }

    /// An int32 or int64; left out when zero, ten bytes long when negative.
    #[inline]
    pub(crate) fn signed(&mut self, field: u32, value: i64) {
        if value == -1 {
            // Scratch as an input, and what is no output.
            self.tag(field, VARINT);
            self.buffer.extend_from_slice(&MINUS_ONE);
            return;
        }
        self.unsigned(field, value.cast_unsigned());
    }

    /// A packed repeated integer; left out when there are no elements.
    pub(crate) fn packed(&mut self, field: u32, values: impl Iterator<Item = i64>) {
        let mut values = values.peekable();
        if values.peek().is_some() {
            self.message(field, |writer| {
                for value in values {
                    writer.varint(value.cast_unsigned());
                }
            });
        }
    }

    /// A sub-message, written even when it turns out empty.
    #[inline]
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let body = self.begin(field);
        write(self);
        self.end(body);
    }

    /// Begins a sub-message: everything up to the [end](Self::end) is in it. Gives where that starts.
    #[inline]
    pub(crate) fn begin(&mut self, field: u32) -> usize {
        self.head(field, 0);
        self.buffer.len()
    }

    /// Ends the sub-message whose content starts here. There is one byte for its length, which is right for most
    /// messages; longer ones move up.
    #[inline]
    pub(crate) fn end(&mut self, body: usize) {
        let length = self.buffer.len() - body;
        match self.buffer.get_mut(body - 1) {
            Some(byte) if length < 0x80 => *byte = low_bits(length as u64),
            _ => self.end_long(body, length),
        }
    }

    #[cold]
    #[inline(never)]
    fn end_long(&mut self, body: usize, length: usize) {
        let mut prefix = [0; 10];
        let size = encode_varint(length as u64, &mut prefix);
        self.buffer.resize(body + length + size - 1, 0);
        self.buffer
            .copy_within(body..body + length, body + size - 1);
        self.buffer[body - 1..body - 1 + size].copy_from_slice(&prefix[..size]);
    }

    /// One entry of a `map<string, string>`.
    pub(crate) fn string_entry(&mut self, field: u32, key: &str, value: &str) {
        self.message(field, |entry| {
            entry.string_always(1, key);
            entry.string_always(2, value);
        });
    }

    /// One entry of a `map<string, Message>`.
    pub(crate) fn message_entry(&mut self, field: u32, key: &str, write: impl FnOnce(&mut Self)) {
        self.message(field, |entry| {
            entry.string_always(1, key);
            entry.message(2, write);
        });
    }

    /// What comes before the bytes of a field.
    #[inline]
    fn head(&mut self, field: u32, length: usize) {
        let tag = u64::from(field << 3 | LENGTH_DELIMITED);
        if tag < 0x80 && length < 0x80 {
            let head = [low_bits(tag), low_bits(length as u64)];
            self.buffer.extend_from_slice(&head);
        } else {
            self.varint(tag);
            self.varint(length as u64);
        }
    }

    #[inline]
    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    #[inline]
    pub(crate) fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.buffer.push(low_bits(value));
        } else {
            self.long_varint(value);
        }
    }

    fn long_varint(&mut self, value: u64) {
        let mut bytes = [0; 10];
        let size = encode_varint(value, &mut bytes);
        self.buffer.extend_from_slice(&bytes[..size]);
    }
}

fn encode_varint(mut value: u64, bytes: &mut [u8; 10]) -> usize {
    let mut size = 0;
    while value >= 0x80 {
        bytes[size] = low_bits(value) | 0x80;
        value >>= 7;
        size += 1;
    }
    bytes[size] = low_bits(value);
    size + 1
}

fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::default();
        write(&mut writer);
        writer.into_bytes()
    }

    #[test]
    fn negative_integers_take_ten_bytes() {
        let bytes = written(|writer| writer.signed(2, -1));
        assert_eq!(
            bytes,
            [
                0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01
            ]
        );
    }

    #[test]
    fn default_scalars_are_left_out_but_set_messages_are_not() {
        let bytes = written(|writer| {
            writer.string(1, "");
            writer.unsigned(2, 0);
            writer.bool(3, false);
            writer.message(11, |_| {});
        });
        assert_eq!(bytes, [0x5a, 0x00]);
    }

    #[test]
    fn map_entries_always_have_key_and_value() {
        assert_eq!(
            written(|writer| writer.string_entry(2, "", "")),
            [0x12, 0x04, 0x0a, 0x00, 0x12, 0x00]
        );
    }

    #[test]
    fn messages_get_the_length_they_have() {
        for length in [0_usize, 126, 127, 128, 200, 16_383, 16_384, 70_000] {
            let bytes = written(|writer| {
                writer.message(1, |inner| {
                    inner.buffer.resize(inner.buffer.len() + length, 7);
                });
            });
            let mut prefix = [0; 10];
            let size = encode_varint(length as u64, &mut prefix);
            assert_eq!(bytes[1..=size], prefix[..size], "length {length}");
            assert_eq!(bytes.len(), 1 + size + length);
            assert!(bytes[1 + size..].iter().all(|&byte| byte == 7));
        }
    }
}
