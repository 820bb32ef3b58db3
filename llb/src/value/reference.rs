//! References to images, in Docker's normal form.
//!
//! `alpine` means `docker.io/library/alpine:latest`: a reference names a registry (the *domain*), a repository (the
//! *path*), and a tag or a digest or both, and the short forms people write leave parts out. BuildKit's client puts
//! the normal form into the op, by the rules of `github.com/distribution/reference`; [`ImageRef`] follows them.
//!
//! ```text
//! reference = [domain "/"] path [":" tag] ["@" digest]
//! domain    = (label *("." label) | "[" IPv6 "]") [":" port]
//! path      = component *("/" component)
//! component = alphanumeric *(("." | "_" | "__" | 1*"-") alphanumeric)    ; lower case
//! tag       = 1*128 of letters, digits, "_", ".", "-"; not starting with "." or "-"
//! digest    = algorithm ":" 32*hex
//! ```
//!
//! The first part is a domain only if it is `localhost`, or has a `.`, a `:` or an upper-case letter; otherwise the
//! domain is `docker.io`, where a path of one component is in `library/`.
//!
//! **Invariant.** One `const fn` reads references; [`ImageRef::parse`], [`is_valid_reference`] and
//! [`image!`](crate::image!) all call it, so a literal and a run-time text cannot be judged differently.

use std::fmt;
use std::str::FromStr;

use super::digest::{self, Digest};

const DEFAULT_DOMAIN: &str = "docker.io";
const DEFAULT_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = ":latest";
const LONGEST_PATH: usize = 255;
const LONGEST_TAG: usize = 128;
const SHORTEST_DIGEST: usize = 32;

/// A checked image reference in normal form.
///
/// ```
/// use llb::value::ImageRef;
///
/// let reference: ImageRef = "python:3.12-slim".parse()?;
/// assert_eq!(reference.as_str(), "docker.io/library/python:3.12-slim");
/// assert_eq!(reference.domain(), "docker.io");
/// assert_eq!(reference.path(), "library/python");
/// assert_eq!(reference.tag(), Some("3.12-slim"));
/// # Ok::<(), llb::value::reference::ReferenceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// The normal form, with the default tag where it applies.
    text: Box<str>,
    /// Where the domain ends, and the slash stands.
    domain_end: usize,
    /// Where the path ends.
    name_end: usize,
    /// Where the tag ends; equal to `name_end` without a tag.
    tag_end: usize,
    /// Whether the tag is the default one, which nobody wrote.
    is_default_tag: bool,
}

