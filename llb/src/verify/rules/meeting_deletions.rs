//! Merges in which a deletion meets another one, which overlay storage gets wrong.

use std::collections::BTreeMap;

use super::{Check, Report, Rule, Severity};
use crate::inspect::graph::Graph;
use crate::inspect::main_input;
use crate::proto::pb;
use crate::proto::pb::file_action::Action;

pub(super) const RULE: Rule = Rule {
    code: "meeting-deletions",
    severity: Severity::Warning,
    page: include_str!("meeting_deletions.md"),
    check: Check::Graph(check),
};

/// Inputs are followed over so many ops that matter; deletions are near the end of a fork.
const FURTHEST: usize = 100;

/// Longer paths are none that a file system takes.
const LONGEST: usize = 4096;

fn check(report: &mut Report<'_>) {
    let graph = report.graph;
    let ways = Ways::of(graph);
    for (&position, inputs) in &ways.merges {
        // Each path that an earlier input deleted, with the input.
        let mut deleted: BTreeMap<&str, usize> = BTreeMap::new();
        for &read in inputs {
            let paths = ways.deletions(read);
            for path in &paths {
                let above = ancestors(path).find_map(|above| deleted.get_key_value(above));
                if let Some((above, earlier)) = above {
                    let (later, earlier) = (&graph.ops[read].name, &graph.ops[*earlier].name);
                    report.find(
                        position,
                        format!("`%{later}` deletes {path:?}, below {above:?}, which `%{earlier}` deletes"),
                        "delete in one of them only: some engines leave a ghost of the file, or fail to put the merge together",
                    );
                    break;
                }
            }
            for path in paths {
                deleted.entry(path).or_insert(read);
            }
        }
    }
}

/// How one comes from an op to its source, and what matters on the way.
#[derive(Default)]
struct Ways {
    /// What each merge reads.
    merges: BTreeMap<usize, Vec<usize>>,
    /// The paths that file actions delete, by name or by pattern.
    deletions: BTreeMap<usize, Vec<String>>,
    /// The lower sides of differences.
    lowers: BTreeMap<usize, usize>,
    /// The op that each one goes on with.
    next: Vec<Option<usize>>,
    /// The nearest op on the way from each one, itself included, that matters: a deletion, a difference or a lower
    /// side.
    nearest: Vec<Option<usize>>,
}

impl Ways {
    fn of(graph: &Graph<'_>) -> Self {
        let mut ways = Self::default();
        for (position, op) in graph.ops.iter().enumerate() {
            let message = op.message();
            let read = |input: usize| graph.position_of(message.inputs.get(input)?);
            ways.next.push(main_input(&message).and_then(read));
            match &message.op {
                Some(pb::op::Op::Merge(_)) => {
                    let reads = graph.reads(position).map(|(read, _)| read);
                    ways.merges.insert(position, reads.collect());
                }
                Some(pb::op::Op::Diff(diff)) => {
                    let lower = diff.lower.map(|lower| usize::try_from(lower.input));
                    let lower = lower.and_then(Result::ok).and_then(read);
                    ways.lowers.extend(lower.map(|lower| (position, lower)));
                }
                Some(pb::op::Op::File(file)) => {
                    let paths: Vec<String> = file.actions.iter().filter_map(deletion).collect();
                    if !paths.is_empty() {
                        ways.deletions.insert(position, paths);
                    }
                }
                _ => {}
            }
        }
        if ways.deletions.is_empty() {
            ways.merges.clear();
        }
        ways.find_nearest();
        ways
    }

    fn find_nearest(&mut self) {
        let count = self.next.len();
        self.nearest = vec![None; count];
        let mut is_known = vec![false; count];
        let differences = self.lowers.iter();
        let marks = differences.flat_map(|(difference, lower)| [*difference, *lower]);
        for position in self.deletions.keys().copied().chain(marks) {
            self.nearest[position] = Some(position);
            is_known[position] = true;
        }
        let mut way = Vec::new();
        for start in 0..count {
            let mut next = Some(start);
            while let Some(position) = next.filter(|position| !is_known[*position]) {
                is_known[position] = true;
                way.push(position);
                next = self.next[position];
            }
            let nearest = next.and_then(|position| self.nearest[position]);
            for position in way.drain(..) {
                self.nearest[position] = nearest;
            }
        }
    }

    /// The paths that are deleted on the way to an op, from the lower side of a difference or from its source.
    fn deletions(&self, start: usize) -> Vec<&str> {
        let mut stop = None;
        let mut next = self.nearest[start];
        let mut paths = Vec::new();
        for _ in 0..FURTHEST {
            let Some(position) = next.filter(|position| Some(*position) != stop) else {
                break;
            };
            if let Some(lower) = self.lowers.get(&position) {
                stop = Some(*lower);
            }
            let deleted = self.deletions.get(&position);
            paths.extend(deleted.into_iter().flatten().map(|path| &**path));
            next = self.next[position].and_then(|next| self.nearest[next]);
        }
        paths
    }
}

/// The path that an action deletes by name.
fn deletion(action: &pb::FileAction) -> Option<String> {
    match &action.action {
        // What a pattern matches is below the directories that it names.
        Some(Action::Rm(rm)) if rm.path.len() <= LONGEST => Some(rm.path.clone()),
        _ => None,
    }
}

/// The directories that a path is in, from the nearest up, without the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path.trim_end_matches('/');
    std::iter::from_fn(move || {
        rest = &rest[..rest.rfind('/')?];
        (!rest.is_empty()).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::super::found;

    fn merge(first: &str, second: &str) -> String {
        format!(
            "\
%base = local \"base\"
%one = file {{
  on %base
  rm \"{first}\"
}}
%two = file {{
  on %base
  rm \"{second}\"
}}
%diff-one = diff %base -> %one
%diff-two = diff %base -> %two
%merge = merge %base, %diff-one, %diff-two
return %merge
"
        )
    }

    #[test]
    fn a_deletion_below_another_is_found() {
        assert_eq!(
            found("meeting-deletions", &merge("/a", "/a/b/c")),
            [
                "%merge-base: `%diff-rm-c` deletes \"/a/b/c\", below \"/a\", which `%diff-rm-a` deletes"
            ]
        );
    }

    #[test]
    fn a_pattern_deletes_below_the_directories_that_it_names() {
        let by_pattern = |first: &str, second: &str| {
            let text = merge(first, second);
            text.replace("*\"", "*\" allow-wildcard")
        };
        let findings = |text: &str| found("meeting-deletions", text).len();
        assert_eq!(findings(&by_pattern("/a", "/a/*")), 1);
        assert_eq!(findings(&by_pattern("/a/*", "/b")), 0);
    }

    #[test]
    fn deletions_apart_are_fine() {
        assert!(found("meeting-deletions", &merge("/a", "/b/a")).is_empty());
        assert!(found("meeting-deletions", &merge("/a/b", "/a")).is_empty());
        assert!(found("meeting-deletions", &merge("/a", "/ab")).is_empty());
    }
}
