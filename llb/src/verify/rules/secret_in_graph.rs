//! Values that look like secrets. No finding shows one.

use super::{Check, Report, Rule, Severity, Subject};
use crate::proto::pb::file_action::Action;

pub(super) const RULE: Rule = Rule {
    code: "secret-in-graph",
    severity: Severity::Warning,
    page: include_str!("secret_in_graph.md"),
    check: Check::Op(check),
};

const HINT: &str =
    "mount a secret, as a file or as a variable; its content is in no graph, cache or image";

/// Words that end the names of variables with secrets.
const NAMES: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "CREDENTIALS",
];

/// How tokens of well-known services begin, and the least number of characters after that.
const PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("hf_", 30),
    ("r8_", 30),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("sk-", 32),
    ("pypi-", 40),
    ("npm_", 30),
    ("dckr_pat_", 20),
    ("AKIA", 16),
    ("AIza", 30),
    ("-----BEGIN ", 10),
];

/// A heading such as `BEGIN OPENSSH PRIVATE KEY` is no longer.
const LONGEST_HEADING: usize = 64;

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    let position = subject.position;
    if let Some(meta) = subject.exec().and_then(|exec| exec.meta.as_ref()) {
        for entry in &meta.env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            if names_secret(name) && is_literal(value) || has_token(value) {
                report.find(
                    position,
                    format!("the variable {name} looks like a secret"),
                    HINT,
                );
            }
        }
        for (number, argument) in meta.args.iter().enumerate() {
            if has_token(argument) || has_assignment(argument) || has_login(argument) {
                report.find(
                    position,
                    format!("argument {number} looks as if there is a secret in it"),
                    HINT,
                );
            }
        }
    }
    let actions = subject.file().map_or(&[][..], |file| &file.actions);
    for action in actions {
        let Some(Action::Mkfile(mkfile)) = &action.action else {
            continue;
        };
        if std::str::from_utf8(&mkfile.data).is_ok_and(has_token) {
            let path = &mkfile.path;
            report.find(
                position,
                format!("the file {path:?} looks as if there is a secret in it"),
                HINT,
            );
        }
    }
    if let Some(source) = subject.source() {
        let mut values = std::iter::once(&source.identifier).chain(source.attrs.values());
        if values.any(|value| has_login(value) || has_token(value)) {
            report.find(position, "the source has a password or token in it", HINT);
        }
    }
}

/// Whether a variable of that name is likely a secret. `TOKEN_FILE` and `SECRET_NAME` say where one is.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    NAMES.iter().any(|end| {
        name.strip_suffix(end)
            .is_some_and(|start| start.is_empty() || start.ends_with('_') || end.contains('_'))
    })
}

/// Whether a value stands for itself: not empty, no variable, no path to a file, no switch.
fn is_literal(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    let is_switch = matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "none" | "null" | "0" | "1"
    );
    !value.is_empty() && !value.starts_with(['$', '/', '<', '%', '*']) && !is_switch
}

/// `PASSWORD=value` among the words of a script.
fn has_assignment(script: &str) -> bool {
    script.split_whitespace().any(|word| {
        let word = word.trim_start_matches('-');
        word.split_once('=').is_some_and(|(name, value)| {
            let name = name.replace('-', "_");
            names_secret(&name) && is_literal(value)
        })
    })
}

fn has_token(text: &str) -> bool {
    // Tokens begin where words do.
    let mut before = b' ';
    text.bytes().enumerate().any(|(start, byte)| {
        let begins = !before.is_ascii_alphanumeric();
        before = byte;
        begins && begins_token(&text.as_bytes()[start..])
    })
}

fn begins_token(text: &[u8]) -> bool {
    PREFIXES.iter().any(|(prefix, length)| {
        let Some(rest) = text.strip_prefix(prefix.as_bytes()) else {
            return false;
        };
        let run = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"_- ".contains(byte))
            .take(*length);
        if prefix.starts_with('-') {
            let heading = &rest[..rest.len().min(LONGEST_HEADING)];
            return run.count() == *length && contains(heading, b"PRIVATE KEY-----");
        }
        run.filter(|byte| **byte != b' ').count() == *length
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// `https://user:password@host`
fn has_login(text: &str) -> bool {
    text.match_indices("://").any(|(start, _)| {
        let rest = &text[start + 3..];
        let end = rest.find(|character: char| character == '/' || character.is_whitespace());
        let authority = &rest[..end.unwrap_or(rest.len())];
        authority.rsplit_once('@').is_some_and(|(login, _)| {
            login
                .split_once(':')
                .is_some_and(|(_, password)| is_literal(password))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "PASSWORD",
            "DB_PASSWORD",
            "github_token",
            "AWS_SECRET_ACCESS_KEY",
            "MY_API_KEY",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in [
            "PASSWORD_FILE",
            "TOKENIZER",
            "SECRET_NAME",
            "PATH",
            "MONKEY",
            "NOTOKEN",
        ] {
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn what_stands_for_a_secret_is_none() {
        for script in [
            "curl -H \"Authorization: $TOKEN\"",
            "TOKEN=$(cat /run/secrets/token) make",
            "TOKEN=$OTHER make",
            "git clone https://github.com/moby/buildkit.git",
            "git clone https://user:$PASSWORD@example.com/x",
            "apk add sk-tools ghp_",
            "PASSWORD= make",
        ] {
            assert!(
                !has_token(script) && !has_assignment(script) && !has_login(script),
                "{script}"
            );
        }
    }

    #[test]
    fn secrets_are_found_and_not_shown() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let text = format!(
            "\
%a = source \"git://example.com/x\" git.fullurl=\"https://me:{token}@example.com/x\"
%b = exec \"sh\" \"-c\" \"PASSWORD=hunter2 make\" cwd=/ {{
  env TOKEN=\"hunter3\"
  env LANG=\"C\"
  / = %a -> out0
}}
%c = file {{
  on %b
  mkfile \"/key\" 0600 \"-----BEGIN RSA PRIVATE KEY-----\\nhunter4\\n\"
}}
return %c
"
        );
        let found = found("secret-in-graph", &text);
        assert_eq!(
            found,
            [
                "%x: the source has a password or token in it",
                "%make: the variable TOKEN looks like a secret",
                "%make: argument 2 looks as if there is a secret in it",
                "%mkfile-key: the file \"/key\" looks as if there is a secret in it",
            ]
        );
    }
}
