//! PEM text: which certificates it holds.

use indexmap::IndexSet;

/// Certificates of a PEM text, without repeats and without the text around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Base64 of each certificate, without line breaks, in the order of the text.
    bodies: IndexSet<String>,
}

/// Why a text holds no usable certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No certificate.
    #[error("there is no `-----BEGIN CERTIFICATE-----` in it")]
    Empty,
    /// A block without end.
    #[error("the certificate that begins on line {line} does not end")]
    Unfinished {
        /// Line of the beginning, from 1.
        line: usize,
    },
    /// A block that is not base64 of an ASN.1 sequence.
    #[error("the certificate that begins on line {line} is damaged")]
    Damaged {
        /// Line of the beginning, from 1.
        line: usize,
    },
    /// A private key, which must not leave its host.
    #[error("there is a private key on line {line}; give the certificates only")]
    PrivateKey {
        /// Line of the key, from 1.
        line: usize,
    },
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

impl Certificates {
    /// Reads PEM text. Text around the certificates is ignored; other blocks are too, but a
    /// private key is refused.
    pub fn parse(text: &str) -> Result<Self, PemError> {
        let mut certificates = Self::default();
        let mut open: Option<(usize, bool, String)> = None;
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if let Some(label) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix("-----")) {
                if let Some((line, ..)) = open {
                    return Err(PemError::Unfinished { line });
                }
                if label.ends_with("PRIVATE KEY") {
                    return Err(PemError::PrivateKey { line: number });
                }
                let wanted = matches!(label, "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE");
                open = Some((number, wanted, String::new()));
            } else if line.starts_with(END) {
                if let Some((line, true, body)) = open.take() {
                    if !is_certificate(&body) {
                        return Err(PemError::Damaged { line });
                    }
                    certificates.bodies.insert(body);
                }
            } else if let Some((_, _, body)) = &mut open {
                body.push_str(line);
            }
        }
        if let Some((line, ..)) = open {
            return Err(PemError::Unfinished { line });
        }
        if certificates.bodies.is_empty() { Err(PemError::Empty) } else { Ok(certificates) }
    }

    /// Adds the certificates of another text.
    pub fn extend(&mut self, other: Self) {
        self.bodies.extend(other.bodies);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// The certificates as PEM, lines of 64 characters.
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        for body in &self.bodies {
            text.push_str("-----BEGIN CERTIFICATE-----\n");
            let mut rest = body.as_str();
            while !rest.is_empty() {
                // A body is base64 here, so every index is a character boundary.
                let (line, next) = rest.split_at(rest.len().min(64));
                text.push_str(line);
                text.push('\n');
                rest = next;
            }
            text.push_str("-----END CERTIFICATE-----\n");
        }
        text
    }
}

/// Whether base64 text is one DER sequence, from its first to its last byte.
fn is_certificate(body: &str) -> bool {
    let Some(bytes) = decode_base64(body) else { return false };
    let [0x30, length, rest @ ..] = bytes.as_slice() else { return false };
    if *length < 0x80 {
        return usize::from(*length) <= rest.len();
    }
    let digits = usize::from(length & 0x7f);
    if digits == 0 || digits > 4 || rest.len() < digits {
        return false;
    }
    let (digits, content) = rest.split_at(digits);
    let length = digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
    // A trusted certificate has auxiliary data behind the certificate.
    length > 0 && length <= content.len()
}

/// Decodes base64 with padding; `None` when the text is not that. Blanks are skipped.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if digits.is_empty() || digits.len() % 4 != 0 {
        return None;
    }
    let padding = digits.iter().rev().take_while(|digit| **digit == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for group in digits[..digits.len() - padding].chunks(4) {
        let mut value = 0_u32;
        for digit in group {
            let six = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            value = (value << 6) | u32::from(six);
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

    /// A sequence of three bytes: what the reader checks of a certificate.
    const SMALL: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

    #[test]
    fn certificates_are_taken_out_of_their_text_once() {
        let text = format!("# Issuer: me\n{SMALL}\r\ntext\n{SMALL}");
        let certificates = Certificates::parse(&text).unwrap();
        assert_eq!(certificates.len(), 1);
        assert_eq!(certificates.to_pem(), SMALL);
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", PemError::Empty),
            ("not a bundle", PemError::Empty),
            ("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n", PemError::Unfinished { line: 1 }),
            (
                "\n-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----\n",
                PemError::Damaged { line: 2 },
            ),
            (
                "-----BEGIN CERTIFICATE-----\nM\u{e4}MCAQE=\n-----END CERTIFICATE-----\n",
                PemError::Damaged { line: 1 },
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\n", PemError::PrivateKey { line: 1 }),
        ] {
            assert_eq!(Certificates::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn base64_is_decoded() {
        assert_eq!(decode_base64("aGVsbG8=").unwrap(), b"hello");
        assert_eq!(decode_base64("aGVs\nbG8h").unwrap(), b"hello!");
        assert_eq!(decode_base64("aA==").unwrap(), b"h");
        for text in ["", "a", "aGVsbG8", "a===", "aG=s", "aGV*"] {
            assert_eq!(decode_base64(text), None, "{text}");
        }
    }
}