impl ImageRef {
    /// Reads a reference and brings it into normal form.
    ///
    /// A reference with neither tag nor digest gets the tag `latest`; tag and digest together are both kept.
    ///
    /// ```
    /// use llb::value::ImageRef;
    ///
    /// assert_eq!(ImageRef::parse("alpine")?.as_str(), "docker.io/library/alpine:latest");
    /// assert_eq!(ImageRef::parse("ghcr.io/app")?.as_str(), "ghcr.io/app:latest");
    /// assert!(ImageRef::parse("Alpine").is_err());
    /// # Ok::<(), llb::value::reference::ReferenceError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        match scan(text.as_bytes()) {
            Ok(layout) => Ok(Self::from_layout(text, &layout)),
            Err(fault) => Err(ReferenceError {
                fault,
                text: text.into(),
            }),
        }
    }

    /// Reads a reference to a single blob: it must have a digest and must not have a tag.
    pub fn parse_blob(text: &str) -> Result<Self, ReferenceError> {
        let reference = Self::parse(text)?;
        let fault = match (reference.given_tag(), reference.digest()) {
            (Some(_), _) => Fault::BlobTag,
            (None, None) => Fault::BlobWithoutDigest,
            (None, Some(_)) => return Ok(reference),
        };
        Err(ReferenceError {
            fault,
            text: text.into(),
        })
    }

    fn from_layout(given: &str, layout: &Layout) -> Self {
        let domain = match layout.domain_end {
            Some(end) if given[..end] != *"index.docker.io" => &given[..end],
            _ => DEFAULT_DOMAIN,
        };
        let prefix = if layout.is_library {
            DEFAULT_PREFIX
        } else {
            ""
        };
        let path = &given[layout.path_start..layout.path_end];
        let suffix = &given[layout.path_end..];
        let is_default_tag = suffix.is_empty();

        let mut text = String::with_capacity(
            domain.len() + 1 + prefix.len() + path.len() + suffix.len().max(DEFAULT_TAG.len()),
        );
        text.push_str(domain);
        text.push('/');
        text.push_str(prefix);
        text.push_str(path);
        let name_end = text.len();
        text.push_str(if is_default_tag { DEFAULT_TAG } else { suffix });
        let tag_end = if is_default_tag {
            text.len()
        } else {
            name_end + (layout.tag_end - layout.path_end)
        };
        Self {
            text: text.into_boxed_str(),
            domain_end: domain.len(),
            name_end,
            tag_end,
            is_default_tag,
        }
    }

    /// The normal form, with the default tag where neither tag nor digest was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The normal form without a default tag.
    ///
    /// ```
    /// # use llb::value::ImageRef;
    /// assert_eq!(ImageRef::parse("alpine")?.without_default_tag(), "docker.io/library/alpine");
    /// assert_eq!(ImageRef::parse("alpine:3")?.without_default_tag(), "docker.io/library/alpine:3");
    /// # Ok::<(), llb::value::reference::ReferenceError>(())
    /// ```
    pub fn without_default_tag(&self) -> &str {
        if self.is_default_tag {
            self.name()
        } else {
            &self.text
        }
    }

    /// Domain and path, without tag and digest.
    pub fn name(&self) -> &str {
        &self.text[..self.name_end]
    }

    /// The registry, with its port if it has one.
    pub fn domain(&self) -> &str {
        &self.text[..self.domain_end]
    }

    /// The repository within the registry.
    pub fn path(&self) -> &str {
        &self.text[self.domain_end + 1..self.name_end]
    }

    /// The tag, also the default one.
    pub fn tag(&self) -> Option<&str> {
        (self.tag_end > self.name_end).then(|| &self.text[self.name_end + 1..self.tag_end])
    }

    /// The tag that was written, without the default one.
    pub fn given_tag(&self) -> Option<&str> {
        self.tag().filter(|_| !self.is_default_tag)
    }

    /// The digest, `algorithm:digits`.
    pub fn digest(&self) -> Option<&str> {
        self.text.get(self.tag_end + 1..)
    }

    /// The same reference pinned to `digest`; a reference that has a digest stays as it is.
    ///
    /// The tag is kept, the default one too: it says what the digest was resolved from.
    ///
    /// ```
    /// use llb::value::{Digest, ImageRef};
    ///
    /// let digest = Digest::from_sha256(&[0x33; 32]);
    /// let pinned = ImageRef::parse("alpine:3.20")?.with_digest(&digest);
    /// assert_eq!(pinned.as_str(), format!("docker.io/library/alpine:3.20@{digest}"));
    /// # Ok::<(), llb::value::reference::ReferenceError>(())
    /// ```
    #[must_use = "this returns a new reference"]
    pub fn with_digest(self, digest: &Digest) -> Self {
        if self.digest().is_some() {
            return self;
        }
        Self {
            text: format!("{}@{digest}", self.text).into_boxed_str(),
            is_default_tag: false,
            ..self
        }
    }
}

