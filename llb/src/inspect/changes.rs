//! What a graph does anew, compared with an earlier one, and why.
//!
//! A vertex digest is not a cache key. BuildKit looks an op up by what it does and by what its inputs are; names,
//! places in source files, limits and everything else beside the op are no part of that, and neither are proxies, the
//! addresses of extra hosts, and the ids of caches (`ops/exec.go` of BuildKit, August 2026). So two ops are the same
//! here when BuildKit would find the result of one for the other.
//!
//! What is new is told by its causes: an op that says something else than before is one, an op that merely reads
//! another result is a consequence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::canonical;
use super::graph::{Graph, GraphOp};
use super::text::facts;
use crate::definition::{Definition, OpDigest};
use crate::proto::pb;

/// What happened to an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It says something else than before.
    Changed,
    /// What it reads from outside of the graph is different: files of a local source, for example.
    Touched,
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It is the same, but reads a result that is not.
    Follows,
}

/// An op that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The name of the op, as in the text form: of the earlier graph for one that was removed.
    pub name: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The file and line that it was asked for in, where the graph knows it: `cog.yaml:7`.
    pub place: Option<String>,
    /// What it said and does not say any more.
    pub before: Vec<String>,
    /// What it says and did not say.
    pub after: Vec<String>,
    /// Names of the causes, for one that follows.
    pub because: Vec<String>,
    /// Whether it may be found in the cache after all: it reads nothing changed but by mounts that BuildKit compares by
    /// content.
    pub by_content: bool,
}

/// The difference between two graphs; made by [`Definition::changes_since`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "nothing happens but a comparison"]
pub struct Changes {
    changes: Vec<Change>,
    same: usize,
}

impl Definition {
    /// Compares this graph with an earlier one: which ops have to run again, and why.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let graph = |package: &str| {
    ///     let tools = image("debian").run(sh(format!("apt-get install -y {package}")).name("tools"));
    ///     tools.run(sh("make").name("make")).marshal(&MarshalOptions::linux_amd64())
    /// };
    /// let changes = graph("git")?.changes_since(&graph("curl")?);
    /// assert_eq!(changes.to_string(), r#"
    /// 1 step changed, 1 step follows, 1 step is the same
    ///
    /// tools changed
    ///   - "apt-get install -y curl"
    ///   + "apt-get install -y git"
    ///   runs again: make
    /// "#.trim_start());
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn changes_since(&self, before: &Self) -> Changes {
        self.changes_since_with(before, |_| None)
    }

    /// As [`changes_since`](Self::changes_since), with what is known of the world outside: `touched` is asked about every
    /// op that reads it and that did not change, by name, and gives what is different there.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let definition = image("debian").copy(local("context"), "/", "/src").marshal(&MarshalOptions::linux_amd64())?;
    /// let changes = definition.changes_since_with(&definition, |name| {
    ///     (name == "context").then(|| vec!["run.py".to_owned()])
    /// });
    /// let names: Vec<_> = changes.causes().map(|change| change.name.as_str()).collect();
    /// assert_eq!(names, ["context"]);
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn changes_since_with(
        &self,
        before: &Self,
        touched: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Changes {
        let (old, new) = (Side::new(before), Side::new(self));
        let matches = match_ops(&old, &new);
        let mut changes = Changes::default();
        // Names of the causes behind each op of the new graph; empty for one that is the same.
        let mut causes: Vec<BTreeSet<String>> = Vec::with_capacity(new.graph.ops.len());
        for (position, op) in new.graph.ops.iter().enumerate() {
            let mut change = Change {
                name: op.name.clone(),
                kind: ChangeKind::Added,
                place: place(self, op),
                before: Vec::new(),
                after: Vec::new(),
                because: Vec::new(),
                by_content: false,
            };
            let behind: BTreeSet<String> = new
                .graph
                .reads(position)
                .filter_map(|(input, _)| causes.get(input))
                .flatten()
                .cloned()
                .collect();
            if let Some(earlier) = matches.earlier[position] {
                let said = old.said(earlier, |input| matches.name_of(&old, &new, input));
                let says = new.said(position, |input| new.graph.ops[input].name.clone());
                let lost = without(&said, &says);
                let won = without(&says, &said);
                if let Some(what) = is_outside(op).then(|| touched(&op.name)).flatten() {
                    change.kind = ChangeKind::Touched;
                    change.after = what;
                } else if !lost.is_empty() || !won.is_empty() || said != says {
                    change.kind = ChangeKind::Changed;
                    (change.before, change.after) = (lost, won);
                } else if behind.is_empty() {
                    changes.same += 1;
                    causes.push(BTreeSet::new());
                    continue;
                } else {
                    change.kind = ChangeKind::Follows;
                    change.because = behind.iter().cloned().collect();
                    change.by_content = reads_by_content(&new, position, |input| {
                        causes.get(input).is_some_and(|causes| !causes.is_empty())
                    });
                    causes.push(behind);
                    changes.changes.push(change);
                    continue;
                }
            }
            causes.push(BTreeSet::from([op.name.clone()]));
            changes.changes.push(change);
        }
        let removed = old.graph.ops.iter().enumerate();
        let removed = removed.filter(|(position, _)| matches.later[*position].is_none());
        changes.changes.extend(removed.map(|(_, op)| Change {
            name: op.name.clone(),
            kind: ChangeKind::Removed,
            place: place(before, op),
            before: Vec::new(),
            after: Vec::new(),
            because: Vec::new(),
            by_content: false,
        }));
        changes
    }
}

impl Changes {
    /// Everything that is not as it was, in the order of the graph; what was removed comes last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Change> {
        self.changes.iter()
    }

