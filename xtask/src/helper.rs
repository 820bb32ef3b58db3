//! `cargo xtask helper`: the static program that builds carry along, `llb-helper`.
//!
//! The same sources and the same Rust give the same bytes, in whatever folder they are built: paths of the machine are
//! taken out, and nothing of the environment goes in.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, step, workspace};

/// Builds the helper that applies the differences of merges on engines without them.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    /// The platform it is for, such as `linux/arm64`; several may be given
    #[arg(long = "platform", value_name = "PLATFORM", default_value = NATIVE)]
    platforms: Vec<String>,
}

/// The platform that the C runtime of any development machine can be linked for.
pub(crate) const NATIVE: &str = "linux/amd64";

/// Platforms, with the targets that make a static program for them, the best first.
const TARGETS: &[(&str, &[&str])] = &[
    (
        "linux/amd64",
        &["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"],
    ),
    (
        "linux/arm64",
        &["aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"],
    ),
    ("linux/riscv64", &["riscv64gc-unknown-linux-gnu"]),
    ("linux/ppc64le", &["powerpc64le-unknown-linux-gnu"]),
    ("linux/s390x", &["s390x-unknown-linux-gnu"]),
];

#[expect(
    clippy::print_stdout,
    reason = "the files are the answer of the command"
)]
pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    for platform in &command.platforms {
        let program = build(platform)?;
        let size = std::fs::metadata(&program)?.len();
        println!("{} ({size} bytes)", program.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the helper for a platform; gives the file.
pub(crate) fn build(platform: &str) -> Result<PathBuf> {
    let target = target_of(platform)?;
    let root = workspace()?;
    let folder = root.join("target/helper");
    let mut command = cargo(["build", "--package", "llb-helper", "--profile", "helper"])?;
    command
        .arg("--locked")
        .args(["--target", target])
        .arg("--target-dir")
        .arg(folder.join("build"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags(&root)?);
    step(&format!("helper for {platform}"), &mut command)?;
    let built = folder.join("build").join(target).join("helper/llb-helper");
    let program = folder.join(format!("llb-helper-{}", platform.replace('/', "-")));
    std::fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(program)
}

/// The target to build for: the first one that is installed.
fn target_of(platform: &str) -> Result<&'static str> {
    let Some((_, targets)) = TARGETS.iter().find(|(known, _)| *known == platform) else {
        let known: Vec<_> = TARGETS.iter().map(|(platform, _)| *platform).collect();
        bail!(
            "the helper cannot be built for {platform}; known are: {}",
            known.join(", ")
        );
    };
    for target in *targets {
        if is_installed(target)? {
            return Ok(target);
        }
    }
    bail!(
        "the helper for {platform} needs one of the Rust targets {}, none of which is installed; try `rustup target add {}`",
        targets.join(", "),
        targets[0]
    )
}

fn is_installed(target: &str) -> Result<bool> {
    let output = Process::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .context("cannot start rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}

/// No dynamic loader, and no path of this machine.
fn flags(root: &Path) -> Result<String> {
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let sysroot = Process::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .context("cannot start rustc")?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    Ok([
        "-C target-feature=+crt-static".to_owned(),
        "-C relocation-model=static".to_owned(),
        "-C link-arg=-Wl,--build-id=none".to_owned(),
        format!("--remap-path-prefix={}=/llb", root.display()),
        format!("--remap-path-prefix={}=/cargo", home.display()),
        format!("--remap-path-prefix={sysroot}=/rust"),
    ]
    .join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_that_cannot_be_built_for_is_refused_with_the_way_out() {
        let error = target_of("windows/amd64").unwrap_err().to_string();
        assert!(error.contains("known are: linux/amd64"), "{error}");
        assert!(
            target_of(NATIVE)
                .unwrap()
                .starts_with("x86_64-unknown-linux")
        );
        for (platform, targets) in TARGETS {
            if let Err(error) = target_of(platform) {
                let advice = format!("rustup target add {}", targets[0]);
                assert!(error.to_string().contains(&advice), "{error}");
            }
        }
    }
}
