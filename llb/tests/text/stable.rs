//! A change of one op is a change of few lines.

use llb::prelude::*;

/// The lines that one text has and the other has not.
fn changed(before: &State, after: &State) -> Vec<String> {
    let (before, after) = (before.to_text(), after.to_text());
    let only = |mark: &str, of: &str, other: &str| -> Vec<String> {
        let missing = of
            .lines()
            .filter(|line| !other.lines().any(|other| other == *line));
        missing.map(|line| format!("{mark} {line}")).collect()
    };
    [only("-", &before, &after), only("+", &after, &before)].concat()
}

fn app(command: &str, wrap: fn(State) -> State) -> State {
    let base = image("debian:bookworm");
    let tools = base.fork(|state| wrap(state.run(sh("apt-get update && apt-get install -y git"))));
    let python = base.fork(|state| state.run(sh(command)));
    let config = base.fork(|state| state.mkfile("/etc/app.conf", 0o644, "a = 1\n"));
    let merged = base.merge([tools, python, config]);
    (0..5).fold(merged, |state, step| {
        state.run(sh(format!("make step-{step}")))
    })
}

#[test]
fn a_changed_command_is_one_line() {
    let before = app("pip install torch==2.1", |state| state);
    let after = app("pip install torch==2.2", |state| state);
    assert_eq!(
        changed(&before, &after),
        [
            "- %pip-install-torch = exec \"/bin/sh\" \"-c\" \"pip install torch==2.1\" cwd=/ {",
            "+ %pip-install-torch = exec \"/bin/sh\" \"-c\" \"pip install torch==2.2\" cwd=/ {",
        ]
    );
}

#[test]
fn another_op_renames_only_what_is_called_after_it() {
    let before = app("true", |state| state);
    let after = app("true", |state| state.run(sh("make early")));
    assert_eq!(
        changed(&before, &after),
        [
            "- %diff-apt-get-install-git = diff %debian -> %apt-get-install-git",
            "- %merge-debian = merge %debian, %diff-apt-get-install-git, %diff-true, %diff-mkfile-app.conf",
            "+ %make-early = exec \"/bin/sh\" \"-c\" \"make early\" cwd=/ {",
            "+   / = %apt-get-install-git -> out0",
            "+ %diff-make-early = diff %debian -> %make-early",
            "+ %merge-debian = merge %debian, %diff-make-early, %diff-true, %diff-mkfile-app.conf",
        ]
    );
}

#[test]
fn an_op_like_the_others_at_the_end_renames_none() {
    let base = image("alpine").run(sh("make")).run(sh("make"));
    let text = base.run(sh("make")).to_text();
    assert!(text.contains("%make-3 = "));
    assert!(text.starts_with(base.to_text().trim_end_matches("return %make-2\n")));
}

#[test]
fn texts_of_several_lines_are_shown_line_by_line() {
    let state = image("alpine").mkfile("/a.py", 0o644, "def a():\n    return 1\n");
    assert_eq!(
        state.to_text(),
        r#"
platform linux/amd64
%alpine = source "docker-image://docker.io/library/alpine:latest"
%mkfile-a.py = file {
  on %alpine
  mkfile "/a.py" 0644 "def a():\n\
      \    return 1\n"
}
return %mkfile-a.py
"#
        .trim_start()
    );
}

#[test]
fn long_data_is_shown_by_size_and_digest_but_in_full() {
    let data = "x".repeat(3000);
    let state = scratch().mkfile("/x", 0o644, data.clone());
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let text = definition.to_text();
    assert!(text.contains(r#"mkfile "/x" 0644 omitted="3000 bytes, sha256:"#));
    assert!(definition.to_full_text().contains(&data));
    let error = Definition::from_text(&text).unwrap_err().to_string();
    assert!(
        error.contains("the data of this file is left out"),
        "{error}"
    );
}