impl FromStr for ImageRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl AsRef<str> for ImageRef {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// A text that is no image reference.
///
/// The message says what is wrong in the words of the Go client and quotes the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceError {
    fault: Fault,
    text: Box<str>,
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &*self.text;
        match self.fault {
            Fault::HexIdentifier => write!(
                formatter,
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings (hint: write name@sha256:{text})"
            ),
            Fault::UpperCase {
                start,
                end,
                is_library,
            } => {
                let prefix = if is_library { DEFAULT_PREFIX } else { "" };
                let path = &text[start..end];
                write!(
                    formatter,
                    "invalid reference format: repository name ({prefix}{path}) must be lowercase (hint: write {})",
                    path.to_lowercase()
                )
            }
            Fault::Format => write!(
                formatter,
                "invalid reference format: {text:?} (expected [registry/]repository[:tag][@digest])"
            ),
            Fault::TooLong => write!(
                formatter,
                "repository name must not be more than {LONGEST_PATH} characters, in {text:?}"
            ),
            Fault::Digest(fault) => {
                write!(
                    formatter,
                    "{} in {text:?} ({})",
                    fault.message(),
                    fault.expectation()
                )
            }
            Fault::BlobTag => write!(
                formatter,
                "tagged image reference not allowed for blob reference {text:?} (hint: leave only the digest)"
            ),
            Fault::BlobWithoutDigest => write!(
                formatter,
                "checksum required in blob reference {text:?} (hint: append @sha256: and the digits)"
            ),
        }
    }
}

impl std::error::Error for ReferenceError {}

/// Whether [`ImageRef::parse`] accepts `text`; usable in constants.
///
/// ```
/// use llb::value::reference::is_valid_reference;
///
/// const { assert!(is_valid_reference("python:3.12-slim")) };
/// assert!(!is_valid_reference("Python"));
/// ```
#[must_use]
pub const fn is_valid_reference(text: &str) -> bool {
    scan(text.as_bytes()).is_ok()
}

/// Stops the compilation if `text` is no reference; [`image!`](crate::image) is written with it.
#[doc(hidden)]
pub const fn require_reference(text: &str) {
    match scan(text.as_bytes()) {
        Ok(_) => {}
        Err(Fault::HexIdentifier) => panic!(
            "an image reference of 64 hexadecimal digits is not allowed: write name@sha256:..."
        ),
        Err(Fault::UpperCase { .. }) => {
            panic!("the repository of an image reference must be in lower case")
        }
        Err(Fault::TooLong) => {
            panic!("the repository of an image reference has more than 255 characters")
        }
        Err(Fault::Digest(fault)) => panic!("{}", fault.message()),
        Err(_) => panic!("invalid image reference: expected [registry/]repository[:tag][@digest]"),
    }
}

/// Gives an image reference literal, checked when the program is compiled.
///
/// The value is the `&'static str` as written, so it may stand in a constant and wherever a reference is taken.
///
/// ```
/// use llb::value::ImageRef;
///
/// const BASE: &str = llb::image!("python:3.12-slim");
/// assert_eq!(ImageRef::parse(BASE)?.path(), "library/python");
/// # Ok::<(), llb::value::reference::ReferenceError>(())
/// ```
///
/// A mistake does not compile:
///
/// ```compile_fail
/// const BASE: &str = llb::image!("Python:3.12-slim");
/// ```
#[macro_export]
macro_rules! image {
    ($reference:expr) => {{
        const REFERENCE: &str = $reference;
        const _: () = $crate::value::reference::require_reference(REFERENCE);
        REFERENCE
    }};
}

/// Where the parts of a reference stand in the given text, in bytes.
struct Layout {
    /// `None`: the default domain is not written.
    domain_end: Option<usize>,
    path_start: usize,
    path_end: usize,
    /// Equal to `path_end` without a tag.
    tag_end: usize,
    /// Whether `library/` is to be put in front of the path.
    is_library: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    HexIdentifier,
    UpperCase {
        start: usize,
        end: usize,
        is_library: bool,
    },
    Format,
    TooLong,
    Digest(digest::Fault),
    BlobTag,
    BlobWithoutDigest,
}

