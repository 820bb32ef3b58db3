//! Projects for tests: the example on the disk, and small ones in memory.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cog_python::{Options, Plan, Report, Source, config};

/// Files of a project by their path.
pub type Files = BTreeMap<String, String>;

/// A project in memory; the first file is the configuration.
pub fn files(files: &[(&str, &str)]) -> Files {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// The folder of the example.
pub fn example_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello")
}

/// Files of the example.
pub fn example_files() -> Files {
    let read = |name: &str| {
        (
            name.to_owned(),
            fs::read_to_string(example_folder().join(name)).unwrap(),
        )
    };
    ["cog.yaml", "requirements.txt", "run.py", ".dockerignore"]
        .into_iter()
        .map(read)
        .collect()
}

/// Reads `cog.yaml` of a project.
pub fn read(files: &Files) -> (Option<config::Config>, Report) {
    config::read(
        &Source::new("cog.yaml", files["cog.yaml"].clone()),
        files,
        None,
    )
}

/// Plans a project that has no mistakes.
pub fn plan_of(files: &Files, options: &Options) -> Plan {
    let (config, report) = read(files);
    let options = Options {
        ignore: files.get(".dockerignore").cloned(),
        ..options.clone()
    };
    let (plan, report) = Plan::new(&config.unwrap_or_else(|| panic!("{report}")), &options);
    plan.unwrap_or_else(|| panic!("{report}"))
}

/// The plan of the example.
pub fn example() -> Plan {
    plan_of(&example_files(), &Options::default())
}
