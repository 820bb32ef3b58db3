//! Content digests as text: `sha256:` and 64 hexadecimal digits.
//!
//! This module reads, checks and prints digests; it computes none.

use std::fmt;
use std::str::FromStr;

/// A digest algorithm that BuildKit accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 64 hexadecimal digits: the one in everyday use.
    Sha256,
    /// SHA-384, 96 hexadecimal digits.
    Sha384,
    /// SHA-512, 128 hexadecimal digits.
    Sha512,
}

impl Algorithm {
    /// The name before the colon, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The number of hexadecimal digits of a digest.
    pub const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

/// A checked digest: a known algorithm and as many lower-case hexadecimal digits as it has.
///
/// ```
/// use llb::value::{Algorithm, Digest};
///
/// let digest: Digest = format!("sha256:{}", "1".repeat(64)).parse()?;
/// assert_eq!(digest.algorithm(), Algorithm::Sha256);
/// assert_eq!(digest.hex(), "1".repeat(64));
/// assert!("sha256:1234".parse::<Digest>().is_err());
/// # Ok::<(), llb::value::digest::DigestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    text: Box<str>,
}

impl Digest {
    /// The digest of the 32 bytes that SHA-256 gives.
    ///
    /// ```
    /// use llb::value::Digest;
    ///
    /// assert!(Digest::from_sha256(&[0xab; 32]).as_str().starts_with("sha256:abab"));
    /// ```
    pub fn from_sha256(hash: &[u8; 32]) -> Self {
        Self {
            algorithm: Algorithm::Sha256,
            text: sha256_text(hash).into_boxed_str(),
        }
    }

    /// Checks `text` and makes a digest of it.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        match check(text.as_bytes()) {
            Ok(algorithm) => Ok(Self {
                algorithm,
                text: text.into(),
            }),
            Err(fault) => Err(DigestError {
                fault,
                text: text.into(),
            }),
        }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digits after the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    /// The whole text, `algorithm:digits`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestError {
    fault: Fault,
    text: Box<str>,
}

impl fmt::Display for DigestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} in {:?} ({})",
            self.fault.message(),
            self.text,
            self.fault.expectation()
        )
    }
}

impl std::error::Error for DigestError {}

/// What is wrong with a digest. The messages are those of `github.com/opencontainers/go-digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Format,
    Algorithm,
    Length,
}

impl Fault {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Format => "invalid checksum digest format",
            Self::Algorithm => "unsupported digest algorithm",
            Self::Length => "invalid checksum digest length",
        }
    }

    pub(crate) const fn expectation(self) -> &'static str {
        match self {
            Self::Format => "expected an algorithm, a colon and lower-case hexadecimal digits",
            Self::Algorithm => "expected sha256, sha384 or sha512",
            Self::Length => "expected 64 digits for sha256, 96 for sha384, 128 for sha512",
        }
    }
}

/// Checks the text of a digest, also at compile time.
pub(crate) const fn check(text: &[u8]) -> Result<Algorithm, Fault> {
    let mut colon = 0;
    while colon < text.len() && text[colon] != b':' {
        colon += 1;
    }
    if colon == 0 || colon + 1 >= text.len() {
        return Err(Fault::Format);
    }
    let (name, _) = text.split_at(colon);
    let (_, digits) = text.split_at(colon + 1);
    let algorithm = match name {
        b"sha256" => Algorithm::Sha256,
        b"sha384" => Algorithm::Sha384,
        b"sha512" => Algorithm::Sha512,
        name if is_algorithm_name(name) => return Err(Fault::Algorithm),
        _ => return Err(Fault::Format),
    };
    if digits.len() != algorithm.digits() {
        return Err(Fault::Length);
    }
    let mut index = 0;
    while index < digits.len() {
        if !matches!(digits[index], b'0'..=b'9' | b'a'..=b'f') {
            return Err(Fault::Format);
        }
        index += 1;
    }
    Ok(algorithm)
}

/// Lower-case words joined by single `+`, `.`, `_` or `-`.
const fn is_algorithm_name(name: &[u8]) -> bool {
    let mut after_separator = true;
    let mut index = 0;
    while index < name.len() {
        match name[index] {
            b'a'..=b'z' | b'0'..=b'9' => after_separator = false,
            b'+' | b'.' | b'_' | b'-' if !after_separator => after_separator = true,
            _ => return false,
        }
        index += 1;
    }
    !after_separator
}

/// The text `sha256:…` of a hash.
///
/// ```
/// use llb::value::digest::sha256_text;
///
/// assert_eq!(sha256_text(&[0; 32]), format!("sha256:{}", "0".repeat(64)));
/// ```
pub fn sha256_text(hash: &[u8; 32]) -> String {
    let mut text = String::with_capacity("sha256:".len() + 64);
    text.push_str("sha256:");
    push_hex(&mut text, hash);
    text
}

/// Appends two lower-case hexadecimal digits for each byte.
///
/// ```
/// let mut text = String::from("0x");
/// llb::value::digest::push_hex(&mut text, &[0x0f, 0xa0]);
/// assert_eq!(text, "0x0fa0");
/// ```
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.reserve(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_apart_as_in_go() {
        let digits = |count| "a".repeat(count);
        let cases = [
            (format!("sha256:{}", digits(64)), Ok(Algorithm::Sha256)),
            (format!("sha384:{}", digits(96)), Ok(Algorithm::Sha384)),
            (format!("sha512:{}", digits(128)), Ok(Algorithm::Sha512)),
            (format!("sha512:{}", digits(64)), Err(Fault::Length)),
            (format!("sha256:{}", digits(40)), Err(Fault::Length)),
            (format!("sha256:{}", "A".repeat(64)), Err(Fault::Format)),
            (format!("sha256:{}", "g".repeat(64)), Err(Fault::Format)),
            (format!("SHA256:{}", digits(64)), Err(Fault::Format)),
            (format!("md5:{}", digits(32)), Err(Fault::Algorithm)),
            (format!("a+b.c_d-e:{}", digits(64)), Err(Fault::Algorithm)),
            (format!("a++b:{}", digits(64)), Err(Fault::Format)),
            ("sha256:".to_owned(), Err(Fault::Format)),
            (":".to_owned(), Err(Fault::Format)),
            (String::new(), Err(Fault::Format)),
            (digits(64), Err(Fault::Format)),
        ];
        for (text, expected) in cases {
            assert_eq!(check(text.as_bytes()), expected, "{text}");
            assert_eq!(Digest::parse(&text).is_ok(), expected.is_ok(), "{text}");
        }
    }

    #[test]
    fn errors_say_what_was_found_and_expected() {
        let error = Digest::parse("md5:12").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unsupported digest algorithm in \"md5:12\" (expected sha256, sha384 or sha512)"
        );
    }
}
