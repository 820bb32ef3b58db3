//! Two mounts on one target.

use std::collections::BTreeSet;

use super::{Check, Report, Rule, Severity, Subject};

pub(super) const RULE: Rule = Rule {
    code: "duplicate-target",
    severity: Severity::Warning,
    page: include_str!("duplicate_target.md"),
    check: Check::Op(check),
};

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    let Some(exec) = subject.exec() else { return };
    let mut known = BTreeSet::new();
    for mount in &exec.mounts {
        let target = match mount.dest.trim_end_matches('/') {
            "" => "/",
            target => target,
        };
        if !known.insert(target) {
            report.find(
                subject.position,
                format!("two mounts are on {target:?}, and the later one hides the other"),
                "take one of them away, or mount it elsewhere",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn two_mounts_on_one_target_are_found() {
        let text = "\
%a = local \"a\"
%b = exec \"x\" cwd=/ {
  / = %a -> out0
  /cache = cache \"one\"
  /cache/ = cache \"two\"
  /cache/more = cache \"three\"
}
return %b
";
        assert_eq!(
            found("duplicate-target", text),
            ["%x: two mounts are on \"/cache\", and the later one hides the other"]
        );
    }
}