    /// The causes: all but what merely follows.
    pub fn causes(&self) -> impl Iterator<Item = &Change> {
        self.iter()
            .filter(|change| change.kind != ChangeKind::Follows)
    }

    /// What follows from a cause.
    pub fn following<'c>(&'c self, cause: &'c str) -> impl Iterator<Item = &'c Change> {
        let of_cause = move |change: &&Change| change.because.iter().any(|name| name == cause);
        self.iter().filter(of_cause)
    }

    /// How many ops are as they were.
    pub fn same(&self) -> usize {
        self.same
    }

    /// Whether nothing has to run again.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |kinds: &[ChangeKind]| {
            let of_kind = |change: &&Change| kinds.contains(&change.kind);
            self.iter().filter(of_kind).count()
        };
        let mut parts = Vec::new();
        for (kinds, one, more) in [
            (
                &[ChangeKind::Changed, ChangeKind::Touched][..],
                "step changed",
                "steps changed",
            ),
            (&[ChangeKind::Added], "step added", "steps added"),
            (&[ChangeKind::Removed], "step removed", "steps removed"),
            (&[ChangeKind::Follows], "step follows", "steps follow"),
        ] {
            match count(kinds) {
                0 => {}
                1 => parts.push(format!("1 {one}")),
                many => parts.push(format!("{many} {more}")),
            }
        }
        parts.push(match self.same {
            1 => "1 step is the same".to_owned(),
            same => format!("{same} steps are the same"),
        });
        writeln!(formatter, "{}", parts.join(", "))?;
        for cause in self.causes() {
            let what = match cause.kind {
                ChangeKind::Touched => "reads something else",
                ChangeKind::Added => "is new",
                ChangeKind::Removed => "is gone",
                ChangeKind::Changed | ChangeKind::Follows => "changed",
            };
            let place = cause.place.as_ref();
            let place = place
                .map(|place| format!("  [{place}]"))
                .unwrap_or_default();
            writeln!(formatter, "\n{} {what}{place}", cause.name)?;
            for (mark, lines) in [('-', &cause.before), ('+', &cause.after)] {
                for line in lines {
                    writeln!(formatter, "  {mark} {line}")?;
                }
            }
            let name = |change: &Change| {
                let note = if change.by_content {
                    " (if its files differ)"
                } else {
                    ""
                };
                format!("{}{note}", change.name)
            };
            let follow: Vec<String> = self.following(&cause.name).map(name).collect();
            if !follow.is_empty() {
                writeln!(formatter, "  runs again: {}", follow.join(", "))?;
            }
        }
        Ok(())
    }
}

/// One of the two graphs.
struct Side<'d> {
    graph: Graph<'d>,
    /// What BuildKit finds the result of each op by.
    keys: Vec<OpDigest>,
}

