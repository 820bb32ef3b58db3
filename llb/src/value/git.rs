//! URLs of Git repositories, and the identifiers BuildKit's client makes of them.
//!
//! A Git source names its repository twice: in the identifier `git://host/path#ref:subdir`, which is a cache key, and in
//! the attribute `git.fullurl`, which is what gets cloned (the *remote*). Both come out of one text: a URL, the short
//! form `user@host:path`, or a URL without a scheme, for which `https` is assumed.
//!
//! The client reads URLs with Go's `net/url` and prints them back, and what it prints is in the digest. The functions
//! here do the same to the byte, for the part of `net/url` that can be reached: schemes `http`, `https`, `ssh`, `git`.
//!
//! A text that cannot be read is no error: the text itself becomes remote and identifier, and BuildKit reports it.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use super::path;

/// A Git URL as BuildKit's client understands it.
///
/// ```
/// use llb::value::GitUrl;
///
/// let url = GitUrl::parse("git@github.com:moby/buildkit.git")?;
/// assert_eq!(url.remote(), "git@github.com:moby/buildkit.git");
/// assert!(url.is_ssh());
/// assert_eq!(url.identifier("main", "docs"), "git://github.com/moby/buildkit.git#main:docs");
/// # Ok::<(), llb::value::git::GitUrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitUrl {
    remote: String,
    /// `None` if the text could not be read.
    location: Option<Location>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Location {
    scheme: Scheme,
    /// With the port, without the user.
    host: String,
    /// Decoded.
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
    Ssh,
    Git,
}

impl GitUrl {
    /// Reads a URL. A fragment or a query in it is dropped.
    ///
    /// Fails only if the URL holds escapes that are not UTF-8, which no op can carry.
    ///
    /// ```
    /// use llb::value::GitUrl;
    ///
    /// let url = GitUrl::parse("github.com/moby/buildkit?x=1#main")?;
    /// assert_eq!(url.remote(), "https://github.com/moby/buildkit");
    /// # Ok::<(), llb::value::git::GitUrlError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, GitUrlError> {
        if has_scheme(text) {
            return Self::from_url(text);
        }
        if let Some(url) = Self::from_scp_form(text) {
            return Ok(url);
        }
        Self::from_url(&format!("https://{text}"))
    }

    /// The URL to clone from.
    ///
    /// It keeps the user and password of the text, if there are any.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The host with its port, as written; `None` if the text could not be read.
    pub fn host(&self) -> Option<&str> {
        self.location.as_ref().map(|location| &*location.host)
    }

    /// The decoded path, as written; `None` if the text could not be read.
    pub fn path(&self) -> Option<&str> {
        self.location.as_ref().map(|location| &*location.path)
    }

    /// Whether the repository is reached over SSH, so that host keys and an agent socket matter.
    pub fn is_ssh(&self) -> bool {
        self.location
            .as_ref()
            .is_some_and(|location| location.scheme == Scheme::Ssh)
    }

    /// The identifier of a source for a ref and a subdirectory of the repository; both may be empty.
    ///
    /// A text that could not be read is its own identifier, and the ref is lost.
    ///
    /// ```
    /// use llb::value::GitUrl;
    ///
    /// let url = GitUrl::parse("https://user@git.example.com//a/./b/../c.git/")?;
    /// assert_eq!(url.identifier("", ""), "git://git.example.com/a/c.git");
    /// assert_eq!(url.identifier("", "docs"), "git://git.example.com/a/c.git#:docs");
    /// # Ok::<(), llb::value::git::GitUrlError>(())
    /// ```
    pub fn identifier(&self, reference: &str, subdir: &str) -> String {
        let Some(location) = &self.location else {
            return format!("git://{}", self.remote);
        };
        let mut identifier = format!(
            "git://{}{}",
            location.host,
            path::join(&["/", &location.path])
        );
        if !reference.is_empty() || !subdir.is_empty() {
            identifier.push('#');
            identifier.push_str(reference);
        }
        if !subdir.is_empty() {
            identifier.push(':');
            identifier.push_str(subdir);
        }
        identifier
    }

    fn unread(text: &str) -> Self {
        Self {
            remote: text.to_owned(),
            location: None,
        }
    }

    fn from_url(text: &str) -> Result<Self, GitUrlError> {
        match Url::parse(text) {
            None => Ok(Self::unread(text)),
            Some(url) => {
                let remote = url.to_text();
                let utf8 = |bytes: Vec<u8>| {
                    String::from_utf8(bytes).map_err(|_| GitUrlError {
                        remote: remote.clone(),
                    })
                };
                let (host, path) = (utf8(url.host)?, utf8(url.path)?);
                Ok(Self {
                    location: Some(Location {
                        scheme: url.scheme,
                        host,
                        path,
                    }),
                    remote,
                })
            }
        }
    }

    /// Reads `user@host:path`.
    fn from_scp_form(text: &str) -> Option<Self> {
        let is_word = |text: &str, extra: u8| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == extra)
        };
        let (user, rest) = text.split_once('@')?;
        let (host, rest) = rest.split_once(':')?;
        if !is_word(user, b'_') || !is_word(host, b'.') || rest.contains('\n') {
            return None;
        }
        let (rest, _) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_readable =
            |part: &str| !part.contains(';') && unescape(part.as_bytes(), Part::Query).is_some();
        if !query.split('&').all(is_readable) {
            return None;
        }
        Some(Self {
            remote: format!("{user}@{host}:{path}"),
            location: Some(Location {
                scheme: Scheme::Ssh,
                host: host.to_owned(),
                path: path.to_owned(),
            }),
        })
    }
}

