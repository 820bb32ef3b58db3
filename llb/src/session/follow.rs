//! Follows the links on the way to paths that a build asks for.
//!
//! A build may ask for `current/app`, where `current` is a link to `releases/7`. Sending the two names
//! would send a link into nothing: what it needs is the link *and* what the link leads to. The
//! answer is a list of include patterns with every link on the way and every final path. Names may
//! have wildcards; those stay as they are, and the links among what they match are followed.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::pattern::{PatternSet, clean};

/// Include patterns for the paths, sorted; `None` if everything is needed.
pub(crate) fn follow(root: &Path, paths: &[String]) -> io::Result<Option<Vec<String>>> {
    let mut resolver = Resolver {
        root,
        resolved: BTreeSet::new(),
    };
    for path in paths {
        resolver.add(path.clone())?;
    }
    let mut kept: Vec<String> = Vec::new();
    for path in resolver.resolved {
        if path == "." {
            return Ok(None);
        }
        let below = kept.last().is_some_and(|last| {
            path.strip_prefix(last.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        });
        if !below {
            kept.push(path);
        }
    }
    Ok(Some(kept))
}

struct Resolver<'a> {
    root: &'a Path,
    resolved: BTreeSet<String>,
}

impl Resolver<'_> {
    /// Resolves a path and what its links lead to. Every link is followed once, so loops end.
    fn add(&mut self, path: String) -> io::Result<()> {
        let mut waiting = vec![path];
        while let Some(path) = waiting.pop() {
            let path = clean(path.trim_start_matches('/'));
            if path == ".." || path.starts_with("../") {
                continue;
            }
            let mut current = String::new();
            let mut rest = Some(path.as_str());
            while let Some(parts) = rest {
                let (part, after) = match parts.split_once('/') {
                    Some((part, after)) => (part, Some(after)),
                    None => (parts, None),
                };
                if current.is_empty() {
                    part.clone_into(&mut current);
                } else {
                    current = format!("{current}/{part}");
                }
                rest = after;
                let targets = self.links(&current, true)?;
                if targets.is_none() && rest.is_some() {
                    continue;
                }
                if !self.resolved.insert(current.clone()) {
                    break;
                }
                for target in targets.unwrap_or_default() {
                    waiting.push(match after {
                        Some(after) => format!("{target}/{after}"),
                        None => target,
                    });
                }
                break;
            }
        }
        Ok(())
    }

    /// What the link at a path, or the links that its wildcards match, lead to.
    fn links(&self, path: &str, wildcards: bool) -> io::Result<Option<Vec<String>>> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if wildcards && has_wildcards(name) {
            let Ok(pattern) = PatternSet::new([name]) else {
                return Ok(None);
            };
            let entries = match std::fs::read_dir(self.root.join(parent)) {
                Ok(entries) => entries,
                Err(error) if is_missing(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut found = Vec::new();
            for entry in entries {
                let entry = entry?.file_name();
                if let Some(entry) = entry.to_str()
                    && pattern.matches(entry)
                {
                    found.extend(self.links(&join(parent, entry), false)?.unwrap_or_default());
                }
            }
            return Ok((!found.is_empty()).then_some(found));
        }
        match std::fs::read_link(self.root.join(path)) {
            Ok(target) => {
                let Some(target) = target.to_str() else {
                    return Ok(None);
                };
                Ok(Some(vec![if target.starts_with('/') {
                    target.to_owned()
                } else {
                    join(parent, target)
                }]))
            }
            // Not a link, or not there.
            Err(error) if is_missing(&error) || error.kind() == io::ErrorKind::InvalidInput => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}/{name}")
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn has_wildcards(name: &str) -> bool {
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        std::fs::create_dir_all(root.join("releases/7")).unwrap();
        std::fs::write(root.join("releases/7/app"), "").unwrap();
        symlink("releases/7", root.join("current")).unwrap();
        symlink("/releases/7/app", root.join("absolute")).unwrap();
        symlink("current", root.join("again")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("../../outside", root.join("out")).unwrap();
        symlink("../current/app", root.join("releases/app")).unwrap();
        home
    }

    #[test]
    fn links_on_the_way_are_followed() {
        let home = tree();
        for (paths, expected) in [
            (&["plain"][..], &["plain"][..]),
            (&["current/app"], &["current", "releases/7/app"]),
            (&["/current/app"], &["current", "releases/7/app"]),
            (&["absolute"], &["absolute", "releases/7/app"]),
            (&["again/app"], &["again", "current", "releases/7/app"]),
            (
                &["releases/app"],
                &["current", "releases/7/app", "releases/app"],
            ),
            (&["loop"], &["loop"]),
            (&["out"], &["out"]),
            (&["a*"], &["a*", "current", "releases/7", "releases/7/app"]),
            (&["releases", "releases/7/app"], &["releases"]),
            (&["missing/deep"], &["missing/deep"]),
        ] {
            let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            let found = follow(home.path(), &paths).unwrap().unwrap();
            // `releases/7/app` is covered by `releases/7`.
            let expected: Vec<_> = expected
                .iter()
                .filter(|path| **path != "releases/7/app" || !expected.contains(&"releases/7"))
                .collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{paths:?}");
        }
    }

    #[test]
    fn the_top_means_everything() {
        let home = tree();
        assert_eq!(follow(home.path(), &["/".to_owned()]).unwrap(), None);
    }
}
