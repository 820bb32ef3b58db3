//! Files in memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::session::FileKind;

/// A file system: what is at which path. Paths have no slash at their ends; the root is the empty one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tree {
    entries: BTreeMap<String, Entry>,
    /// Paths that a difference takes away.
    removed: BTreeSet<String>,
}

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) content: Content,
    /// Permission bits.
    pub(super) mode: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Content {
    Directory,
    File(Bytes),
    Link(String),
}

impl Entry {
    pub(super) fn file(content: impl Into<Bytes>, mode: u32) -> Self {
        Self {
            content: Content::File(content.into()),
            mode,
        }
    }

    pub(super) fn directory(mode: u32) -> Self {
        Self {
            content: Content::Directory,
            mode,
        }
    }

    pub(super) fn kind(&self) -> FileKind {
        match self.content {
            Content::Directory => FileKind::Directory,
            Content::File(_) => FileKind::Regular,
            Content::Link(_) => FileKind::Symlink,
        }
    }

    fn is_directory(&self) -> bool {
        self.content == Content::Directory
    }
}

/// A path without slashes at its ends and without `.` and `..`.
pub(super) fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn joined(directory: &str, path: &str) -> String {
    match (directory, path) {
        ("", path) => path.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, path) => format!("{directory}/{path}"),
    }
}

impl Tree {
    /// Files by their paths.
    pub(super) fn of<P: AsRef<str>, C: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Self {
        let mut tree = Self::default();
        for (path, content) in files {
            let content: Vec<u8> = content.into();
            tree.put(&normal(path.as_ref()), Entry::file(content, 0o644));
        }
        tree
    }

    /// Puts something at a path, and the directories above it.
    pub(super) fn put(&mut self, path: &str, entry: Entry) {
        if path.is_empty() {
            return;
        }
        let mut above = parent(path);
        while !above.is_empty() {
            let is_directory = self.entries.get(above).is_some_and(Entry::is_directory);
            if !is_directory {
                self.entries
                    .insert(above.to_owned(), Entry::directory(0o755));
            }
            above = parent(above);
        }
        let stays = entry.is_directory() && self.entries.get(path).is_some_and(Entry::is_directory);
        if !stays {
            self.remove(path);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Removes a path and everything under it; `false` if it was not there.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let paths: Vec<_> = self.under(path).map(|(path, _)| path.to_owned()).collect();
        for path in &paths {
            self.entries.remove(path);
        }
        !paths.is_empty()
    }

    /// A path and everything under it.
    pub(super) fn under<'t>(&'t self, path: &'t str) -> impl Iterator<Item = (&'t str, &'t Entry)> {
        let inside = move |candidate: &str| {
            path.is_empty()
                || candidate == path
                || candidate
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        self.entries
            .iter()
            .filter(move |(candidate, _)| inside(candidate))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// What is in a directory.
    pub(super) fn in_directory<'t>(
        &'t self,
        path: &'t str,
    ) -> impl Iterator<Item = (&'t str, &'t Entry)> {
        self.under(path)
            .filter(move |(candidate, _)| *candidate != path && parent(candidate) == path)
    }

    /// What is at a path itself.
    pub(super) fn entry(&self, path: &str) -> Option<Entry> {
        match path {
            "" => Some(Entry::directory(0o755)),
            path => self.entries.get(path).cloned(),
        }
    }

    /// Where a path leads to, through symbolic links.
    pub(super) fn follow(&self, path: &str) -> String {
        let mut found = normal(path);
        // As many as Linux follows.
        for _ in 0..40 {
            let mut step = String::new();
            let mut next = None;
            for part in found.split('/') {
                step = joined(&step, part);
                if let Some(Entry {
                    content: Content::Link(target),
                    ..
                }) = self.entries.get(&step)
                {
                    let rest = found.get(step.len() + 1..).unwrap_or_default();
                    let target = match target.strip_prefix('/') {
                        Some(absolute) => absolute.to_owned(),
                        None => format!("{}/{target}", parent(&step)),
                    };
                    next = Some(normal(&format!("{target}/{rest}")));
                    break;
                }
            }
            match next {
                Some(next) => found = next,
                None => break,
            }
        }
        found
    }

    /// Only what a test of paths keeps, with the directories above.
    pub(super) fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut tree = Self::default();
        for (path, entry) in &self.entries {
            if keep(path) {
                tree.put(path, entry.clone());
            }
        }
        tree
    }

    /// Lays another tree over this one.
    pub(super) fn overlay(&mut self, upper: &Self) {
        for path in &upper.removed {
            if !self.remove(path) {
                self.removed.insert(path.clone());
            }
        }
        for (path, entry) in &upper.entries {
            self.put(path, entry.clone());
        }
    }

    /// What this tree has that another has not, and what it lacks.
    pub(super) fn since(&self, lower: &Self) -> Self {
        let mut tree = Self::default();
        for (path, entry) in &self.entries {
            if lower.entries.get(path) != Some(entry) {
                tree.put(path, entry.clone());
            }
        }
        let gone = lower.entries.keys();
        tree.removed = gone
            .filter(|path| !self.entries.contains_key(*path))
            .cloned()
            .collect();
        tree
    }

    /// All paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed() {
        let mut tree = Tree::of([("usr/lib/os-release", "x")]);
        let link = |target: &str| Entry {
            content: Content::Link(target.to_owned()),
            mode: 0o777,
        };
        tree.put("etc/os-release", link("../usr/lib/os-release"));
        tree.put("lib", link("/usr/lib"));
        tree.put("loop", link("loop"));
        assert_eq!(tree.follow("/etc/os-release"), "usr/lib/os-release");
        assert_eq!(tree.follow("lib/os-release"), "usr/lib/os-release");
        tree.follow("/loop");
    }

    #[test]
    fn a_difference_laid_over_its_base_gives_the_rest() {
        let base = Tree::of([("a", "1"), ("b/c", "2"), ("d", "3")]);
        let mut changed = base.clone();
        changed.remove("b");
        changed.put("d", Entry::file("4", 0o644));
        let mut again = base.clone();
        again.overlay(&changed.since(&base));
        assert_eq!(again, changed);
    }
}