/// Splits `ref:subdir` at the first colon and cleans the subdirectory, which gets no leading slash.
///
/// ```
/// use llb::value::git::split_fragment;
///
/// assert_eq!(split_fragment("main"), ("main", "".into()));
/// assert_eq!(split_fragment(":/docs/../src/"), ("", "src".into()));
/// ```
pub fn split_fragment(fragment: &str) -> (&str, Cow<'_, str>) {
    match fragment.split_once(':') {
        None => (fragment, Cow::Borrowed("")),
        Some((reference, "")) => (reference, Cow::Borrowed("")),
        Some((reference, subdir)) => {
            let mut subdir = path::join(&["/", subdir]);
            subdir.remove(0);
            (reference, Cow::Owned(subdir))
        }
    }
}

/// A Git URL with escapes that are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitUrlError {
    remote: String,
}

impl fmt::Display for GitUrlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The user part may hold a password.
        let shown = match (self.remote.split_once("://"), self.remote.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
            _ => self.remote.clone(),
        };
        write!(
            formatter,
            "string field contains invalid UTF-8: the escapes in git url {shown:?} are not UTF-8 (hint: escape the UTF-8 form of the name)"
        )
    }
}

impl std::error::Error for GitUrlError {}

/// Whether the text starts with letters or digits and `://`.
fn has_scheme(text: &str) -> bool {
    let scheme = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    scheme > 0 && text[scheme..].starts_with("://")
}

/// A URL as `net/url` keeps it. Decoded parts are bytes: escapes need not be UTF-8.
struct Url {
    scheme: Scheme,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    /// The path as written.
    raw_path: String,
    /// Whether the URL ends in a lone `?`.
    has_empty_query: bool,
}

struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl Url {
    fn parse(text: &str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        unescape(fragment.as_bytes(), Part::Fragment)?;
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match &*scheme.to_ascii_lowercase() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            "git" => Scheme::Git,
            _ => return None,
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, raw_path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(parse_user(user)?), host),
            None => (None, authority),
        };
        Some(Self {
            scheme,
            user,
            host: parse_host(scheme, host)?,
            path: unescape(raw_path.as_bytes(), Part::Path)?,
            raw_path: raw_path.to_owned(),
            has_empty_query: query == Some(""),
        })
    }

    /// The URL without query and fragment, as `net/url` prints it.
    fn to_text(&self) -> String {
        let mut text = String::from(match self.scheme {
            Scheme::Http => "http:",
            Scheme::Https => "https:",
            Scheme::Ssh => "ssh:",
            Scheme::Git => "git:",
        });
        if self.user.is_some() || !self.host.is_empty() || !self.path.is_empty() {
            text.push_str("//");
        }
        if let Some(user) = &self.user {
            escape(&mut text, &user.name, Part::User);
            if let Some(password) = &user.password {
                text.push(':');
                escape(&mut text, password, Part::User);
            }
            text.push('@');
        }
        escape(&mut text, &self.host, Part::Host);
        if is_valid_encoding(&self.raw_path) {
            text.push_str(&self.raw_path);
        } else {
            escape(&mut text, &self.path, Part::Path);
        }
        if self.has_empty_query {
            text.push('?');
        }
        text
    }
}

fn parse_user(text: &str) -> Option<User> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !text.bytes().all(is_valid) {
        return None;
    }
    let (name, password) = match text.split_once(':') {
        Some((name, password)) => (name, Some(unescape(password.as_bytes(), Part::User)?)),
        None => (text, None),
    };
    Some(User {
        name: unescape(name.as_bytes(), Part::User)?,
        password,
    })
}

