//! PEM text: which certificates it holds.

use indexmap::IndexSet;

use crate::base64;

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
            if let Some(label) = line
                .strip_prefix(BEGIN)
                .and_then(|rest| rest.strip_suffix("-----"))
            {
                if let Some((line, ..)) = open {
                    return Err(PemError::Unfinished { line });
                }
                if label.ends_with("PRIVATE KEY") {
                    return Err(PemError::PrivateKey { line: number });
                }
                let wanted = matches!(
                    label,
                    "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE"
                );
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
        if certificates.bodies.is_empty() {
            Err(PemError::Empty)
        } else {
            Ok(certificates)
        }
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
    let Some(bytes) = base64::decode(body) else {
        return false;
    };
    let [0x30, length, rest @ ..] = bytes.as_slice() else {
        return false;
    };
    if *length < 0x80 {
        return usize::from(*length) <= rest.len();
    }
    let digits = usize::from(length & 0x7f);
    if digits == 0 || digits > 4 || rest.len() < digits {
        return false;
    }
    let (digits, content) = rest.split_at(digits);
    let length = digits
        .iter()
        .fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
    // A trusted certificate has auxiliary data behind the certificate.
    length > 0 && length <= content.len()
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
            (
                "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n",
                PemError::Unfinished { line: 1 },
            ),
            (
                "\n-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----\n",
                PemError::Damaged { line: 2 },
            ),
            (
                "-----BEGIN CERTIFICATE-----\nM\u{e4}MCAQE=\n-----END CERTIFICATE-----\n",
                PemError::Damaged { line: 1 },
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\n",
                PemError::PrivateKey { line: 1 },
            ),
        ] {
            assert_eq!(Certificates::parse(text), Err(error), "{text}");
        }
    }
}
