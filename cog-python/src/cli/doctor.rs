//! `doctor`: what would keep a model from being built here, or from running here.

use std::fmt::Write;
use std::process::Command;

use super::args::DoctorCommand;
use super::{Failure, build, print, project, runtime};
use crate::resolution::kernels;
use crate::tables::{Architecture, Release, Tables};

/// Checks the project, the GPUs of this machine and the builder. Every check is made; the first failure is the result.
pub(crate) fn doctor(command: &DoctorCommand) -> Result<(), Failure> {
    let project = project::load(&command.plan);
    let mut report = String::new();
    let mut problems = Vec::new();
    match &project {
        Ok(project) => {
            report
                .push_str("ok    project: cog.yaml, requirements and signatures are understood\n");
            gpu(project.torch.as_ref(), &mut report, &mut problems);
        }
        Err(_) => report.push_str("fails project\n"),
    }
    match builder(command.builder.addr.as_deref()) {
        Ok(line) => {
            // Writing to a string cannot fail.
            let _ = writeln!(report, "ok    builder: {line}");
        }
        Err(failure) => {
            report.push_str("fails builder\n");
            problems.push(failure);
        }
    }
    print(&report)?;
    project?;
    problems.into_iter().next().map_or(Ok(()), Err)
}

/// Whether torch has kernels for every GPU of this machine; a machine without any says nothing.
fn gpu(
    torch: Option<&(String, Option<Release>)>,
    report: &mut String,
    problems: &mut Vec<Failure>,
) {
    let Some((version, cuda)) = torch else { return };
    let skipped = std::env::var_os("COG_SKIP_GPU_CHECK").is_some_and(|value| !value.is_empty());
    if skipped {
        report.push_str("ok    gpu: not looked at, because COG_SKIP_GPU_CHECK is set\n");
        return;
    }
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=compute_cap", "--format=csv,noheader"])
        .output();
    let architectures = match output {
        Ok(output) if output.status.success() => {
            Architecture::of_smi(&String::from_utf8_lossy(&output.stdout))
        }
        _ => Vec::new(),
    };
    if architectures.is_empty() {
        report.push_str("ok    gpu: this machine has none to compare with\n");
        return;
    }
    let missing = kernels(Tables::built_in(), version, cuda.as_ref(), &architectures);
    if missing.is_empty() {
        let _ = writeln!(
            report,
            "ok    gpu: torch {version} has kernels for {}",
            list(&architectures)
        );
    }
    for missing in missing {
        report.push_str("fails gpu\n");
        problems.push(Failure::new(missing.message).hint(missing.hint));
    }
}

fn list(architectures: &[Architecture]) -> String {
    architectures
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn builder(address: Option<&str>) -> Result<String, Failure> {
    let engine = std::env::var("DOCKER_HOST").ok();
    runtime()?.block_on(async {
        let client = build::connect(address, engine.as_deref()).await?;
        let capabilities = client.capabilities().await.map_err(|error| {
            Failure::new(format!("the builder does not say what it can do: {error}"))
        })?;
        Ok(if capabilities.has_merge() {
            "merges trees without copying them".to_owned()
        } else {
            "has no merge operation: trees are copied, and the files are the same".to_owned()
        })
    })
}
