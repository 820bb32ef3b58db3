//! A requirement line as Cog reads it.
//!
//! Cog does not parse PEP 508: it searches lines with patterns, so that a line can be several things at once. What follows
//! from that is in the tests; [`requirement`](crate::requirement) reads lines as pip does.

use std::sync::LazyLock;

use regex::Regex;

/// What Cog finds in a line that pins a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// Text before the last `==` that a version follows.
    pub name: String,
    /// Text after it, up to the next blank.
    pub version: String,
    /// Values of `--find-links=` and `-f`.
    pub find_links: Vec<String>,
    /// Values of `--extra-index-url=`.
    pub extra_index_urls: Vec<String>,
}

/// Why Cog refuses a line that names something local.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// A `file:` URL.
    #[error("`{0}` is a `file:` URL; name the path itself")]
    FileUrl(String),
    /// `name @ path`.
    #[error("`{0}` names a path after `@`; name the path itself")]
    NamedPath(String),
    /// `-r`, `-f` and their like with a local value.
    #[error("option \"{option}\" with a local value is not possible in Cog, in `{line}`")]
    Option {
        /// The option.
        option: &'static str,
        /// The line.
        line: String,
    },
    /// Options or hashes behind a path.
    #[error("options or hashes cannot follow a path, in `{0}`")]
    InlineOption(String),
    /// A marker behind a path.
    #[error("a marker cannot follow a path, in `{0}`")]
    Marker(String),
    /// Extras behind a path.
    #[error("extras cannot follow a path, in `{0}`")]
    Extras(String),
    /// Neither a wheel nor an archive.
    #[error("\"{0}\" is neither a wheel nor a source archive")]
    Suffix(String),
}

const SUFFIXES: [&str; 6] = [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of the crate are valid")
}

/// The lines of a requirements file that Cog goes on with.
///
/// Cog cuts at every `#` and leaves out `-e .`; the first loses fragments of URLs, which are kept here.
pub fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    let mut keep = |line: &str| {
        let line = line.trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('#') || words == ["-e", "."] {
            return;
        }
        // A comment starts a line or follows a blank, as pip has it.
        let end = line
            .char_indices()
            .find(|(index, c)| *c == '#' && line[..*index].ends_with(char::is_whitespace))
            .map_or(line.len(), |(index, _)| index);
        let line = line[..end].trim();
        if !line.is_empty() {
            lines.push(line.to_owned());
        }
    };
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        open.push_str(line);
        if open.ends_with('\\') {
            open.pop();
            continue;
        }
        keep(&open);
        open.clear();
    }
    // Nothing follows the last line, so a `\\` at its end is text.
    if text.ends_with('\\') {
        open.push('\\');
    }
    keep(&open);
    lines
}

/// The name that a line starts with, extras included; empty when it starts with none.
pub fn package_name(line: &str) -> &str {
    static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[a-zA-Z0-9_\-.]+(?:\[[^\]]+\])?"));
    NAME.find(line).map_or("", |found| found.as_str())
}

/// A name without extras, lowercase, with `-` for runs of `-`, `_` and `.`.
pub fn normalized_name(name: &str) -> String {
    static SEPARATORS: LazyLock<Regex> = LazyLock::new(|| pattern("[-_.]+"));
    let name = name.split('[').next().unwrap_or_default();
    SEPARATORS.replace_all(name, "-").to_lowercase()
}

/// Everything that follows something like an operator, and what follows the first `@`.
pub fn versions(line: &str) -> Vec<&str> {
    static VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(r"[<>=!~]=?\s*([^\s,;|]+)"));
    static LOCATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"@\s*([^\s]+)"));
    let mut found: Vec<&str> = VERSION
        .captures_iter(line)
        .filter_map(|captures| captures.get(1).map(|found| found.as_str()))
        .collect();
    found.extend(
        LOCATION
            .captures(line)
            .and_then(|captures| captures.get(1))
            .map(|found| found.as_str()),
    );
    found
}

/// The version of a line that has one `==` before its marker, and no other operator, wildcard or URL.
pub fn exact_version(line: &str) -> Option<&str> {
    static LOCATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"@\s*\S+"));
    static OPERATOR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(===|==|!=|~=|<=|>=|<|>)\s*([^\s,;|]+)"));
    let line = line.split(';').next().unwrap_or_default();
    if LOCATION.is_match(line) {
        return None;
    }
    let mut found = OPERATOR.captures_iter(line);
    let (only, other) = (found.next()?, found.next());
    let version = only.get(2)?.as_str();
    (other.is_none() && &only[1] == "==" && !version.contains('*')).then_some(version)
}

/// What a line pins, when it holds `name==version` at all.
pub fn pinned(line: &str) -> Option<Pinned> {
    static PIN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"([a-zA-Z0-9\-_]+)==([^ ]+)|--find-links=([^\s]+)|-f\s+([^\s]+)|--extra-index-url=([^\s]+)",
        )
    });
    let mut pinned = Pinned::default();
    for captures in PIN.captures_iter(line) {
        let group = |index| {
            captures
                .get(index)
                .map(|found: regex::Match<'_>| found.as_str().to_owned())
        };
        if let (Some(name), Some(version)) = (group(1), group(2)) {
            (pinned.name, pinned.version) = (name, version);
        }
        pinned.find_links.extend(group(3).or_else(|| group(4)));
        pinned.extra_index_urls.extend(group(5));
    }
    (!pinned.name.is_empty()).then_some(pinned)
}

