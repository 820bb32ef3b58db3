//! Ops that are none.

use super::{Check, Report, Rule, Severity, Subject};

pub(super) const RULE: Rule = Rule {
    code: "unknown-op",
    severity: Severity::Error,
    page: include_str!("unknown_op.md"),
    check: Check::Op(check),
};

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    if subject.message.op.is_none() {
        report.find(
            subject.position,
            "it is no op, or of a kind that is not known here",
            "a newer version may know it; only the last op of a definition has no kind",
        );
    }
}
