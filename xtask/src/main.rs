//! Tasks of the workspace: `cargo xtask <task>`.

#[cfg(feature = "codegen")]
mod codegen;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

#[expect(clippy::print_stderr, reason = "the error of a command line tool")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("codegen") => codegen_task(&arguments[1..]),
        _ => bail!("usage: cargo xtask codegen [--check]"),
    }
}

/// Runs the code generator, in a build of this program that has it.
///
/// The protobuf compiler is a feature because it doubles the build time of every other task.
fn codegen_task(arguments: &[String]) -> Result<()> {
    #[cfg(feature = "codegen")]
    {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask is not inside the workspace")?;
        codegen::run(
            workspace,
            arguments.iter().any(|argument| argument == "--check"),
        )
    }
    #[cfg(not(feature = "codegen"))]
    {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let status =
            std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .args(["run", "--quiet", "--features", "codegen", "--manifest-path"])
                .arg(manifest)
                .args(["--", "codegen"])
                .args(arguments)
                .status()
                .context("cannot start cargo")?;
        if !status.success() {
            bail!("codegen failed");
        }
        Ok(())
    }
}
