//! Base64 as logins, descriptors and error details have it.

use ::base64::Engine as _;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ::base64::prelude as engines;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Encodes as standard base64 with padding.
#[cfg(any(feature = "gateway", feature = "progress"))]
pub(crate) fn encode(bytes: &[u8]) -> String {
    engines::BASE64_STANDARD.encode(bytes)
}

/// Encodes as URL-safe base64 with padding.
pub(crate) fn encode_url(bytes: &[u8]) -> String {
    engines::BASE64_URL_SAFE.encode(bytes)
}

/// Decodes base64 of either alphabet, padded or not; `None` if it is something else.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT
        .decode(text.replace('-', "+").replace('_', "/"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["", "a", "ab", "abc", "abcd", "{\"secret\":\"~~~???\"}"] {
            assert_eq!(
                decode(&encode_url(text.as_bytes())).unwrap(),
                text.as_bytes()
            );
        }
        assert_eq!(encode_url(b"ab?~"), "YWI_fg==");
    }

    #[test]
    fn texts_of_every_length_are_decoded() {
        for (text, expected) in [
            ("", ""),
            ("YQ==", "a"),
            ("YWI=", "ab"),
            ("YWI", "ab"),
            ("YWJj", "abc"),
            ("YWJj/+8=", "abc\u{ff}"),
        ] {
            let decoded = decode(text);
            let expected: Option<Vec<u8>> = if text == "YWJj/+8=" {
                Some(b"abc\xff\xef".to_vec())
            } else {
                Some(expected.as_bytes().to_vec())
            };
            assert_eq!(decoded, expected, "{text}");
        }
        assert_eq!(decode("a b"), None);
    }
}