/// Reads a reference, also at compile time.
const fn scan(text: &[u8]) -> Result<Layout, Fault> {
    if text.len() == 64 && all_in(text, 0, text.len(), Class::LowerHex) {
        return Err(Fault::HexIdentifier);
    }
    let slash = find(text, 0, b'/');
    let domain_end = if slash < text.len() && is_domain_like(text, slash) {
        Some(slash)
    } else {
        None
    };
    let path_start = if domain_end.is_some() { slash + 1 } else { 0 };
    let is_default_domain = match domain_end {
        Some(end) => equals(text, end, DEFAULT_DOMAIN) || equals(text, end, "index.docker.io"),
        None => true,
    };
    let is_library = is_default_domain && find(text, path_start, b'/') == text.len();

    let first_colon = find(text, path_start, b':');
    if any_upper(text, path_start, first_colon) {
        return Err(Fault::UpperCase {
            start: path_start,
            end: first_colon,
            is_library,
        });
    }

    let at = find(text, path_start, b'@');
    let path_end = if first_colon < at { first_colon } else { at };
    let digest_start = if at < text.len() { at + 1 } else { text.len() };
    // A first part that is no domain may still be a component of the path: `a_b.c/app` is a reference.
    let mut name_start = path_start;
    if let Some(end) = domain_end
        && !is_domain(text, end)
    {
        name_start = 0;
    }
    if !is_path(text, name_start, path_end) {
        return Err(Fault::Format);
    }
    if path_end < at && !is_tag(text, path_end + 1, at) {
        return Err(Fault::Format);
    }
    if at < text.len() && !is_digest_like(text, digest_start) {
        return Err(Fault::Format);
    }
    let prefix = if is_library { DEFAULT_PREFIX.len() } else { 0 };
    if prefix + path_end - name_start > LONGEST_PATH {
        return Err(Fault::TooLong);
    }
    if at < text.len() {
        let (_, digest) = text.split_at(digest_start);
        if let Err(fault) = digest::check(digest) {
            return Err(Fault::Digest(fault));
        }
    }
    Ok(Layout {
        domain_end,
        path_start,
        path_end,
        tag_end: at,
        is_library,
    })
}

/// Whether the text before the first slash is meant as a domain.
const fn is_domain_like(text: &[u8], end: usize) -> bool {
    equals(text, end, "localhost")
        || find(text, 0, b'.') < end
        || find(text, 0, b':') < end
        || any_upper(text, 0, end)
}

const fn is_domain(text: &[u8], end: usize) -> bool {
    let mut index = 0;
    if end > 0 && text[0] == b'[' {
        index = find(text, 0, b']');
        if index >= end || index == 1 || !all_in(text, 1, index, Class::Address) {
            return false;
        }
        index += 1;
    } else {
        let mut label_start = 0;
        while index <= end {
            if index == end || matches!(text[index], b'.' | b':') {
                if index == label_start || text[label_start] == b'-' || text[index - 1] == b'-' {
                    return false;
                }
                if index < end && text[index] == b':' {
                    break;
                }
                label_start = index + 1;
            } else if !(text[index].is_ascii_alphanumeric() || text[index] == b'-') {
                return false;
            }
            index += 1;
        }
    }
    if index >= end {
        return true;
    }
    text[index] == b':' && index + 1 < end && all_in(text, index + 1, end, Class::Decimal)
}

const fn is_path(text: &[u8], start: usize, end: usize) -> bool {
    // The bytes of the separator read so far; a component starts as if one had been read.
    let mut separator = 0;
    let mut is_component_start = true;
    let mut index = start;
    while index < end {
        let byte = text[index];
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => {
                separator = 0;
                is_component_start = false;
            }
            _ if is_component_start => return false,
            b'.' | b'_' | b'-' => {
                let fits = match (separator, byte) {
                    (0, _) => true,
                    (1, b'_') => text[index - 1] == b'_',
                    (_, b'-') => text[index - 1] == b'-',
                    _ => false,
                };
                if !fits {
                    return false;
                }
                separator += 1;
            }
            b'/' if separator == 0 => is_component_start = true,
            _ => return false,
        }
        index += 1;
    }
    !is_component_start && separator == 0
}

