//! The names of ops.

use std::fmt;

use sha2::block_api::compress256;

/// The sha256 digest of an op's bytes: its name in a definition.
///
/// It prints as BuildKit writes it, `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpDigest(pub(super) [u8; 32]);

/// The state that SHA-256 begins with (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const BLOCK: usize = 64;

impl OpDigest {
    /// The digest of an op's bytes.
    ///
    /// Ops are short and whole, so their blocks are hashed where they are, without the buffer of a hasher that is given
    /// bytes by and by.
    pub fn of(bytes: &[u8]) -> Self {
        let mut state = INITIAL;
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        compress256(&mut state, blocks);

        // What is left, a one bit, zeros, and the number of bits fill one block, or two.
        let mut last = [[0; BLOCK]; 2];
        let bits = 8 * bytes.len() as u64;
        let count = if rest.len() < BLOCK - size_of_val(&bits) {
            1
        } else {
            2
        };
        let padded = last.as_flattened_mut();
        padded[..rest.len()].copy_from_slice(rest);
        padded[rest.len()] = 0x80;
        padded[count * BLOCK - size_of_val(&bits)..count * BLOCK]
            .copy_from_slice(&bits.to_be_bytes());
        compress256(&mut state, &last[..count]);

        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        Self(digest)
    }

    /// `sha256:` and 64 hexadecimal digits, without an allocation.
    pub(crate) fn text(&self) -> [u8; 71] {
        let mut text = *b"sha256:0000000000000000000000000000000000000000000000000000000000000000";
        let digits = text[7..].as_chunks_mut().0;
        for (digits, byte) in digits.iter_mut().zip(self.0) {
            *digits = [digit(byte >> 4), digit(byte & 15)];
        }
        text
    }
}

/// A hexadecimal digit. Without a table or a branch, many are made at once.
fn digit(value: u8) -> u8 {
    let to_letters = if value > 9 { b'a' - b'9' - 1 } else { 0 };
    value + b'0' + to_letters
}

impl fmt::Display for OpDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text()
            .iter()
            .try_for_each(|&byte| fmt::Write::write_char(formatter, char::from(byte)))
    }
}

impl fmt::Debug for OpDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_sha256_at_every_length() {
        use sha2::Digest as _;
        let bytes: Vec<u8> = (0..1000_u32).map(|number| (number % 251) as u8).collect();
        for length in (0..=260).chain([511, 512, 1000]) {
            let expected: [u8; 32] = sha2::Sha256::digest(&bytes[..length]).into();
            assert_eq!(OpDigest::of(&bytes[..length]).0, expected, "{length} bytes");
        }
    }

    #[test]
    fn every_byte_has_its_two_digits() {
        for byte in 0..=255 {
            let digest = OpDigest([byte; 32]);
            let expected = format!("sha256:{}", format!("{byte:02x}").repeat(32));
            assert_eq!(digest.to_string(), expected);
        }
    }
}
