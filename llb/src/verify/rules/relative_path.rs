//! Paths that are relative to nothing.

use super::{Check, Report, Rule, Severity, Subject};
use crate::proto::pb;
use crate::proto::pb::file_action::Action;

pub(super) const RULE: Rule = Rule {
    code: "relative-path",
    severity: Severity::Warning,
    page: include_str!("relative_path.md"),
    check: Check::Op(check),
};

const HINT: &str = "give the whole path, or set a directory before";

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    if let Some(exec) = subject.exec() {
        let cwd = exec.meta.as_ref().map_or("", |meta| &*meta.cwd);
        if !cwd.is_empty() && !is_absolute(cwd) {
            report.find(
                subject.position,
                format!("the working directory {cwd:?} is relative"),
                HINT,
            );
        }
        for mount in &exec.mounts {
            if !is_absolute(&mount.dest) {
                report.find(
                    subject.position,
                    format!("the target {:?} of a mount is relative", mount.dest),
                    HINT,
                );
            }
        }
    }
    let actions = subject.file().map_or(&[][..], |file| &file.actions);
    for path in actions.iter().flat_map(paths) {
        if !is_absolute(path) {
            report.find(
                subject.position,
                format!("the path {path:?} is relative"),
                HINT,
            );
        }
    }
}

/// The paths that an action works on. What a symbolic link says may well be relative.
fn paths(action: &pb::FileAction) -> Vec<&str> {
    match &action.action {
        Some(Action::Copy(copy)) => vec![&copy.src, &copy.dest],
        Some(Action::Mkfile(mkfile)) => vec![&mkfile.path],
        Some(Action::Mkdir(mkdir)) => vec![&mkdir.path],
        Some(Action::Rm(rm)) => vec![&rm.path],
        Some(Action::Symlink(symlink)) => vec![&symlink.newpath],
        None => Vec::new(),
    }
}

/// On Linux, or with a drive on Windows.
fn is_absolute(path: &str) -> bool {
    let is_drive =
        path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    path.starts_with(['/', '\\']) || is_drive
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn relative_paths_are_found_but_not_in_links() {
        let text = "\
%a = file {
  mkdir \"here\" 0755
  symlink \"/a\" => \"../b\"
}
%b = exec \"x\" cwd=src {
  / = %a -> out0
  \"cache\" = cache \"id\"
  \"C:\\\\cache\" = cache \"other\"
}
return %b
";
        assert_eq!(
            found("relative-path", text),
            [
                "%mkdir-here: the path \"here\" is relative",
                "%x: the working directory \"src\" is relative",
                "%x: the target \"cache\" of a mount is relative",
            ]
        );
    }
}
