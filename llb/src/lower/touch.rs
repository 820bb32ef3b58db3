//! What layers touch, as far as the graph says it: the paths that are looked at or changed.
//!
//! A file action with literal paths touches them and the directories that it may make on the way. A command touches
//! whatever it can write to; what that is in a whole state, only a declaration can tell.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};

use super::layers::{self, Edge, Layer};
use super::view::Graph;
use crate::proto::pb;
use crate::proto::pb::file_action::Action;
use crate::value::path;

/// What is known of the paths that a layer touches.
#[derive(Clone, Debug)]
pub(super) enum Touched {
    /// These, with all that is below, and nothing else.
    Paths(Vec<String>),
    /// Anything, for this reason.
    Anything(String),
}

/// What a layer touches.
pub(super) fn of(graph: &Graph<'_>, layer: Layer) -> Touched {
    let (lower, upper) = match layer {
        Layer::Step { lower, upper } => (lower, upper),
        Layer::Whole(edge) => {
            let name = graph.output(edge.0, edge.1);
            return Touched::Anything(format!("what is in `{name}` is not in the graph"));
        }
        Layer::Net { upper, .. } => {
            let name = upper.map_or_else(
                || "scratch".to_owned(),
                |edge| format!("`{}`", graph.output(edge.0, edge.1)),
            );
            return Touched::Anything(format!(
                "a difference to {name} from a state that it does not go on from is no step"
            ));
        }
    };
    let op = &graph.ops[upper.0];
    match &op.message.op {
        Some(pb::op::Op::Exec(exec)) => exec_touches(exec, upper, &op.name),
        Some(pb::op::Op::File(file)) => file_touches(&op.message, file, lower, upper, &op.name),
        _ => Touched::Anything(format!("`%{}` is no step", op.name)),
    }
}

fn exec_touches(exec: &pb::ExecOp, upper: Edge, name: &str) -> Touched {
    let mut mounts = exec.mounts.iter();
    match mounts.find(|mount| mount.output == upper.1) {
        // Through a mount of a part of a state, only that part can be seen.
        Some(mount) if !matches!(&*mount.selector, "" | "/") => {
            Touched::Paths(vec![path::file_path("/", &mount.selector).into_owned()])
        }
        _ => Touched::Anything(format!("the command `%{name}` may read and write anything")),
    }
}

fn file_touches(
    message: &pb::Op,
    file: &pb::FileOp,
    lower: Option<Edge>,
    upper: Edge,
    name: &str,
) -> Touched {
    let mut paths = Vec::new();
    let count = i64::try_from(message.inputs.len()).unwrap_or(i64::MAX);
    let base = |input: i64| (0..count).contains(&input).then_some(input);
    let actions: Vec<usize> = layers::actions(message, file, upper.1).collect();
    let own = actions
        .last()
        .and_then(|first| base(file.actions[*first].input));
    for number in actions.into_iter().rev() {
        let action = &file.actions[number];
        // Copied from an action, or from the state itself: that state is another one on top of other steps.
        let secondary = action.secondary_input;
        if secondary >= count || (lower.is_some() && secondary >= 0 && base(secondary) == own) {
            return Touched::Anything(format!("`%{name}` copies from the state that it changes"));
        }
        if let Err(what) = action_touches(action.action.as_ref(), &mut paths) {
            return Touched::Anything(format!("`%{name}` {what}"));
        }
    }
    Touched::Paths(paths)
}

fn action_touches(action: Option<&Action>, paths: &mut Vec<String>) -> Result<(), &'static str> {
    let (path, makes_parents) = match action {
        Some(Action::Mkdir(mkdir)) => (absolute(&mkdir.path), mkdir.make_parents),
        Some(Action::Mkfile(mkfile)) => (absolute(&mkfile.path), false),
        Some(Action::Symlink(symlink)) => (absolute(&symlink.newpath), false),
        Some(Action::Rm(rm)) if rm.allow_not_found => {
            return Err("removes a path that need not be there");
        }
        Some(Action::Rm(rm)) if rm.allow_wildcard && !is_literal(&rm.path) => {
            return Err("removes by pattern");
        }
        Some(Action::Rm(rm)) => (absolute(&rm.path), false),
        Some(Action::Copy(copy)) => (copied(copy), copy.create_dest_path),
        None => return Err("has an action that is not known here"),
    };
    if makes_parents {
        let mut above = &*path;
        while let Some(end) = above.rfind('/').filter(|end| *end > 0) {
            above = &above[..end];
            paths.push(above.to_owned());
        }
    }
    paths.push(path);
    Ok(())
}

