//! What forks write, as far as the graph says it.
//!
//! File actions with literal paths say it themselves, and so do output mounts of a part of the state; for other execs a
//! fork declares it. What cannot be known from the graph, such as the files in a copied directory without a name, is
//! left out: only paths that are sure to meet are a mistake.

use std::panic::Location;

use super::join::Segment;
use super::lineage::{self, key};
use crate::graph::{Output, Vertex};
use crate::lower;
use crate::op::Op;
use crate::op::file::{CopyAction, FileActionKind};
use crate::state::State;
use crate::value::path;

/// A path that a fork says it writes.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) path: String,
    pub(super) location: &'static Location<'static>,
}

/// A path that is written, with the line that says so.
pub(super) struct Write {
    pub(super) path: String,
    kind: Kind,
    pub(super) location: &'static Location<'static>,
    /// The action that writes it, to tell two equal ones.
    action: Option<(Vertex, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A directory, made without anything in it.
    Directory,
    /// A file or a link.
    Entry,
    /// Anything at the path or below.
    Tree,
    /// Everything at the path and below is removed.
    Removal,
}

/// Everything that the steps from one state to another are known to write.
pub(super) fn between(before: &State, after: &State) -> Vec<Write> {
    let mut writes = Vec::new();
    // Parts to walk, each down to the state it began with.
    let mut parts = vec![(after.output.clone(), key(before.output.as_ref()))];
    while let Some((mut current, end)) = parts.pop() {
        while let Some(output) = current
            && key(Some(&output)) != end
        {
            step(&output, &mut writes);
            let data = output.vertex.data();
            if let Op::Merge(_) = data.op {
                for input in data.inputs.iter().skip(1) {
                    if let Some((lower, _)) = lineage::difference(input) {
                        let upper = input.vertex.data().inputs.last().cloned();
                        parts.push((upper, lower));
                    }
                }
            }
            let Some(lower) = lineage::lower(&output) else {
                break;
            };
            current = lower;
        }
    }
    writes
}

/// Everything that a segment is known to write.
pub(super) fn of(segment: &Segment) -> Vec<Write> {
    let declared = segment.declared.iter().map(|declared| Write {
        path: path::clean(&declared.path).into_owned(),
        kind: Kind::Tree,
        location: declared.location,
        action: None,
    });
    declared
        .chain(between(&segment.before, &segment.after))
        .collect()
}

/// What is declared of all segments together; nothing unless each of them declares something.
pub(super) fn declared(segments: &[&Segment]) -> Option<lower::Declared> {
    let mut together = lower::Declared::default();
    for segment in segments {
        if segment.declared.is_empty() {
            return None;
        }
        let writes = segment
            .declared
            .iter()
            .map(|declared| declared.path.clone());
        together.writes.extend(writes);
        together.reads.extend(segment.reads.iter().cloned());
    }
    Some(together)
}

/// The first two writes of two forks that meet.
pub(super) fn meeting<'w>(left: &'w [Write], right: &'w [Write]) -> Option<(&'w Write, &'w Write)> {
    let pairs = left
        .iter()
        .flat_map(|one| right.iter().map(move |other| (one, other)));
    pairs.into_iter().find(|(one, other)| one.meets(other))
}

fn step(output: &Output, writes: &mut Vec<Write>) {
    let data = output.vertex.data();
    match &data.op {
        Op::File(file) => {
            for (number, _) in lineage::actions(file) {
                if let Some((path, kind)) = written(&file.actions[number].kind) {
                    writes.push(Write {
                        path,
                        kind,
                        location: data.location,
                        action: Some((output.vertex.clone(), number)),
                    });
                }
            }
        }
        Op::Exec(exec) => {
            let mut mounts = exec.message().mounts.into_iter();
            let mount = mounts.find(|mount| mount.output == i64::from(output.index));
            // Through a mount of a part of a state, only that part can be written.
            if let Some(selector) = mount.map(|mount| mount.selector)
                && !matches!(&*selector, "" | "/")
            {
                writes.push(Write {
                    path: path::file_path("/", &selector).into_owned(),
                    kind: Kind::Tree,
                    location: data.location,
                    action: None,
                });
            }
        }
        _ => {}
    }
}

fn written(action: &FileActionKind) -> Option<(String, Kind)> {
    let (path, kind) = match action {
        FileActionKind::Mkdir { path, .. } => (path.clone(), Kind::Directory),
        FileActionKind::Mkfile { path, .. } => (path.clone(), Kind::Entry),
        FileActionKind::Symlink { new, .. } => {
            (path::file_path("/", new).into_owned(), Kind::Entry)
        }
        FileActionKind::Rm {
            path,
            allow_wildcard,
            ..
        } if !allow_wildcard || is_literal(path) => (path.clone(), Kind::Removal),
        FileActionKind::Rm { .. } => return None,
        FileActionKind::Copy(copy) => (copied(copy)?, Kind::Tree),
    };
    Some((path, kind))
}

