//! Base64, standard alphabet with padding: certificates and files of predictions.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes bytes.
#[cfg(any(feature = "cli", test))]
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut value = 0_u32;
        for index in 0..3 {
            value = (value << 8) | u32::from(group.get(index).copied().unwrap_or(0));
        }
        for place in 0..4 {
            if place <= group.len() {
                let six = (value >> (18 - 6 * place)) & 63;
                text.push(char::from(ALPHABET[six as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Decodes text; `None` when it is not base64. Blanks are skipped.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if digits.is_empty() || !digits.len().is_multiple_of(4) {
        return None;
    }
    let padding = digits
        .iter()
        .rev()
        .take_while(|digit| **digit == b'=')
        .count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for group in digits[..digits.len() - padding].chunks(4) {
        let mut value = 0_u32;
        for digit in group {
            let six = ALPHABET.iter().position(|letter| letter == digit)?;
            value = (value << 6) | u32::try_from(six).ok()?;
        }
        let missing = 4 - group.len();
        value <<= 6 * missing;
        bytes.extend_from_slice(&value.to_be_bytes()[1..4 - missing]);
    }
    Some(bytes)
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
