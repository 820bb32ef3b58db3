//! What is read out of URLs of indexes and files.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::requirement::variables;

/// A host that wants a login, by the names of secrets: never with their values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Host, with its port if the URL has one.
    pub host: String,
    /// User name as written, such as `${USER}`.
    pub user: String,
    /// Password as written, such as `${TOKEN}`; may be empty.
    pub password: String,
}

impl Login {
    /// The login of a host that is written as `USER:PASSWORD`, or as a user alone.
    ///
    /// ```
    /// let login = cog_python::lock::Login::of("pypi.example.com", "${USER}:${TOKEN}");
    /// assert_eq!(login.names(), ["TOKEN", "USER"]);
    /// ```
    pub fn of(host: &str, text: &str) -> Self {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Self {
            host: host.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Names of the secrets that it is made of, sorted, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names = variables(&self.to_string());
        names.sort();
        names.dedup();
        names
    }

    /// Name of the secret that is sent as `Authorization` header to the host.
    pub fn secret(&self) -> String {
        format!("authorization.{}", self.host)
    }

    /// The login with the values of secrets in the place of `${NAME}`, and `%` escapes resolved, as pip and uv resolve
    /// them in an URL; nothing if a secret has no value.
    pub fn expand(
        &self,
        mut value: impl FnMut(&str) -> Option<String>,
    ) -> Option<(String, String)> {
        let mut expand = |text: &str| {
            let mut rest = text;
            let mut whole = String::new();
            while let Some((before, after)) = rest.split_once("${") {
                let (name, after) = after.split_once('}')?;
                whole.push_str(before);
                whole.push_str(&value(name)?);
                rest = after;
            }
            whole.push_str(rest);
            Some(whole)
        };
        let (user, password) = (expand(&self.user)?, expand(&self.password)?);
        Some((unescaped(&user), unescaped(&password)))
    }
}

impl fmt::Display for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.user)?;
        if !self.password.is_empty() {
            write!(formatter, ":{}", self.password)?;
        }
        Ok(())
    }
}

/// Where the authority of an URL starts and ends.
fn authority(url: &str) -> Option<(usize, usize)> {
    let start = url.find("://")? + 3;
    let length = url[start..].find(['/', '?', '#']);
    Some((start, length.map_or(url.len(), |length| start + length)))
}

/// Host and port of an URL.
///
/// ```
/// assert_eq!(cog_python::lock::host("https://${TOKEN}@pypi.example.com:8080/simple"), Some("pypi.example.com:8080"));
/// ```
pub fn host(url: &str) -> Option<&str> {
    let (start, end) = authority(url)?;
    let authority = &url[start..end];
    Some(
        authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host),
    )
}

/// The login that an URL has in front of its host.
pub fn login(url: &str) -> Option<Login> {
    let (start, end) = authority(url)?;
    let (login, host) = url[start..end].rsplit_once('@')?;
    Some(Login::of(host, login))
}

/// The URL with a login in front of its host.
pub(crate) fn with_login(url: &str, login: &Login) -> String {
    match authority(url) {
        Some((start, _)) => format!("{}{login}@{}", &url[..start], &url[start..]),
        None => url.to_owned(),
    }
}

/// The URL without a login.
pub(super) fn without_login(url: &str) -> String {
    match authority(url) {
        Some((start, end)) => match url[start..end].rfind('@') {
            Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

/// The name of the file that an URL or a path ends with, `%` escapes resolved.
pub(crate) fn file_name(location: &str) -> String {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    unescaped(path.rsplit('/').next().unwrap_or_default())
}

/// A part of an URL with its `%` escapes resolved.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_taken_off() {
        let url = "https://${USER}:${TOKEN}@host:1/simple/@x";
        let found = login(url).unwrap();
        assert_eq!(found.host, "host:1");
        assert_eq!(
            (found.user.as_str(), found.password.as_str()),
            ("${USER}", "${TOKEN}")
        );
        assert_eq!(without_login(url), "https://host:1/simple/@x");
        assert_eq!(with_login(&without_login(url), &found), url);
        assert_eq!(
            with_login("https://host", &Login::of("host", "${TOKEN}")),
            "https://${TOKEN}@host"
        );
        assert_eq!(login("https://host/@x"), None);
        assert_eq!(without_login("path"), "path");
    }

    #[test]
    fn values_take_the_place_of_names() {
        let found = login("https://u-${A}:${B}@host/").unwrap();
        let value = |name: &str| Some(name.to_lowercase());
        assert_eq!(found.expand(value), Some(("u-a".into(), "b".into())));
        let escaped = |_: &str| Some("a%40b%3A%2F100%".to_owned());
        assert_eq!(found.expand(escaped).unwrap().1, "a@b:/100%");
        assert_eq!(found.expand(|_| None), None);
    }

    #[test]
    fn names_of_files_are_unescaped() {
        assert_eq!(
            file_name("https://x/whl/cpu/torch-2.3.1%2Bcpu-cp312-cp312-linux_x86_64.whl#sha256=0"),
            "torch-2.3.1+cpu-cp312-cp312-linux_x86_64.whl"
        );
        assert_eq!(file_name("a%zz%2"), "a%zz%2");
    }
}
