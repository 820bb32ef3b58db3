//! Reads of outputs that are not there.

use std::collections::BTreeSet;

use super::{Check, Report, Rule, Severity};
use crate::proto::pb;

pub(super) const RULE: Rule = Rule {
    code: "bad-output",
    severity: Severity::Error,
    page: include_str!("bad_output.md"),
    check: Check::Graph(check),
};

fn check(report: &mut Report<'_>) {
    let graph = report.graph;
    let outputs: Vec<Outputs> = graph.ops.iter().map(|op| outputs(&op.message())).collect();
    let mut check = |position: usize, read: usize, index: i64| {
        let count = match &outputs[read] {
            Outputs::Unknown => return,
            Outputs::First(count) if (0..*count).contains(&index) => return,
            Outputs::Listed(outputs) if outputs.contains(&index) => return,
            Outputs::First(count) => *count,
            Outputs::Listed(outputs) => i64::try_from(outputs.len()).unwrap_or(i64::MAX),
        };
        let output = graph.output(read, index);
        report.find(
            position,
            format!("`{output}` is read, but that op has {count} outputs"),
            "read an output that a writable mount or the passthrough has",
        );
    };
    for position in 0..graph.ops.len() {
        for (read, index) in graph.reads(position) {
            check(position, read, index);
        }
    }
    // The result is read by nobody else.
    if let Some((head, index)) = graph.head {
        check(head, head, index.into());
    }
}

/// The outputs that an op has.
enum Outputs {
    /// They cannot be told.
    Unknown,
    /// So many, numbered from 0.
    First(i64),
    /// Those with these numbers.
    Listed(BTreeSet<i64>),
}

fn outputs(op: &pb::Op) -> Outputs {
    let numbers: BTreeSet<i64> = match &op.op {
        None => return Outputs::Unknown,
        Some(pb::op::Op::Exec(exec)) => {
            let mounts = exec.mounts.iter();
            let is_writable = |mount: &&pb::Mount| {
                let kind = pb::MountType::try_from(mount.mount_type);
                mount.output >= 0 && !matches!(kind, Ok(pb::MountType::Secret | pb::MountType::Ssh))
            };
            mounts
                .filter(is_writable)
                .map(|mount| mount.output)
                .collect()
        }
        Some(pb::op::Op::File(file)) => {
            let outputs = file.actions.iter().map(|action| action.output);
            outputs.filter(|output| *output >= 0).collect()
        }
        Some(pb::op::Op::Passthrough(passthrough)) => {
            let count = i64::try_from(passthrough.outputs.len());
            return Outputs::First(count.unwrap_or(i64::MAX));
        }
        Some(_) => return Outputs::First(1),
    };
    let count = i64::try_from(numbers.len()).unwrap_or(i64::MAX);
    if numbers.iter().copied().eq(0..count) {
        Outputs::First(count)
    } else {
        Outputs::Listed(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn outputs_that_are_not_there_are_found() {
        let text = "\
%a = local \"a\"
%b = exec \"x\" cwd=/ {
  / = %a.out1 -> out0
  /out = scratch -> out1
}
%c = merge %b.out1, %b.out2
return %c
";
        assert_eq!(
            found("bad-output", text),
            [
                "%x: `%a.out1` is read, but that op has 1 outputs",
                "%merge-x: `%x.out2` is read, but that op has 2 outputs",
            ]
        );
    }
}
