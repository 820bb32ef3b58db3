//! Ops that are none.

use super::{Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "unknown-op",
    severity: Severity::Error,
    page: include_str!("unknown_op.md"),
    check,
};

fn check(report: &mut Report<'_>) {
    let ops = report.graph.ops.iter();
    let unknown: Vec<_> = ops.map(|op| op.message.op.is_none()).collect();
    for position in (0..unknown.len()).filter(|position| unknown[*position]) {
        report.find(
            position,
            "it is no op, or of a kind that is not known here",
            "a newer version may know it; only the last op of a definition has no kind",
        );
    }
}
