//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! The testbed comes up while the checks that need no engine run. No test is skipped: what a test needs and does not
//! find is a failure that says what to do.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::command::{cargo, step, workspace};
use crate::disk;
use crate::helper;
use crate::testbed;

/// Runs formatting, lints, docs and all tests, on engines that it starts itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    /// Stops the testbed afterwards
    #[arg(long)]
    down: bool,
}

/// Packages that graph building must not need.
const NOT_IN_THE_CORE: [&str; 4] = ["tokio", "tonic", "hyper", "bollard"];

/// Where property tests begin: the same tree gets the same answer, whoever asks and how often. Other values look elsewhere.
const SEED: &str = "PROPTEST_RNG_SEED";

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    let workspace = workspace()?;
    disk::report_little(&workspace)?;
    everything(command).map_err(|error| disk::explain(error, &workspace))
}

fn everything(command: &Command) -> Result<ExitCode> {
    let testbed = std::thread::spawn(testbed::bring_up);
    let checked = helper::build(helper::NATIVE)
        .and_then(|_| checks())
        .and_then(|()| million());
    let up = testbed
        .join()
        .map_err(|_| anyhow!("the testbed panicked"))?;
    checked?;
    up.context("the testbed did not come up")?;
    let mut tests = cargo(["test", "--workspace", "--all-features", "--no-fail-fast"])?;
    if std::env::var_os(SEED).is_none() {
        tests.env(SEED, "1");
    }
    let tested = step("tests", &mut tests);
    if command.down || std::env::var_os("CI").is_some() {
        testbed::take_down()?;
    }
    tested?;
    Ok(ExitCode::SUCCESS)
}

/// A million ops go through everything, in little stack and in memory that is in proportion. Only optimized code is
/// fast enough for it.
fn million() -> Result<()> {
    let run = [
        "run",
        "--release",
        "--package",
        "llb-benches",
        "--no-default-features",
        "--bin",
        "million",
    ];
    step("a million ops", &mut cargo(run)?)
}

/// What needs no engine.
fn checks() -> Result<()> {
    step("formatting", &mut cargo(["fmt", "--all", "--check"])?)?;
    minimum_rust()?;
    thin_core()?;
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ];
    step("lints", &mut cargo(lints)?)?;
    let docs = ["doc", "--workspace", "--all-features", "--no-deps"];
    step("docs", cargo(docs)?.env("RUSTDOCFLAGS", "--deny warnings"))?;
    // The core alone, as most users get it.
    step(
        "core without features",
        &mut cargo(["check", "--package", "llb", "--no-default-features"])?,
    )
}

/// Every dependency builds with the Rust version that the workspace states; clippy's `incompatible_msrv` checks the
/// workspace's own code.
fn minimum_rust() -> Result<()> {
    let output = cargo(["metadata", "--format-version", "1", "--all-features"])?.output()?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let version = |package: &Value| package["rust_version"].as_str().map(parse_version);
    let ours = packages
        .iter()
        .find(|package| package["name"] == "llb")
        .and_then(version)
        .context("llb states no rust-version")?;
    let newer: Vec<String> = packages
        .iter()
        .filter(|package| version(package).is_some_and(|needed| needed > ours))
        .map(|package| {
            format!(
                "{} {} needs {}",
                package["name"], package["version"], package["rust_version"]
            )
        })
        .collect();
    if !newer.is_empty() {
        bail!(
            "the workspace states an older Rust than its dependencies need: {}",
            newer.join(", ")
        );
    }
    Ok(())
}

/// Graph building needs no runtime and no network.
fn thin_core() -> Result<()> {
    let tree = [
        "tree",
        "--package",
        "llb",
        "--no-default-features",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ];
    let output = cargo(tree)?.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if !output.status.success() || names.is_empty() {
        bail!(
            "cargo tree failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for name in NOT_IN_THE_CORE {
        if names.contains(&name) {
            bail!("llb without features depends on {name}");
        }
    }
    Ok(())
}

fn parse_version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    parts.resize(3, 0);
    parts
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(parse_version("1.100") > parse_version("1.89.2"));
        assert_eq!(parse_version("1.89"), parse_version("1.89.0"));
    }
}
