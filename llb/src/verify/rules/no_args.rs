//! Execs that cannot run.

use super::{Check, Report, Rule, Severity, Subject};

pub(super) const RULE: Rule = Rule {
    code: "no-args",
    severity: Severity::Error,
    page: include_str!("no_args.md"),
    check: Check::Op(check),
};

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    let Some(exec) = subject.exec() else { return };
    let meta = exec.meta.as_ref();
    let has_args = meta.is_some_and(|meta| !meta.args.is_empty());
    let has_cwd = meta.is_some_and(|meta| !meta.cwd.is_empty());
    let has_root = exec.mounts.iter().any(|mount| mount.dest == "/");
    for (is_there, what, hint) in [
        (has_args, "arguments", "say what to run"),
        (
            has_cwd,
            "working directory",
            "say where to run it; `/` is usual",
        ),
        (has_root, "mount on `/`", "say what file system it runs in"),
    ] {
        if !is_there {
            report.find(subject.position, format!("the exec has no {what}"), hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn execs_that_cannot_run_are_found() {
        let text = "%a = exec cwd=\"\" {\n/out = scratch -> out0\n}\nreturn %a";
        assert_eq!(
            found("no-args", text),
            [
                "%exec: the exec has no arguments",
                "%exec: the exec has no working directory",
                "%exec: the exec has no mount on `/`",
            ]
        );
    }
}
