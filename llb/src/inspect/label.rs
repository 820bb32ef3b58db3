//! What an op is, in a line without line breaks.

use crate::proto::pb;

/// Labels are cut after so many characters.
const LONGEST: usize = 80;

/// The kind of an op and the gist of what it does.
pub(super) fn label(op: &pb::Op) -> String {
    use pb::file_action::Action;

    let label = match &op.op {
        None => "unknown".to_owned(),
        Some(pb::op::Op::Source(source)) => format!("source {}", source.identifier),
        Some(pb::op::Op::Exec(exec)) => {
            let args = exec.meta.as_ref().map_or(&[][..], |meta| &meta.args);
            format!("exec {}", args.join(" "))
        }
        Some(pb::op::Op::File(file)) => {
            let actions = file.actions.iter().map(|action| match &action.action {
                Some(Action::Copy(copy)) => format!("copy {} => {}", copy.src, copy.dest),
                Some(Action::Mkfile(mkfile)) => format!("mkfile {}", mkfile.path),
                Some(Action::Mkdir(mkdir)) => format!("mkdir {}", mkdir.path),
                Some(Action::Rm(rm)) => format!("rm {}", rm.path),
                Some(Action::Symlink(symlink)) => {
                    format!("symlink {} => {}", symlink.newpath, symlink.oldpath)
                }
                None => "unknown".to_owned(),
            });
            // Nobody reads more in a line.
            format!("file {}", actions.take(8).collect::<Vec<_>>().join("; "))
        }
        Some(pb::op::Op::Build(_)) => "build".to_owned(),
        Some(pb::op::Op::Merge(_)) => "merge".to_owned(),
        Some(pb::op::Op::Diff(_)) => "diff".to_owned(),
        Some(pb::op::Op::Passthrough(passthrough)) => format!("passthrough {}", passthrough.id),
    };
    shorten(&label)
}

/// The text in one line, with what does not print made visible, cut if it is long.
fn shorten(text: &str) -> String {
    let mut short = String::new();
    for (count, character) in text.trim_end().chars().enumerate() {
        if count == LONGEST {
            short.push('…');
            break;
        }
        match character {
            '\n' => short.push('⏎'),
            '\t' | '\r' => short.push(' '),
            hidden if super::is_hidden(hidden) => short.push('·'),
            other => short.push(other),
        }
    }
    short
}

/// What each input of an op is to it: the target of a mount, a side of a diff. As many as there are inputs; the first
/// of several uses.
pub(super) fn roles(op: &pb::Op) -> Vec<String> {
    let mut roles = vec![String::new(); op.inputs.len()];
    let mut give = |input: i64, role: &str| {
        let role_of_input = usize::try_from(input)
            .ok()
            .and_then(|input| roles.get_mut(input));
        if let Some(known) = role_of_input
            && known.is_empty()
        {
            *known = shorten(role);
        }
    };
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => {
            for mount in &exec.mounts {
                give(mount.input, &mount.dest);
            }
        }
        Some(pb::op::Op::File(file)) => {
            for action in &file.actions {
                give(action.input, "base");
                give(action.secondary_input, "copied");
            }
        }
        Some(pb::op::Op::Diff(diff)) => {
            give(diff.lower.map_or(-1, |lower| lower.input), "lower");
            give(diff.upper.map_or(-1, |upper| upper.input), "upper");
        }
        Some(pb::op::Op::Merge(merge)) => {
            for (number, input) in merge.inputs.iter().enumerate() {
                give(input.input, &format!("layer {number}"));
            }
        }
        _ => {}
    }
    roles
}

/// The input that an op goes on with, rather than read beside it: the root of an exec, the base of file actions, the
/// bottom of a merge, the upper of a diff.
pub(crate) fn main_input(op: &pb::Op) -> Option<usize> {
    let input = match &op.op {
        Some(pb::op::Op::Exec(exec)) => exec
            .mounts
            .iter()
            .find(|mount| mount.dest == "/")
            .map(|mount| mount.input),
        Some(pb::op::Op::File(file)) => file.actions.last().and_then(|_| {
            let count = i64::try_from(op.inputs.len()).unwrap_or(i64::MAX);
            let bases = file.actions.iter().map(|action| action.input);
            bases.filter(|input| (0..count).contains(input)).last()
        }),
        Some(pb::op::Op::Diff(diff)) => diff.upper.map(|upper| upper.input),
        Some(pb::op::Op::Merge(merge)) => merge.inputs.first().map(|input| input.input),
        _ => Some(0),
    };
    let input = input.and_then(|input| usize::try_from(input).ok());
    input.filter(|input| *input < op.inputs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_one_line_of_visible_characters() {
        assert_eq!(shorten("a\nb\u{202e}c\u{7}"), "a⏎b·c·");
        assert_eq!(shorten(&"é".repeat(200)).chars().count(), LONGEST + 1);
    }
}
