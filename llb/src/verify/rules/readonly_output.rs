//! Read-only mounts with a result.

use super::{Check, Report, Rule, Severity, Subject};

pub(super) const RULE: Rule = Rule {
    code: "readonly-output",
    severity: Severity::Error,
    page: include_str!("readonly_output.md"),
    check: Check::Op(check),
};

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    let Some(exec) = subject.exec() else { return };
    for mount in &exec.mounts {
        if mount.readonly && mount.output >= 0 {
            report.find(
                subject.position,
                format!(
                    "the mount on {:?} is read-only, but has output {}",
                    mount.dest, mount.output
                ),
                "make it writable, or read what is mounted instead of its output",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn outputs_of_readonly_mounts_are_found() {
        let text = "\
%a = local \"a\"
%b = exec \"x\" cwd=/ {
  / = %a -> out0
  /in = %a readonly -> out1
  /other = %a readonly
}
return %b.out1
";
        assert_eq!(
            found("readonly-output", text),
            ["%x: the mount on \"/in\" is read-only, but has output 1"]
        );
    }
}