fn parse_host(scheme: Scheme, text: &str) -> Option<Vec<u8>> {
    if text.rfind('[').is_some_and(|bracket| bracket > 0) {
        return None;
    }
    if let Some(literal) = text.strip_prefix('[') {
        let (address, port) = literal.rsplit_once(']')?;
        if !is_optional_port(port) {
            return None;
        }
        let (address, zone) = address.split_at(address.find("%25").unwrap_or(address.len()));
        let address = unescape(address.as_bytes(), Part::Host)?;
        std::str::from_utf8(&address)
            .ok()?
            .parse::<Ipv6Addr>()
            .ok()?;
        let zone = unescape(zone.as_bytes(), Part::Zone)?;
        if zone == b"%" {
            return None;
        }
        return Some([b"[", &*address, &*zone, b"]", port.as_bytes()].concat());
    }
    // Colons in a host are refused for HTTP only: databases have lists of hosts with ports.
    let colon = match scheme {
        Scheme::Http | Scheme::Https => text.find(':'),
        Scheme::Ssh | Scheme::Git => text.rfind(':'),
    };
    let port = colon.map_or("", |colon| &text[colon..]);
    if !is_optional_port(port) {
        return None;
    }
    unescape(text.as_bytes(), Part::Host)
}

fn is_optional_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The parts of a URL that differ in what they escape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Host,
    Zone,
    Path,
    Query,
    Fragment,
}

/// Decodes percent escapes; `None` for a bad escape, or a character the part must not hold.
fn unescape(text: &[u8], part: Part) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            if matches!(part, Part::Host | Part::Zone)
                && byte.is_ascii()
                && must_escape(*byte, part)
            {
                return None;
            }
            decoded.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return None;
        };
        let value = hex_value(*high)? << 4 | hex_value(*low)?;
        rest = tail;
        let allowed = match part {
            Part::Host => !value.is_ascii() || value == b'%',
            Part::Zone => value == b'%' || value == b' ' || !must_escape(value, Part::Host),
            Part::User | Part::Path | Part::Query | Part::Fragment => true,
        };
        if !allowed {
            return None;
        }
        decoded.push(value);
    }
    Some(decoded)
}

fn escape(text: &mut String, decoded: &[u8], part: Part) {
    for &byte in decoded {
        if must_escape(byte, part) {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            text.push(char::from(byte));
        }
    }
}

fn must_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    let allowed: &[u8] = match part {
        Part::Host | Part::Zone => b"!$&'()*+,;=:[]<>\"",
        Part::Path => b"$&+,/:;=@",
        Part::Query => b"",
        Part::User => b"$&+,;=",
        Part::Fragment => b"$&+,/:;=?@!()*",
    };
    !allowed.contains(&byte)
}

