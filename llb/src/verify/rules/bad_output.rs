//! Reads of outputs that are not there.

use super::{Report, Rule, Severity};
use crate::proto::pb;

pub(super) const RULE: Rule = Rule {
    code: "bad-output",
    severity: Severity::Error,
    page: include_str!("bad_output.md"),
    check,
};

fn check(report: &mut Report<'_>) {
    let graph = report.graph;
    let mut reads = Vec::new();
    for (position, op) in graph.ops.iter().enumerate() {
        for input in &op.message.inputs {
            reads.extend(
                graph
                    .position_of(input)
                    .map(|read| (position, read, input.index)),
            );
        }
    }
    // The result is read by nobody else.
    reads.extend(graph.head.map(|(head, index)| (head, head, index.into())));
    for (position, read, index) in reads {
        let Some(outputs) = outputs(&graph.ops[read].message) else {
            continue;
        };
        if !outputs.contains(&index) {
            let (output, count) = (graph.output(read, index), outputs.len());
            report.find(
                position,
                format!("`{output}` is read, but that op has {count} outputs"),
                "read an output that a writable mount or the passthrough has",
            );
        }
    }
}

/// The outputs of an op; none if they cannot be told.
fn outputs(op: &pb::Op) -> Option<Vec<i64>> {
    match op.op.as_ref()? {
        pb::op::Op::Exec(exec) => {
            let mounts = exec.mounts.iter();
            let is_writable = |mount: &&pb::Mount| {
                let kind = pb::MountType::try_from(mount.mount_type);
                mount.output >= 0 && !matches!(kind, Ok(pb::MountType::Secret | pb::MountType::Ssh))
            };
            Some(
                mounts
                    .filter(is_writable)
                    .map(|mount| mount.output)
                    .collect(),
            )
        }
        pb::op::Op::File(file) => {
            let outputs = file.actions.iter().map(|action| action.output);
            Some(outputs.filter(|output| *output >= 0).collect())
        }
        pb::op::Op::Passthrough(passthrough) => {
            let count = i64::try_from(passthrough.outputs.len()).ok()?;
            Some((0..count).collect())
        }
        _ => Some(vec![0]),
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