/// The one path that a copy writes at or below, if it can be told and is not the root.
fn copied(copy: &CopyAction) -> Option<String> {
    if !copy.include.is_empty() {
        return None;
    }
    let destination = path::clean(&copy.destination);
    let into = copy.destination.ends_with('/') || copy.destination.ends_with("/.");
    let whole = matches!(&*copy.source, "" | "/" | ".");
    let target = if !into || (whole && copy.contents_only) {
        destination.into_owned()
    } else if copy.contents_only || whole || (copy.allow_wildcard && !is_literal(&copy.source)) {
        // A file goes below the destination, the content of a directory beside it.
        return None;
    } else {
        let name = copy.source.rsplit('/').next()?;
        path::join(&[&destination, name])
    };
    (target != "/").then_some(target)
}

fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '\\'])
}

impl Write {
    fn meets(&self, other: &Self) -> bool {
        if let (Some(left), Some(right)) = (&self.action, &other.action)
            && (left.0.id(), left.1) == (right.0.id(), right.1)
        {
            // One step that both forks share.
            return false;
        }
        let (low, high) = if self.kind <= other.kind {
            (self, other)
        } else {
            (other, self)
        };
        let same = low.path == high.path;
        let low_is_below = is_below(&low.path, &high.path);
        let high_is_below = is_below(&high.path, &low.path);
        match (low.kind, high.kind) {
            (Kind::Directory, Kind::Directory) | (Kind::Removal, Kind::Removal) => false,
            (Kind::Directory, Kind::Tree) => low_is_below,
            (Kind::Directory, _) => same || low_is_below,
            (Kind::Entry, Kind::Entry) if same => !low.is_equal(high),
            (_, _) => same || low_is_below || high_is_below,
        }
    }

    /// Whether both make the same file or link.
    fn is_equal(&self, other: &Self) -> bool {
        let (Some(left), Some(right)) = (&self.action, &other.action) else {
            return false;
        };
        match (action(left), action(right)) {
            (
                Some(FileActionKind::Mkfile {
                    path: _,
                    mode,
                    data,
                    owner,
                    created,
                }),
                Some(FileActionKind::Mkfile {
                    path: _,
                    mode: other_mode,
                    data: other_data,
                    owner: other_owner,
                    created: other_created,
                }),
            ) => {
                (mode, data, owner, created) == (other_mode, other_data, other_owner, other_created)
            }
            (
                Some(FileActionKind::Symlink {
                    old,
                    new: _,
                    owner,
                    created,
                }),
                Some(FileActionKind::Symlink {
                    old: other_old,
                    new: _,
                    owner: other_owner,
                    created: other_created,
                }),
            ) => (old, owner, created) == (other_old, other_owner, other_created),
            _ => false,
        }
    }
}

fn action((vertex, number): &(Vertex, usize)) -> Option<&FileActionKind> {
    match &vertex.data().op {
        Op::File(file) => file.actions.get(*number).map(|action| &action.kind),
        _ => None,
    }
}

fn is_below(path: &str, above: &str) -> bool {
    match path.strip_prefix(above) {
        Some(rest) => !rest.is_empty() && (above.ends_with('/') || rest.starts_with('/')),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(kind: Kind, path: &str) -> Write {
        Write {
            path: path.to_owned(),
            kind,
            location: Location::caller(),
            action: None,
        }
    }

    #[test]
    fn paths_meet_by_parts_and_not_by_letters() {
        let tree = write(Kind::Tree, "/opt/venv");
        for (path, meets) in [
            ("/opt/venv", true),
            ("/opt/venv/bin/pip", true),
            ("/opt", true),
            ("/opt/venv2", false),
            ("/opt/other", false),
        ] {
            assert_eq!(tree.meets(&write(Kind::Entry, path)), meets, "{path}");
            assert_eq!(write(Kind::Entry, path).meets(&tree), meets, "{path}");
        }
    }

    #[test]
    fn directories_above_are_shared() {
        let directory = write(Kind::Directory, "/opt");
        assert!(!directory.meets(&write(Kind::Directory, "/opt")));
        assert!(!directory.meets(&write(Kind::Entry, "/opt/file")));
        assert!(!directory.meets(&write(Kind::Tree, "/opt/venv")));
        assert!(directory.meets(&write(Kind::Entry, "/opt")));
        assert!(directory.meets(&write(Kind::Removal, "/opt")));
        assert!(write(Kind::Directory, "/opt/venv/x").meets(&write(Kind::Tree, "/opt/venv")));
    }
}
