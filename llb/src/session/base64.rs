//! Base64 as logins, descriptors and error details have it.

/// Decodes standard base64, padded or not; `None` if it is something else.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u16, 0);
    for character in text.trim_end_matches('=').bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u16::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [_, byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