const fn is_tag(text: &[u8], start: usize, end: usize) -> bool {
    if start >= end || end - start > LONGEST_TAG || matches!(text[start], b'.' | b'-') {
        return false;
    }
    all_in(text, start, end, Class::Tag)
}

/// Whether the rest has the form of a digest; whether it is one, [`digest::check`] says.
const fn is_digest_like(text: &[u8], start: usize) -> bool {
    let colon = find(text, start, b':');
    if colon >= text.len() || text.len() - (colon + 1) < SHORTEST_DIGEST {
        return false;
    }
    let mut is_word_start = true;
    let mut index = start;
    while index < colon {
        match text[index] {
            b'a'..=b'z' | b'A'..=b'Z' => is_word_start = false,
            b'0'..=b'9' if !is_word_start => {}
            b'+' | b'.' | b'-' | b'_' if !is_word_start => is_word_start = true,
            _ => return false,
        }
        index += 1;
    }
    !is_word_start && all_in(text, colon + 1, text.len(), Class::Hex)
}

#[derive(Clone, Copy)]
enum Class {
    LowerHex,
    Hex,
    Decimal,
    Address,
    Tag,
}

const fn all_in(text: &[u8], start: usize, end: usize, class: Class) -> bool {
    let mut index = start;
    while index < end {
        let byte = text[index];
        let fits = match class {
            Class::LowerHex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Class::Hex => byte.is_ascii_hexdigit(),
            Class::Decimal => byte.is_ascii_digit(),
            Class::Address => byte.is_ascii_hexdigit() || byte == b':',
            Class::Tag => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'),
        };
        if !fits {
            return false;
        }
        index += 1;
    }
    true
}

const fn any_upper(text: &[u8], start: usize, end: usize) -> bool {
    let mut index = start;
    while index < end {
        if text[index].is_ascii_uppercase() {
            return true;
        }
        index += 1;
    }
    false
}

/// The place of `byte` at or after `start`, or the length of the text.
const fn find(text: &[u8], start: usize, byte: u8) -> usize {
    let mut index = start;
    while index < text.len() && text[index] != byte {
        index += 1;
    }
    index
}