/// Whether a path may stay as written.
fn is_valid_encoding(path: &str) -> bool {
    path.bytes()
        .all(|byte| b"!$&'()*+,;=:@[]%".contains(&byte) || !must_escape(byte, Part::Path))
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The identifier and the remote.
    fn read(text: &str, reference: &str) -> (String, String) {
        let url = GitUrl::parse(text).unwrap();
        (url.identifier(reference, ""), url.remote().to_owned())
    }

    #[test]
    fn urls_are_printed_as_net_url_does() {
        let cases = [
            (
                "https://h/a b.git",
                "git://h/a b.git#r",
                "https://h/a%20b.git",
            ),
            ("https://h/ä.git", "git://h/ä.git#r", "https://h/%C3%A4.git"),
            (
                "https://h/%41%7e.git",
                "git://h/A~.git#r",
                "https://h/%41%7e.git",
            ),
            (
                "https://h/a;b,c:d@e=f&g+h!$'()*",
                "git://h/a;b,c:d@e=f&g+h!$'()*#r",
                "https://h/a;b,c:d@e=f&g+h!$'()*",
            ),
            (
                "https://h/a\"<>\\^`{|}",
                "git://h/a\"<>\\^`{|}#r",
                "https://h/a%22%3C%3E%5C%5E%60%7B%7C%7D",
            ),
            ("https://h/[a]'", "git://h/[a]'#r", "https://h/[a]'"),
            ("https://h/[a] ", "git://h/[a] #r", "https://h/%5Ba%5D%20"),
            ("https://h/x?", "git://h/x#r", "https://h/x?"),
            ("https://h/x?y?", "git://h/x#r", "https://h/x"),
            ("https://h/x?#", "git://h/x#r", "https://h/x?"),
            ("https://h/x#", "git://h/x#r", "https://h/x"),
            ("https://u@h/x", "git://h/x#r", "https://u@h/x"),
            ("https://u:@h/x", "git://h/x#r", "https://u:@h/x"),
            (
                "https://u%7e:%2f%3a@h/x",
                "git://h/x#r",
                "https://u~:%2F%3A@h/x",
            ),
            (
                "https://user:pa%20ss@git.example.com/a/b.git",
                "git://git.example.com/a/b.git#r",
                "https://user:pa%20ss@git.example.com/a/b.git",
            ),
            (
                "https://[::1]:3000/x",
                "git://[::1]:3000/x#r",
                "https://[::1]:3000/x",
            ),
            (
                "https://[fe80::1%25en0]/x",
                "git://[fe80::1%en0]/x#r",
                "https://[fe80::1%25en0]/x",
            ),
            ("https://h:/x", "git://h:/x#r", "https://h:/x"),
            ("https://hä/x", "git://hä/x#r", "https://h%C3%A4/x"),
            (
                "HTTPS://GitHub.com/Moby/BuildKit.git",
                "git://GitHub.com/Moby/BuildKit.git#r",
                "https://GitHub.com/Moby/BuildKit.git",
            ),
            (
                "ssh://git@git.example.com:2222/a/b.git",
                "git://git.example.com:2222/a/b.git#r",
                "ssh://git@git.example.com:2222/a/b.git",
            ),
            (
                "https://git.example.com/a%20b/c%2Fd.git",
                "git://git.example.com/a b/c/d.git#r",
                "https://git.example.com/a%20b/c%2Fd.git",
            ),
            (
                "https://git.example.com//a/./b/../c.git/",
                "git://git.example.com/a/c.git#r",
                "https://git.example.com//a/./b/../c.git/",
            ),
            ("", "git:///#r", "https:"),
            ("https://", "git:///#r", "https:"),
            ("ssh://a:1:b:22/x", "git://a:1:b:22/x#r", "ssh://a:1:b:22/x"),
            (
                "github.com/moby/buildkit",
                "git://github.com/moby/buildkit#r",
                "https://github.com/moby/buildkit",
            ),
        ];
        for (text, identifier, remote) in cases {
            assert_eq!(
                read(text, "r"),
                (identifier.to_owned(), remote.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_that_cannot_be_read_stay_as_they_are() {
        let cases = [
            "https://ü:p%40@h/x",
            "https://h:port/x",
            "https://h/%zz",
            "https://h/%4",
            "https://h h/x",
            "https://h%41/x",
            "https://h/x#%zz",
            "https://h/\u{7f}",
            "https://[::1/x",
            "https://[::1]x/x",
            "https://[::1%25[]/x",
            "https://[h]/x",
            "https://[1.2.3.4]/x",
            "https://h:1:2/x",
            "ssh://h:1:port/x",
            "ftp://example.com/a.git",
        ];
        for text in cases {
            assert_eq!(
                read(text, "r"),
                (format!("git://{text}"), text.to_owned()),
                "{text}"
            );
        }
        let not_the_short_form = ["user.name@host:path/repo.git", "git@h:a?%zz", "git@h:a?b;c"];
        for text in not_the_short_form {
            let read = read(text, "main").0;
            assert_eq!(read, format!("git://https://{text}"));
        }
    }

    #[test]
    fn the_short_form_is_ssh() {
        let cases = [
            (
                "git@github.com:moby/buildkit.git",
                "git://github.com/moby/buildkit.git#r",
                "git@github.com:moby/buildkit.git",
            ),
            ("git@h:a?b#c", "git://h/a#r", "git@h:a"),
            ("git@h:a#b?c", "git://h/a#r", "git@h:a"),
            ("a_b@h:", "git://h/#r", "a_b@h:"),
            ("git@h:a b%20", "git://h/a b%20#r", "git@h:a b%20"),
            ("git@h:a?b=%41&c#%zz;", "git://h/a#r", "git@h:a"),
        ];
        for (text, identifier, remote) in cases {
            assert_eq!(
                read(text, "r"),
                (identifier.to_owned(), remote.to_owned()),
                "{text}"
            );
            assert!(GitUrl::parse(text).unwrap().is_ssh(), "{text}");
        }
        assert!(GitUrl::parse("ssh://h/x").unwrap().is_ssh());
        assert!(!GitUrl::parse("https://git@h/x").unwrap().is_ssh());
    }

    #[test]
    fn fragments_split_into_ref_and_subdirectory() {
        let cases = [
            ("", "", ""),
            ("main", "main", ""),
            ("main:", "main", ""),
            ("main:/", "main", ""),
            ("main:docs/dev", "main", "docs/dev"),
            (":/docs/../src/", "", "src"),
            ("main:../x:y", "main", "x:y"),
        ];
        for (fragment, reference, subdir) in cases {
            assert_eq!(
                split_fragment(fragment),
                (reference, subdir.into()),
                "{fragment}"
            );
        }
    }

    #[test]
    fn escapes_beyond_utf8_are_refused_without_showing_the_password() {
        let message = GitUrl::parse("https://u:hunter2@h/%ff")
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("string field contains invalid UTF-8"),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
}
