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

use cog_python::layer::{Base, Circumstances, Joining, graph};
use cog_python::lock::{Facts, Lock, LockedFile, LockedPackage};
use cog_python::plan::Measured;
use cog_python::{Options, Plan, Report, Source, config};
use llb::State;
use llb::lower::Helper;
use tempfile::TempDir;

/// Files of a project by their path.
pub type Files = BTreeMap<String, String>;

/// A project in memory; the first file is the configuration.
pub fn files(files: &[(&str, &str)]) -> Files {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// A project on the disk.
pub fn project(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("project-").unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Runs the program in a folder; gives its exit code and what it wrote.
#[cfg(feature = "cli")]
pub fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cog-python"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
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

/// An engine that is lent a helper, which nothing runs here.
pub fn around(joining: Joining) -> Circumstances {
    let helper = Helper::from_bytes(Helper::example_bytes()).unwrap();
    Circumstances {
        joining,
        helper: Some(helper),
        ..Circumstances::default()
    }
}

/// As [`around`], on a base.
pub fn on(base: &Base, joining: Joining) -> Circumstances {
    Circumstances {
        base: base.clone(),
        ..around(joining)
    }
}

/// A plan with the wheels of a lock: one for each package that its requirements name, of a size that its name says.
pub fn locked(plan: &Plan) -> Plan {
    let Some((_, lock)) = plan.lock() else {
        return plan.clone();
    };
    let named = lock.requirements.iter().filter_map(|line| {
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
        let (name, rest) = line.split_at(end.unwrap_or(line.len()));
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let version = rest.split_once("==").map_or("1", |(_, version)| {
            let end = version.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
            &version[..end.unwrap_or(version.len())]
        });
        let name = name.to_lowercase().replace(['_', '.'], "-");
        starts_well.then(|| (name, version.to_owned()))
    });
    let named: BTreeMap<String, String> = named.collect();
    let (_, install) = plan.wheels().unwrap();
    let packages = named.into_iter().map(|(name, version)| {
        let file = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
        let hash = install.hashes.get(&name).map(|hashes| hashes[0].clone());
        let wheel = LockedFile {
            url: Some(format!("https://files.example.com/{file}")),
            size: Some(name.len() as u64 * 200_000),
            sha256: Some(hash.unwrap_or_else(|| "0".repeat(64))),
            name: file,
            path: None,
        };
        LockedPackage {
            name,
            version: Some(version),
            wheels: vec![wheel],
            ..LockedPackage::default()
        }
    });
    let lock = Lock {
        packages: packages.collect(),
        ..Lock::default()
    };
    plan.with_lock(&lock, &facts(), &Measured::default(), &[])
        .unwrap()
}

/// An interpreter.
pub fn facts() -> Facts {
    Facts {
        python: "3.11.7".into(),
        machine: "x86_64".into(),
        glibc: "2.36".into(),
        installed: Vec::new(),
    }
}

/// The graph of a plan whose lock is [`locked`].
pub fn image_on(plan: &Plan, base: &Base, joining: Joining) -> State {
    graph(&locked(plan), &on(base, joining)).unwrap()
}

/// As [`image_on`], of a base of which nothing is known.
pub fn image(plan: &Plan) -> State {
    image_on(plan, &Base::default(), Joining::Merge)
}

/// The helper that `cargo xtask helper` has built, or that `LLB_HELPER` names.
pub fn helper() -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let built = || {
        let file = format!("../target/helper/llb-helper-linux-{architecture}");
        Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
    };
    let path = std::env::var_os("LLB_HELPER").map_or_else(built, PathBuf::from);
    let hint = "run `cargo xtask helper`, or set LLB_HELPER to a helper";
    assert!(path.is_file(), "there is no {}: {hint}", path.display());
    path
}