impl<'d> Side<'d> {
    fn new(definition: &'d Definition) -> Self {
        let graph = Graph::new(definition);
        let mut keys: Vec<OpDigest> = Vec::with_capacity(graph.ops.len());
        for position in 0..graph.ops.len() {
            let text = said(&graph, position, |input| {
                keys.get(input).map(ToString::to_string).unwrap_or_default()
            });
            keys.push(OpDigest::of(text.join("\n").as_bytes()));
        }
        Self { graph, keys }
    }

    fn said(&self, position: usize, name: impl Fn(usize) -> String) -> Vec<String> {
        said(&self.graph, position, name)
    }
}

/// What an op says as far as it decides about its result, in parts that can be compared.
fn said(graph: &Graph<'_>, position: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    let op = &graph.ops[position];
    let mut message = op.message().into_owned();
    let is_known = canonical::encode(&message) == op.definition_op.bytes();
    let names: Vec<String> = message
        .inputs
        .iter()
        .map(|input| {
            let read = graph.position_of(input);
            let name = read.map(&name).unwrap_or_default();
            match input.index {
                0 => format!("%{name}"),
                index => format!("%{name}.out{index}"),
            }
        })
        .collect();
    leave_out(&mut message);
    let mut said = facts(&message, &names);
    if !is_known {
        // What this version does not know may be anything.
        said.push(format!("bytes {}", op.definition_op.digest()));
    }
    said
}

/// Takes out what is no part of a cache key.
fn leave_out(op: &mut pb::Op) {
    match &mut op.op {
        Some(pb::op::Op::Exec(exec)) => {
            if let Some(meta) = &mut exec.meta {
                meta.proxy_env = None;
                for host in &mut meta.extra_hosts {
                    host.ip.clear();
                }
            }
            for cache in exec
                .mounts
                .iter_mut()
                .filter_map(|mount| mount.cache_opt.as_mut())
            {
                "cache".clone_into(&mut cache.id);
                cache.sharing = 0;
            }
        }
        // How a folder is sent says nothing about its files.
        Some(pb::op::Op::Source(source)) if source.identifier.starts_with("local://") => {
            for name in [
                "local.unique",
                "local.sharedkeyhint",
                "local.session",
                "local.differ",
            ] {
                source.attrs.remove(name);
            }
        }
        _ => {}
    }
}

/// Which ops are the same one, before and after.
struct Matches {
    /// For each op of the new graph.
    earlier: Vec<Option<usize>>,
    /// For each op of the old graph.
    later: Vec<Option<usize>>,
}

impl Matches {
    /// The name by which an op of the old graph is known in the new one.
    fn name_of(&self, old: &Side<'_>, new: &Side<'_>, position: usize) -> String {
        match self.later[position] {
            Some(later) => new.graph.ops[later].name.clone(),
            None => format!("{} (gone)", old.graph.ops[position].name),
        }
    }
}

/// Ops with one cache key are the same; so are those that say the same, and those of one name that do one kind of thing.
fn match_ops(old: &Side<'_>, new: &Side<'_>) -> Matches {
    let mut matches = Matches {
        earlier: vec![None; new.graph.ops.len()],
        later: vec![None; old.graph.ops.len()],
    };
    let own = |side: &Side<'_>, position: usize| side.said(position, |_| String::new()).join("\n");
    let named = |side: &Side<'_>, position: usize| {
        let op = &side.graph.ops[position];
        format!("{} {}", kind(&op.message()), op.name)
    };
    pair(&mut matches, old, new, |side, position| {
        side.keys[position].to_string()
    });
    pair(&mut matches, old, new, |side, position| {
        format!("{}\n{}", named(side, position), own(side, position))
    });
    pair(&mut matches, old, new, named);
    pair(&mut matches, old, new, own);
    pair_similar(&mut matches, old, new);
    matches
}

