//! The console transcripts of the page about the command line, run as they are written.
//!
//! A block of `console` has commands after `$ ` and what they print, results before messages; a line `...` stands for any
//! lines, and `[exit 2]` for an exit code that is not 0. Commands run one after the other in a copy of the example.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::example_folder;
use llb::value::shell;
use tempfile::TempDir;

/// A command and what it must print.
struct Case {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn cases(page: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut is_inside = false;
    for (index, line) in page.lines().enumerate() {
        match line {
            "```console" => is_inside = true,
            "```" => is_inside = false,
            _ if !is_inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => cases.push(Case {
                    line: index + 1,
                    command: command.to_owned(),
                    expected: Vec::new(),
                }),
                None => cases.last_mut().unwrap().expected.push(line.to_owned()),
            },
        }
    }
    cases
}

fn run(folder: &Path, command: &str) -> Vec<String> {
    let words = shell::split(command).unwrap();
    assert_eq!(words[0], "cog-python");
    let output = Command::new(env!("CARGO_BIN_EXE_cog-python"))
        .args(&words[1..])
        .current_dir(folder)
        .env_clear()
        .env("GIT_DIR", "none")
        .output()
        .unwrap();
    let mut lines: Vec<String> = [output.stdout, output.stderr]
        .iter()
        .flat_map(|bytes| {
            String::from_utf8_lossy(bytes)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    if !output.status.success() {
        lines.push(format!("[exit {}]", output.status.code().unwrap()));
    }
    lines
}

/// Whether lines are those expected, where `...` stands for any.
fn is_as_expected(expected: &[String], lines: &[String]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=lines.len()).any(|skipped| is_as_expected(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| line.trim_end() == first && is_as_expected(rest, lines)),
    }
}

#[test]
fn the_page_about_the_command_line_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cog-python-cli.md");
    let cases = cases(&fs::read_to_string(page).unwrap());
    assert!(cases.len() >= 10, "{}", cases.len());
    let folder = TempDir::with_prefix("cog-python-page-").unwrap();
    for file in fs::read_dir(example_folder()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let lines = run(folder.path(), &case.command);
            (!is_as_expected(&case.expected, &lines)).then(|| {
                format!(
                    "line {}: $ {}\n{}",
                    case.line,
                    case.command,
                    lines.join("\n")
                )
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn any_lines_may_be_left_out() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_as_expected(&lines("a\n...\nd"), &lines("a\nb\nc\nd")));
    assert!(is_as_expected(&lines("...\n"), &lines("")));
    assert!(!is_as_expected(&lines("a\n...\nd"), &lines("a\nb")));
    assert!(!is_as_expected(&lines("a"), &lines("a\nb")));
}
