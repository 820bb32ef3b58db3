//! Ops that the result does not need.

use super::{Check, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "unused-op",
    severity: Severity::Warning,
    page: include_str!("unused_op.md"),
    check: Check::Graph(check),
};

fn check(report: &mut Report<'_>) {
    let graph = report.graph;
    let mut is_used = vec![false; graph.ops.len()];
    let mut waiting: Vec<usize> = graph.head.iter().map(|(head, _)| *head).collect();
    while let Some(position) = waiting.pop() {
        if !std::mem::replace(&mut is_used[position], true) {
            waiting.extend(graph.reads(position).map(|(read, _)| read));
        }
    }
    for position in (0..is_used.len()).filter(|position| !is_used[*position]) {
        report.find(
            position,
            "the result does not need it, so it never runs",
            "take it away, or let the result read it",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn ops_beside_the_result_are_found() {
        let text = "\
%a = local \"a\"
%b = local \"b\"
%c = merge %b, %b
%d = merge %a, %a
return %c
";
        assert_eq!(
            found("unused-op", text),
            [
                "%a: the result does not need it, so it never runs",
                "%merge-a: the result does not need it, so it never runs",
            ]
        );
    }
}
