//! Addresses of remote contexts.
//!
//! What counts as a Git repository is BuildKit's rule (`frontend/dockerfile/dfgitutil`, August 2026): `git@`, `git://`,
//! `ssh://` and `github.com/` always, HTTP only if the path ends in `.git`. Branch and subdirectory stand in the
//! fragment, or by name in the query.

use super::error::{Error, Result};
use crate::Constrain as _;
use crate::source::{Git, git};
use crate::state::State;

/// A Git repository as `docker build` takes it.
#[derive(Clone, Debug)]
pub(super) struct GitAddress(Git);

impl GitAddress {
    /// Reads an address; `None` if it is none of Git.
    pub(super) fn parse(text: &str) -> Result<Option<Self>> {
        let (address, fragment) = match text.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (text, None),
        };
        let (url, query) = match address.split_once('?') {
            Some((url, query)) => (url, query),
            None => (address, ""),
        };
        if !is_git(url) {
            return Ok(None);
        }
        let mut source = git(url);
        if let Some(fragment) = fragment {
            source = source.fragment(fragment);
        }
        for entry in query.split('&').filter(|entry| !entry.is_empty()) {
            source =
                apply(source, entry).map_err(|error| error.context(format!("context {text:?}")))?;
        }
        Ok(Some(Self(source)))
    }

    /// Keeps the `.git` directory.
    pub(super) fn keep_git_dir(self) -> Self {
        Self(self.0.keep_git_dir())
    }

    /// The checkout, with the name that progress shows.
    pub(super) fn state(self, name: &str) -> State {
        self.0.name(name).state()
    }
}

/// Whether an address is one of HTTP.
pub(super) fn is_http(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn is_git(url: &str) -> bool {
    if is_http(url) {
        // Names of hosts and paths differ by case.
        return url.strip_suffix(".git").is_some();
    }
    ["git@", "git://", "ssh://", "github.com/"]
        .iter()
        .any(|start| url.starts_with(start))
}

fn apply(source: Git, entry: &str) -> Result<Git> {
    let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
    let is_on = match value {
        "" | "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    };
    let refuse = |expected: &str| {
        Err(Error::msg(format!(
            "query `{name}` is {value:?}, expected {expected}"
        )))
    };
    match (name, is_on) {
        ("ref" | "tag" | "branch" | "subdir" | "checksum" | "commit", _) if value.is_empty() => {
            refuse("a value")
        }
        ("ref", _) => Ok(source.reference(value)),
        ("tag", _) => Ok(source.reference(format!("refs/tags/{value}"))),
        ("branch", _) => Ok(source.reference(format!("refs/heads/{value}"))),
        ("subdir", _) => Ok(source.subdir(value)),
        ("checksum" | "commit", _) => Ok(source.checksum(value)),
        ("keep-git-dir", Some(true)) => Ok(source.keep_git_dir()),
        ("submodules", Some(false)) => Ok(source.skip_submodules()),
        ("fetch-by-commit", Some(true)) => Ok(source.fetch_by_commit()),
        ("keep-git-dir" | "submodules" | "fetch-by-commit", Some(_)) => Ok(source),
        ("keep-git-dir" | "submodules" | "fetch-by-commit", None) => refuse("true or false"),
        ("mtime", _) if matches!(value, "checkout" | "commit") => Ok(source.mtime(value)),
        ("mtime", _) => refuse("checkout or commit"),
        _ => Err(Error::msg(format!("query `{name}` is not known"))
            .hint("known are ref, tag, branch, subdir, checksum, keep-git-dir, submodules, mtime and fetch-by-commit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_git_are_told_from_others() {
        for (text, expected) in [
            ("https://example.com/a.git", true),
            ("https://example.com/a.git#main:docs", true),
            ("https://example.com/a.git?branch=main&subdir=docs", true),
            ("git@example.com:a/b", true),
            ("github.com/a/b", true),
            ("https://example.com/a.tar.gz", false),
            ("./a.git", false),
            ("", false),
        ] {
            assert_eq!(
                GitAddress::parse(text).unwrap().is_some(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn fragments_and_queries_say_the_same() {
        let definition = |text: &str| {
            let address = GitAddress::parse(text).unwrap().unwrap();
            address.state("x").to_text()
        };
        assert_eq!(
            definition("https://example.com/a.git#v1:docs"),
            definition("https://example.com/a.git?ref=v1&subdir=docs")
        );
        let error = GitAddress::parse("https://example.com/a.git?depth=1").unwrap_err();
        assert!(
            error.to_string().contains("query `depth` is not known"),
            "{error}"
        );
    }
}