/// The path of a line that names a wheel or an archive; nothing for other lines.
pub fn local_artifact(line: &str) -> Result<Option<&str>, LocalError> {
    let line = line.trim();
    let own = || line.to_owned();
    if line.is_empty() {
        return Ok(None);
    }
    if is_file_url(line) {
        return Err(LocalError::FileUrl(own()));
    }
    if let Some((name, target)) = line.split_once('@') {
        let spaced = name != name.trim() || target != target.trim();
        let (name, target) = (name.trim(), target.trim());
        if !name.is_empty() && package_name(name) == name {
            if is_file_url(target) {
                return Err(LocalError::FileUrl(own()));
            }
            if is_path(target) || (spaced && is_artifact(target)) {
                return Err(LocalError::NamedPath(own()));
            }
        }
    }
    if line.starts_with('-') {
        return match local_option(line) {
            Some(option) => Err(LocalError::Option {
                option,
                line: own(),
            }),
            None => Ok(None),
        };
    }
    if has_inline_option(line) {
        return Err(LocalError::InlineOption(own()));
    }
    if is_remote(line) {
        return Ok(None);
    }
    if line
        .split_once(';')
        .is_some_and(|(base, _)| is_artifact(base.trim()))
    {
        return Err(LocalError::Marker(own()));
    }
    if line.ends_with(']')
        && line
            .split_once('[')
            .is_some_and(|(base, _)| is_artifact(base.trim()))
    {
        return Err(LocalError::Extras(own()));
    }
    match (is_path(line), has_suffix(line)) {
        (_, true) => Ok(Some(line)),
        (true, false) => Err(LocalError::Suffix(own())),
        (false, false) => Ok(None),
    }
}

fn local_option(line: &str) -> Option<&'static str> {
    ["--find-links", "--requirement", "-f", "-r"]
        .into_iter()
        .find(|option| {
            option_value(line, option)
                .is_some_and(|value| !value.is_empty() && (is_file_url(value) || !is_remote(value)))
        })
}

fn option_value<'l>(line: &'l str, option: &str) -> Option<&'l str> {
    let rest = line.strip_prefix(option).filter(|rest| !rest.is_empty())?;
    if !option.starts_with("--") {
        return Some(rest.trim());
    }
    rest.strip_prefix(['=', ' ', '\t']).map(str::trim)
}

fn has_inline_option(line: &str) -> bool {
    line.match_indices([' ', '\t']).any(|(index, _)| {
        let rest = line[index..].trim_start_matches([' ', '\t']);
        is_artifact(line[..index].trim())
            && (rest.starts_with("--")
                || ["-f", "-r"]
                    .iter()
                    .any(|option| option_value(rest, option).is_some()))
    })
}

fn is_artifact(text: &str) -> bool {
    !is_remote(text) && (is_path(text) || has_suffix(text))
}

fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git+")
}

fn is_file_url(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("file:")
}

fn is_path(text: &str) -> bool {
    ["/", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start))
}

fn has_suffix(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SUFFIXES.iter().any(|suffix| text.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_searched_not_parsed() {
        assert_eq!(
            versions("torch==2.7.0 ; python_version >= '3.10'"),
            ["2.7.0", "'3.10'"]
        );
        assert_eq!(
            pinned("torch==2.7.0,!=2.7.1").unwrap().version,
            "2.7.0,!=2.7.1"
        );
        assert_eq!(exact_version("torch==2.7.0,!=2.7.1"), None);
        assert_eq!(package_name("Ruamel.yaml_X[a,b]>=1"), "Ruamel.yaml_X[a,b]");
        assert_eq!(normalized_name("--find-links"), "-find-links");
    }

    /// B16: Cog cuts `#egg=` off.
    #[test]
    fn fragments_stay() {
        assert_eq!(
            lines("git+https://x/y@a#egg=y # why\n-e .\n"),
            ["git+https://x/y@a#egg=y"]
        );
    }

    #[test]
    fn local_things_are_told_apart() {
        assert_eq!(
            local_artifact("vendor/my helper-1.0.tar.gz"),
            Ok(Some("vendor/my helper-1.0.tar.gz"))
        );
        assert_eq!(local_artifact("https://token@file:443/pkg.whl"), Ok(None));
        assert!(matches!(
            local_artifact("name@file:./pkg.whl"),
            Err(LocalError::FileUrl(_))
        ));
        assert!(matches!(
            local_artifact("./pkg"),
            Err(LocalError::Suffix(_))
        ));
        assert!(matches!(
            local_artifact("-r other.txt"),
            Err(LocalError::Option { .. })
        ));
        assert!(matches!(
            local_artifact("./a.whl --hash=x"),
            Err(LocalError::InlineOption(_))
        ));
    }
}
