//! `.dockerignore` files: patterns, one a line.
//!
//! Read as `patternmatcher/ignorefile` of moby does: `#` at the very start of a line makes it a comment, `!` in front
//! takes back what an earlier pattern named, and paths are cleaned and relative to the directory.

use super::error::Result;
use crate::session::PatternSet;

/// The patterns of a file.
pub(super) fn patterns(text: &str) -> Result<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let patterns: Vec<_> = lines.filter_map(|line| pattern(line.trim())).collect();
    // A mistake is told with its pattern here, and not by the daemon in mid-build.
    PatternSet::new(patterns.iter().map(String::as_str))?;
    Ok(patterns)
}

fn pattern(line: &str) -> Option<String> {
    let (sign, path) = match line.strip_prefix('!') {
        Some(path) => ("!", path.trim()),
        None => ("", line),
    };
    if path.is_empty() {
        return (sign == "!").then(|| "!".to_owned());
    }
    let cleaned = clean(path);
    let path = match cleaned.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest,
        _ => &cleaned,
    };
    Some(format!("{sign}{path}"))
}

/// A path without `.`, `..` and double slashes: Go's `filepath.Clean`.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let rooted = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cleaned_patterns() {
        let text = "\u{feff}# comment\n\n /a/b/ \n!a/b/../keep\n #not a comment\n**/*.pyc\n./x//y\n/\n! spaced ";
        let expected = [
            "a/b",
            "!a/keep",
            "#not a comment",
            "**/*.pyc",
            "x/y",
            "/",
            "!spaced",
        ];
        assert_eq!(patterns(text).unwrap(), expected);
        assert_eq!(patterns("").unwrap(), [""; 0]);
    }

    #[test]
    fn a_mistake_names_its_pattern() {
        let error = patterns("a[").unwrap_err();
        assert!(error.to_string().contains("a["), "{error}");
    }
}