/// Pairs what is left by how much it says in common: names often tell what a step does, and change with it.
fn pair_similar(matches: &mut Matches, old: &Side<'_>, new: &Side<'_>) {
    /// Graphs that have little in common are told as they are.
    const MOST: usize = 200;
    let left = |matched: &[Option<usize>], side: &Side<'_>| -> Vec<(usize, Vec<String>)> {
        let free = (0..matched.len()).filter(|position| matched[*position].is_none());
        free.take(MOST)
            .map(|position| (position, side.said(position, |_| String::new())))
            .collect()
    };
    let mut earlier = left(&matches.later, old);
    for (position, says) in left(&matches.earlier, new) {
        let kind_of = |side: &Side<'_>, position: usize| kind(&side.graph.ops[position].message());
        let common = earlier
            .iter()
            .enumerate()
            .filter_map(|(index, (candidate, said))| {
                let shared = says.len() - without(&says, said).len();
                let is_similar = kind_of(old, *candidate) == kind_of(new, position)
                    && 2 * shared >= says.len().max(said.len());
                is_similar.then_some((shared, std::cmp::Reverse(index)))
            });
        if let Some((_, std::cmp::Reverse(index))) = common.max() {
            let (candidate, _) = earlier.remove(index);
            matches.earlier[position] = Some(candidate);
            matches.later[candidate] = Some(position);
        }
    }
}

/// Pairs what is not paired yet and has the same label, in order.
fn pair(
    matches: &mut Matches,
    old: &Side<'_>,
    new: &Side<'_>,
    label: impl Fn(&Side<'_>, usize) -> String,
) {
    let mut free: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for position in (0..old.graph.ops.len()).rev() {
        if matches.later[position].is_none() {
            free.entry(label(old, position)).or_default().push(position);
        }
    }
    for position in 0..new.graph.ops.len() {
        if matches.earlier[position].is_some() {
            continue;
        }
        let found = free.get_mut(&label(new, position)).and_then(Vec::pop);
        if let Some(earlier) = found {
            matches.earlier[position] = Some(earlier);
            matches.later[earlier] = Some(position);
        }
    }
}

fn kind(op: &pb::Op) -> &'static str {
    match &op.op {
        Some(pb::op::Op::Source(_)) => "source",
        Some(pb::op::Op::Exec(_)) => "exec",
        Some(pb::op::Op::File(_)) => "file",
        Some(pb::op::Op::Merge(_)) => "merge",
        Some(pb::op::Op::Diff(_)) => "diff",
        Some(pb::op::Op::Build(_)) => "build",
        Some(pb::op::Op::Passthrough(_)) => "passthrough",
        None => "unknown",
    }
}

/// Whether an op reads what lies outside of the graph.
fn is_outside(op: &GraphOp<'_>) -> bool {
    matches!(op.message().op, Some(pb::op::Op::Source(_)))
}

/// Whether an op reads what is changed by mounts alone that BuildKit compares by content: those that are not the root,
/// and that the op cannot give on with files it did not see.
fn reads_by_content(side: &Side<'_>, position: usize, is_changed: impl Fn(usize) -> bool) -> bool {
    let message = side.graph.ops[position].message();
    let Some(pb::op::Op::Exec(exec)) = &message.op else {
        return false;
    };
    let mut inputs = message.inputs.iter().enumerate();
    inputs.all(|(number, input)| {
        let read = side.graph.position_of(input);
        if !read.is_some_and(&is_changed) {
            return true;
        }
        let of_input = |mount: &&pb::Mount| usize::try_from(mount.input) == Ok(number);
        exec.mounts.iter().filter(of_input).all(|mount| {
            let is_whole = matches!(mount.selector.as_str(), "" | "/");
            let is_off = mount.content_cache == i32::from(pb::MountContentCache::Off);
            mount.dest != "/" && !is_off && (mount.output < 0 || mount.readonly || is_whole)
        })
    })
}

/// Parts of a list that another one lacks, counting repeats.
fn without(list: &[String], other: &[String]) -> Vec<String> {
    let mut rest: Vec<&String> = other.iter().collect();
    let missing = list.iter().filter(|part| {
        let found = rest.iter().position(|known| known == part);
        found.map(|found| rest.remove(found)).is_none()
    });
    missing.cloned().collect()
}

/// Where an op was asked for.
fn place(definition: &Definition, op: &GraphOp<'_>) -> Option<String> {
    op.definition_op.locations().find_map(|(info, ranges)| {
        let info = definition.source_infos().get(usize::try_from(info).ok()?)?;
        let line = ranges.first()?.start?.line;
        Some(format!("{}:{line}", info.filename()))
    })
}
