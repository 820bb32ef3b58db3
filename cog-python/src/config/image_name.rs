//! Names of images to build: `[host[:port]/]path[:tag]`, as registries accept them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name under which a built image is stored: repository and, optionally, tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ImageName(String);

impl ImageName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag, when the name has one.
    pub fn tag(&self) -> Option<&str> {
        self.0
            .rsplit_once(':')
            .map(|(_, tag)| tag)
            .filter(|tag| !tag.contains('/'))
    }

    /// The name for a project folder: lowercase, blanks as `-`, other characters left out, cut to
    /// 26 characters, with `cog-` before it.
    pub fn for_folder(folder: &str) -> Self {
        let mut name: String = folder
            .to_lowercase()
            .chars()
            .map(|c| if c.is_whitespace() { '-' } else { c })
            .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
            .collect();
        name.truncate(26);
        if !name.starts_with("cog-") {
            name.insert_str(0, "cog-");
        }
        // A name may hold any number of dashes, and end with none.
        name.truncate(name.trim_end_matches('-').len());
        if name == "cog" {
            name.push_str("-model");
        }
        Self(name)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text is not the name of an image to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// Empty.
    #[error("must not be empty")]
    Empty,
    /// Holds `@sha256:…`.
    #[error("must not hold a digest: the digest is known after the build")]
    Digest,
    /// Uppercase letters in the repository.
    #[error("must have a lowercase repository")]
    Uppercase,
    /// Anything else.
    #[error("must have the form `[host[:port]/]name[:tag]`")]
    Form,
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ImageNameError::Empty);
        }
        if text.contains('@') {
            return Err(ImageNameError::Digest);
        }
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (text, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) || name.len() > 255 {
            return Err(ImageNameError::Form);
        }
        let path = match name.split_once('/') {
            Some((host, path)) if is_host(host) => path,
            _ => name,
        };
        if path.split('/').all(is_component) {
            Ok(Self(text.to_owned()))
        } else if path.to_lowercase().split('/').all(is_component) {
            Err(ImageNameError::Uppercase)
        } else {
            Err(ImageNameError::Form)
        }
    }
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// A first component is a host when it has a dot or a port, is `localhost`, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_ok =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return port_ok && address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let labels_ok = host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    port_ok && labels_ok && (host == "localhost" || host.contains('.') || port.is_some())
}

/// Lowercase words separated by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().copied().is_some_and(alphanumeric)
        || !bytes.last().copied().is_some_and(alphanumeric)
    {
        return false;
    }
    text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.0
    }
}

impl TryFrom<String> for ImageName {
    type Error = ImageNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_registries_are_accepted() {
        for text in [
            "hello",
            "hello:1.0",
            "a/b",
            "r8.im/user/model",
            "localhost:5000/x:y",
            "127.0.0.1:5000/x",
            "[::1]:5000/a/b",
            "[2001:db8::1]/a:v1",
            "registry.example.com/a/b__c/d--e:Tag_1.x",
        ] {
            assert!(text.parse::<ImageName>().is_ok(), "{text}");
        }
    }

    #[test]
    fn other_texts_say_what_is_wrong() {
        use ImageNameError::{Digest, Empty, Form, Uppercase};
        for (text, error) in [
            ("", Empty),
            ("Hello", Uppercase),
            ("r8.im/User/model", Uppercase),
            ("a b", Form),
            ("a:", Form),
            ("a:b:c", Form),
            ("a//b", Form),
            ("[::1]", Form),
            ("[::g]:5000/x", Form),
            ("[::1:5000/x", Form),
            ("[::1]:/x", Form),
            ("-a", Form),
            ("a___b", Form),
            ("https://r8.im/x", Form),
            ("a@sha256:0", Digest),
        ] {
            assert_eq!(text.parse::<ImageName>(), Err(error), "{text}");
        }
    }

    #[test]
    fn every_folder_gives_a_valid_name() {
        for (folder, name) in [
            ("hello", "cog-hello"),
            ("Hello World", "cog-hello-world"),
            ("cog-x", "cog-x"),
            ("Ünï_çode", "cog-node"),
            ("", "cog-model"),
            ("---", "cog-model"),
            ("My  Model-", "cog-my--model"),
            (
                "abcdefghijklmnopqrstuvwxyz0123",
                "cog-abcdefghijklmnopqrstuvwxyz",
            ),
        ] {
            assert_eq!(ImageName::for_folder(folder).as_str(), name);
            assert!(name.parse::<ImageName>().is_ok());
        }
    }
}
