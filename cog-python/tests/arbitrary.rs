//! Whatever a user writes is answered by findings, never by a panic, and the answer is the same
//! every time.

mod common;

use cog_python::layer::{Joining, graph, lock_of};
use cog_python::{Options, Plan};
use common::{Files, around, files, locked, read};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces of configurations, right and wrong ones.
const PIECES: &[&str] = &[
    "build:",
    "run:",
    "predict:",
    "image:",
    "environment:",
    "python_version:",
    "gpu:",
    "mounts:",
    "python_requirements:",
    "python_packages:",
    "system_packages:",
    "sdk_version:",
    "command:",
    "\n",
    "\n",
    "\n",
    "\n  ",
    "\n  ",
    "\n    ",
    "\n  - ",
    "\n    - ",
    " ",
    " ",
    "- ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "#",
    "|",
    ">",
    "&a",
    "*a",
    "!t",
    "<<:",
    "---",
    "...",
    "%",
    "\t",
    "~",
    "=",
    "\u{feff}",
    "é",
    "3.12",
    "3.10",
    "true",
    "git",
    "A=b",
    "run.py:Runner",
    "requirements.txt",
    "\\",
    "\u{0}",
    "secret",
];

/// Pieces of requirements files.
const LINES: &[&str] = &[
    "\n",
    "\n",
    "\\\n",
    " ",
    "#",
    "-r ",
    "-c ",
    "-e ",
    "--hash=",
    "requirements.txt",
    "six",
    "==1",
    "@",
    "://",
    "user:",
    "${A}",
    "${",
    "}",
    "[",
    "]",
    ";",
    "git+https://h/r",
    "./",
    "é",
    "\u{0}",
    "cog",
    "--index-url ",
];

fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

fn project(config: &str, requirements: &str) -> Files {
    files(&[
        ("cog.yaml", config),
        ("requirements.txt", requirements),
        ("run.py", ""),
    ])
}

proptest! {
    #[test]
    fn configurations_made_of_pieces_are_answered(config in text(PIECES)) {
        let project = project(&config, "six\n");
        let (first, report) = read(&project);
        prop_assert_eq!(first.is_none(), report.has_errors());
        prop_assert_eq!(report.to_string(), read(&project).1.to_string());
        if let Some(config) = first {
            let (Some(plan), _) = Plan::new(&config, &Options::default()) else { return Ok(()) };
            let lock = lock_of(&plan, &around(Joining::Merge));
            prop_assert!(lock.is_ok());
            prop_assert!(graph(&locked(&plan), &around(Joining::Merge)).is_ok());
        }
    }

    #[test]
    fn any_text_is_answered(config in any::<String>()) {
        let (config, report) = read(&project(&config, ""));
        prop_assert_eq!(config.is_none(), report.has_errors());
    }

    #[test]
    fn requirements_made_of_pieces_are_answered(requirements in text(LINES)) {
        let config = "build: {python_version: \"3.12\", python_requirements: requirements.txt}\n";
        let (config, report) = read(&project(config, &requirements));
        prop_assert_eq!(config.is_none(), report.has_errors());
        if let Some(config) = config {
            let (Some(plan), _) = Plan::new(&config, &Options::default()) else { return Ok(()) };
            let read = Plan::from_json(&plan.to_json()).expect("a plan reads what it wrote");
            prop_assert_eq!(read, plan);
        }
    }
}