const fn equals(text: &[u8], end: usize, word: &str) -> bool {
    let word = word.as_bytes();
    if end != word.len() {
        return false;
    }
    let mut index = 0;
    while index < end {
        if text[index] != word[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digit: &str, count: usize) -> String {
        digit.repeat(count)
    }

    #[test]
    fn normal_forms_are_those_of_docker() {
        let a64 = hex("a", 64);
        let cases = [
            (
                "alpine".to_owned(),
                "docker.io/library/alpine:latest".to_owned(),
            ),
            ("alpine:3.20".into(), "docker.io/library/alpine:3.20".into()),
            (
                "docker.io/alpine".into(),
                "docker.io/library/alpine:latest".into(),
            ),
            (
                "index.docker.io/alpine".into(),
                "docker.io/library/alpine:latest".into(),
            ),
            (
                "index.docker.io/team/app".into(),
                "docker.io/team/app:latest".into(),
            ),
            ("team/app".into(), "docker.io/team/app:latest".into()),
            ("ghcr.io/app".into(), "ghcr.io/app:latest".into()),
            (
                "registry:5000/team/app".into(),
                "registry:5000/team/app:latest".into(),
            ),
            (
                "registry:5000".into(),
                "docker.io/library/registry:5000".into(),
            ),
            ("localhost/app".into(), "localhost/app:latest".into()),
            ("MyReg/app:TAG".into(), "MyReg/app:TAG".into()),
            (
                "[2001:db8::1]:5000/app".into(),
                "[2001:db8::1]:5000/app:latest".into(),
            ),
            ("[::1]/app".into(), "[::1]/app:latest".into()),
            (
                format!("alpine@sha256:{a64}"),
                format!("docker.io/library/alpine@sha256:{a64}"),
            ),
            (
                format!("alpine:3.20@sha256:{a64}"),
                format!("docker.io/library/alpine:3.20@sha256:{a64}"),
            ),
            (
                format!("a@sha512:{}", hex("0", 128)),
                format!("docker.io/library/a@sha512:{}", hex("0", 128)),
            ),
            (
                "a__b/c-----d/e.f_g".into(),
                "docker.io/a__b/c-----d/e.f_g:latest".into(),
            ),
            ("a_b.c/app".into(), "a_b.c/app:latest".into()),
            (
                hex("ab", 31),
                format!("docker.io/library/{}:latest", hex("ab", 31)),
            ),
            (
                format!("example.com/{}", hex("a", 255)),
                format!("example.com/{}:latest", hex("a", 255)),
            ),
            (
                format!("a:{}", hex("T", 128)),
                format!("docker.io/library/a:{}", hex("T", 128)),
            ),
        ];
        for (text, expected) in cases {
            let reference = ImageRef::parse(&text).unwrap();
            assert_eq!(reference.as_str(), expected, "{text}");
            assert_eq!(
                ImageRef::parse(&expected).unwrap().as_str(),
                expected,
                "{text}"
            );
            assert!(is_valid_reference(&text), "{text}");
        }
    }

    #[test]
    fn faults_have_the_messages_of_docker() {
        let format = "invalid reference format";
        let cases = [
            (
                "Alpine".to_owned(),
                "invalid reference format: repository name (library/Alpine) must be lowercase",
            ),
            (
                "ghcr.io/Team/App:x".into(),
                "invalid reference format: repository name (Team/App) must be lowercase",
            ),
            (
                hex("ab", 32),
                "invalid repository name (abababababababababababababababababababababababababababababababab), cannot specify \
                 64-byte hexadecimal strings",
            ),
            ("alpine:bad tag".into(), format),
            (String::new(), format),
            ("alpine@sha256:abc".into(), format),
            (
                format!("alpine@sha256:{}", hex("a", 40)),
                "invalid checksum digest length",
            ),
            (
                format!("alpine@md5:{}", hex("a", 32)),
                "unsupported digest algorithm",
            ),
            (
                format!("alpine@sha256:{}", hex("A", 64)),
                "invalid checksum digest format",
            ),
            (
                format!("example.com/{}", hex("a", 256)),
                "repository name must not be more than 255 characters",
            ),
            (
                hex("a", 248),
                "repository name must not be more than 255 characters",
            ),
            ("/app".into(), format),
            ("app/".into(), format),
            ("a//b".into(), format),
            ("a___b".into(), format),
            ("a..b".into(), format),
            ("a._b".into(), format),
            ("a-/b".into(), format),
            ("a.-b".into(), format),
            ("-a".into(), format),
            ("a:".into(), format),
            ("a:.x".into(), format),
            ("a@".into(), format),
            (format!("a:{}", hex("t", 129)), format),
            ("ghcr.io:port/app".into(), format),
            ("ghcr.io:/app".into(), format),
            ("-ghcr.io/app".into(), format),
            ("ghcr-.io/app".into(), format),
            ("ghcr..io/app".into(), format),
            ("[]/app".into(), format),
            ("[::1/app".into(), format),
            ("[::g]/app".into(), format),
            ("[::1]x/app".into(), format),
            ("https://ghcr.io/app".into(), format),
            ("é".into(), format),
            (format!("a:b:{}@sha256:{}", "c", hex("a", 64)), format),
        ];
        for (text, expected) in cases {
            let message = ImageRef::parse(&text).expect_err(&text).to_string();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!is_valid_reference(&text), "{text}");
        }
    }

    #[test]
    fn parts_are_found() {
        let digest = format!("sha256:{}", hex("b", 64));
        let full = ImageRef::parse(&format!("ghcr.io:443/team/app:v1@{digest}")).unwrap();
        assert_eq!(full.domain(), "ghcr.io:443");
        assert_eq!(full.path(), "team/app");
        assert_eq!(full.name(), "ghcr.io:443/team/app");
        assert_eq!(full.tag(), Some("v1"));
        assert_eq!(full.digest(), Some(&*digest));

        let short = ImageRef::parse("app").unwrap();
        assert_eq!(
            (short.tag(), short.given_tag(), short.digest()),
            (Some("latest"), None, None)
        );

        let pinned = ImageRef::parse(&format!("app@{digest}")).unwrap();
        assert_eq!((pinned.tag(), pinned.digest()), (None, Some(&*digest)));
        assert_eq!(
            pinned.clone().with_digest(&Digest::from_sha256(&[0; 32])),
            pinned
        );
    }

    #[test]
    fn blobs_need_a_digest_and_no_tag() {
        let digest = format!("sha256:{}", hex("a", 64));
        let blob = ImageRef::parse_blob(&format!("team/app@{digest}")).unwrap();
        assert_eq!(blob.as_str(), format!("docker.io/team/app@{digest}"));
        let message = |text: &str| ImageRef::parse_blob(text).unwrap_err().to_string();
        assert!(message("repo").contains("checksum required in blob reference"));
        assert!(
            message(&format!("repo:tag@{digest}"))
                .contains("tagged image reference not allowed for blob reference")
        );
        assert!(
            message("repo:tag").contains("tagged image reference not allowed for blob reference")
        );
    }

    /// The grammar again, by splitting and without a scanner.
    fn is_reference_by_splitting(text: &str) -> bool {
        let is_component = |component: &str| {
            let words = component.replace("__", "_").replace('.', "_");
            let words = words.split('_').collect::<Vec<_>>();
            // `replace` turns `_` next to `.` or more than two `_` into empty words, and so into a refusal.
            !component.contains("___")
                && words.iter().all(|word| {
                    !word.is_empty()
                        && !word.starts_with('-')
                        && !word.ends_with('-')
                        && word
                            .chars()
                            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                })
        };
        let is_path = |path: &str| path.split('/').all(is_component);
        let is_domain = |domain: &str| {
            let host = match domain.split_once(':') {
                Some((_, port)) if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) => {
                    return false;
                }
                Some((host, _)) => host,
                None => domain,
            };
            host.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            })
        };
        let (domain, rest) = match text.split_once('/') {
            Some((first, rest))
                if first == "localhost"
                    || first.contains(['.', ':'])
                    || first.to_lowercase() != first =>
            {
                (Some(first), rest)
            }
            _ => (None, text),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let is_tag = |tag: &str| {
            !tag.is_empty()
                && !tag.starts_with(['.', '-'])
                && tag
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        is_path(path)
            && tag.is_none_or(is_tag)
            && domain.is_none_or(|domain| is_domain(domain) || is_component(domain))
    }

    #[test]
    fn every_short_text_is_judged_as_the_grammar_does() {
        let alphabet = ["a", "B", "0", "/", ":", ".", "_", "-"];
        let mut texts = vec![String::new()];
        let mut start = 0;
        for _ in 0..5 {
            let end = texts.len();
            for index in start..end {
                for piece in alphabet {
                    texts.push(format!("{}{piece}", texts[index]));
                }
            }
            start = end;
        }
        for text in texts {
            assert_eq!(
                is_valid_reference(&text),
                is_reference_by_splitting(&text),
                "{text:?}"
            );
            if let Ok(reference) = ImageRef::parse(&text) {
                assert_eq!(
                    ImageRef::parse(reference.as_str()).as_ref(),
                    Ok(&ImageRef {
                        is_default_tag: false,
                        ..reference
                    })
                );
            }
        }
    }
}
