//! Base64, standard alphabet with padding: certificates and files of predictions.

use ::base64::Engine as _;
use ::base64::prelude::BASE64_STANDARD;

/// Encodes bytes.
#[cfg(any(feature = "cli", test))]
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Decodes text; `None` when it is not base64, or empty. Blanks are skipped.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_ascii_whitespace().collect();
    let bytes = BASE64_STANDARD.decode(digits).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_decoded() {
        for (text, base64) in [
            ("h", "aA=="),
            ("he", "aGU="),
            ("hel", "aGVs"),
            ("hell", "aGVsbA=="),
            ("hello!", "aGVs\nbG8h"),
        ] {
            assert_eq!(decode(base64).unwrap(), text.as_bytes());
        }
        for text in ["", "a", "aGVsbG8", "a===", "aG=s", "aGV*"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 1..bytes.len() {
            assert_eq!(decode(&encode(&bytes[..length])).unwrap(), &bytes[..length]);
        }
        assert_eq!(encode(b"hell"), "aGVsbA==");
    }
}