/// The path that a copy writes at or below.
fn copied(copy: &pb::FileActionCopy) -> String {
    let destination = path::clean(&copy.dest).into_owned();
    let into = copy.dest.ends_with('/') || copy.dest.ends_with("/.");
    let name = copy.src.rsplit('/').next().unwrap_or_default();
    let may_be_several = copy.dir_copy_contents
        || !copy.include_patterns.is_empty()
        || matches!(name, "" | "." | "..")
        || (copy.allow_wildcard && !is_literal(&copy.src))
        || copy.attempt_unpack_docker_compatibility;
    if may_be_several || !into {
        return absolute(&destination);
    }
    path::join(&[&destination, name])
}

fn absolute(path: &str) -> String {
    path::clean(&path::file_path("/", path)).into_owned()
}

fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '\\'])
}

/// Whether file actions make no second name of anything: no links, and no copies of what may be some.
pub(super) fn makes_no_links(graph: &Graph<'_>, layer: Layer) -> bool {
    let Layer::Step { upper, .. } = layer else {
        return false;
    };
    let message = &graph.ops[upper.0].message;
    let Some(pb::op::Op::File(file)) = &message.op else {
        return false;
    };
    layers::actions(message, file, upper.1).all(|number| {
        matches!(
            file.actions[number].action,
            Some(Action::Mkdir(_) | Action::Mkfile(_) | Action::Rm(_))
        )
    })
}

/// Paths with something beside each.
pub(super) struct Paths<T>(BTreeMap<String, T>);

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Paths<T> {
    /// Adds a path, unless it is there already.
    pub(super) fn insert(&mut self, path: String, beside: T) {
        self.0.entry(path).or_insert(beside);
    }

    /// A path that is equal to the given one, above or below it.
    pub(super) fn meeting(&self, path: &str) -> Option<(&str, &T)> {
        let above = path
            .char_indices()
            .filter(|(_, letter)| *letter == '/')
            .map(|(end, _)| &path[..end.max(1)]);
        let mut above = above.chain([path]);
        if let Some(found) = above.find_map(|above| self.0.get_key_value(above)) {
            return Some((found.0, found.1));
        }
        let start = if path == "/" {
            path.to_owned()
        } else {
            format!("{path}/")
        };
        let below = self
            .0
            .range::<str, _>((Included(&*start), Unbounded))
            .next();
        below
            .filter(|(below, _)| below.starts_with(&start))
            .map(|(below, beside)| (&**below, beside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(source: &str, destination: &str, contents: bool) -> String {
        copied(&pb::FileActionCopy {
            src: source.to_owned(),
            dest: destination.to_owned(),
            dir_copy_contents: contents,
            ..pb::FileActionCopy::default()
        })
    }

    #[test]
    fn a_copy_is_below_its_destination() {
        assert_eq!(copy("/tool", "/opt/bin/", false), "/opt/bin/tool");
        assert_eq!(copy("/tool", "/", false), "/tool");
        assert_eq!(copy("/tool", "/opt/tool", false), "/opt/tool");
        assert_eq!(copy("/tree", "/opt/", true), "/opt");
        assert_eq!(copy("/", "/", false), "/");
        assert_eq!(copy("/tree/", "/", false), "/");
    }

    #[test]
    fn paths_meet_by_parts_and_not_by_letters() {
        let meets = |left: &str, right: &str| {
            let mut paths = Paths::default();
            paths.insert(left.to_owned(), ());
            paths.meeting(right).is_some()
        };
        assert!(meets("/a", "/a"));
        assert!(meets("/a/b", "/a"));
        assert!(meets("/a", "/a/b"));
        assert!(meets("/a", "/"));
        assert!(meets("/", "/a"));
        assert!(!meets("/a", "/ab"));
        assert!(!meets("/a/b", "/a/c"));
    }
}
