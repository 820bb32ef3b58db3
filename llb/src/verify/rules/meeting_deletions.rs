//! Merges in which a deletion meets another one, which overlay storage gets wrong.

use std::collections::BTreeMap;

use super::{Report, Rule, Severity};
use crate::inspect::graph::Graph;
use crate::inspect::main_input;
use crate::proto::pb;
use crate::proto::pb::file_action::Action;

pub(super) const RULE: Rule = Rule {
    code: "meeting-deletions",
    severity: Severity::Warning,
    page: include_str!("meeting_deletions.md"),
    check,
};

/// Inputs are followed over so many ops; deletions are near the end of a fork.
const FURTHEST: usize = 1000;

fn check(report: &mut Report<'_>) {
    let graph = report.graph;
    for (position, op) in graph.ops.iter().enumerate() {
        let Some(pb::op::Op::Merge(_)) = &op.message.op else {
            continue;
        };
        // Each path that an earlier input deleted, with the input.
        let mut deleted: BTreeMap<String, String> = BTreeMap::new();
        for input in &op.message.inputs {
            let Some(read) = graph.position_of(input) else {
                continue;
            };
            let paths = deletions(graph, read);
            for path in &paths {
                let above = ancestors(path).find_map(|above| deleted.get_key_value(above));
                if let Some((above, earlier)) = above {
                    let later = &graph.ops[read].name;
                    report.find(
                        position,
                        format!("`%{later}` deletes {path:?}, below {above:?}, which `%{earlier}` deletes"),
                        "delete in one of them only: some engines leave a ghost of the file, or fail to put the merge together",
                    );
                    break;
                }
            }
            let name = &graph.ops[read].name;
            for path in paths {
                deleted.entry(path).or_insert_with(|| name.clone());
            }
        }
    }
}

/// The paths that file actions delete by name on the way to an op, from the lower side of a diff or from its source.
fn deletions(graph: &Graph<'_>, start: usize) -> Vec<String> {
    let mut stop = None;
    let mut next = Some(start);
    let mut paths = Vec::new();
    for _ in 0..FURTHEST {
        let Some(position) = next.filter(|position| Some(*position) != stop) else {
            break;
        };
        let op = &graph.ops[position];
        if let Some(pb::op::Op::Diff(diff)) = &op.message.op {
            let lower = diff
                .lower
                .and_then(|lower| usize::try_from(lower.input).ok());
            let lower = lower.and_then(|lower| op.message.inputs.get(lower));
            stop = lower.and_then(|lower| graph.position_of(lower));
        }
        if let Some(pb::op::Op::File(file)) = &op.message.op {
            paths.extend(
                file.actions
                    .iter()
                    .filter_map(|action| match &action.action {
                        Some(Action::Rm(rm)) if !rm.allow_wildcard => Some(rm.path.clone()),
                        _ => None,
                    }),
            );
        }
        next = main_input(op).and_then(|input| graph.position_of(&op.message.inputs[input]));
    }
    paths
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
    fn deletions_apart_are_fine() {
        assert!(found("meeting-deletions", &merge("/a", "/b/a")).is_empty());
        assert!(found("meeting-deletions", &merge("/a/b", "/a")).is_empty());
        assert!(found("meeting-deletions", &merge("/a", "/ab")).is_empty());
    }
}
