//! Ops that do not ask for the capabilities that they need.

use super::{Check, Report, Rule, Severity, Subject};
use crate::inspect::canonical;
use crate::value::Capability;

pub(super) const RULE: Rule = Rule {
    code: "missing-cap",
    severity: Severity::Error,
    page: include_str!("missing_cap.md"),
    check: Check::Op(check),
};

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    let needed = canonical::capabilities(subject.message);
    let op = &report.graph.ops[subject.position];
    let missing = needed.difference(op.definition_op.metadata().caps);
    if missing.is_empty() {
        return;
    }
    let names: Vec<_> = missing.iter().map(Capability::name).collect();
    report.find(
        subject.position,
        format!("it needs {}, but its metadata does not say so", names.join(", ")),
        "add the capability to the op's metadata; a daemon without it then refuses the build by its name",
    );
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn capabilities_that_are_not_asked_for_are_found() {
        let text = "\
%a = local \"a\" caps=[source.local, source.local.unique]
%b = local \"b\" caps=[source.local]
%c = merge %a, %b caps=[]
return %c
";
        assert_eq!(
            found("missing-cap", text),
            [
                "%b: it needs source.local.unique, but its metadata does not say so",
                "%merge-a: it needs mergeop, but its metadata does not say so",
            ]
        );
    }
}
