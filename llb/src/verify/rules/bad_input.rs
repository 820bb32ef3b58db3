//! Parts of ops that read inputs that are not there.

use super::{Check, Report, Rule, Severity, Subject};
use crate::inspect::canonical::{Part, mentions};

pub(super) const RULE: Rule = Rule {
    code: "bad-input",
    severity: Severity::Error,
    page: include_str!("bad_input.md"),
    check: Check::Op(check),
};

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    let count = i64::try_from(subject.message.inputs.len()).unwrap_or(i64::MAX);
    for (part, input, may_be_scratch) in mentions(subject.message) {
        let is_input = (0..count).contains(&input);
        // An action can read those before it.
        let actions = match part {
            Part::Action(number) => number,
            _ => 0,
        };
        let is_action = (count..count.saturating_add(actions)).contains(&input);
        let is_scratch = may_be_scratch && input == -1;
        if !(is_input || is_action || is_scratch) {
            report.find(
                subject.position,
                format!("{part} reads input {input}, but the op has {count} inputs"),
                "inputs are counted from 0, -1 is scratch, and actions can read those before them",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn inputs_that_are_not_there_are_found() {
        let text = "\
%a = local \"a\"
%b = file inputs=[%a] {
  on @7
  mkdir \"/x\" 0755
  on #3
  mkdir \"/y\" 0755
}
%c = merge @-1, %b
return %c
";
        assert_eq!(
            found("bad-input", text),
            [
                "%mkdir-x: action 0 reads input 7, but the op has 1 inputs",
                "%mkdir-x: action 1 reads input 4, but the op has 1 inputs",
                "%merge: layer 0 reads input -1, but the op has 1 inputs",
            ]
        );
    }

    #[test]
    fn earlier_actions_and_scratch_are_fine() {
        let text = "\
%a = local \"a\"
%b = file {
  mkdir \"/x\" 0755 no-output
  on scratch
  copy #0 \"/x\" => \"/y\"
  copy %a \"/\" => \"/z\"
}
return %b
";
        assert!(found("bad-input", text).is_empty());
    }
}
