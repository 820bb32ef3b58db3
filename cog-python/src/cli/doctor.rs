//! `doctor`: what would keep a model from being built here, or from running here.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::Command;

use serde_json::{Value, json};

use super::args::{DoctorCommand, PlanArgs};
use super::project::{self, Disk, Examined};
use super::{Failure, build, print, runtime};
use crate::diagnostic::{Diagnostic, Severity, Topic};
use crate::doctor::{self, Changed, Changes, Look, Surroundings};
use crate::files::ProjectFiles;
use crate::resolution::kernels;
use crate::sdk::SdkVersion;
use crate::tables::{Architecture, Tables};

/// One check, and what it found.
struct Check {
    name: &'static str,
    /// What there is to say about it on its line.
    summary: String,
    findings: Vec<Finding>,
}

/// What a check found.
struct Finding {
    severity: Severity,
    text: String,
    json: Value,
}

impl From<&Diagnostic> for Finding {
    fn from(found: &Diagnostic) -> Self {
        let place = found.place();
        Self {
            severity: found.severity(),
            text: found.to_string(),
            json: json!({
                "severity": found.severity().to_string(),
                "message": found.message(),
                "file": place.map(|place| place.file.as_str()),
                "line": place.map(|place| place.span.line),
                "column": place.map(|place| place.span.column),
                "hint": found.advice(),
            }),
        }
    }
}

impl From<Failure> for Finding {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        Self {
            severity: Severity::Error,
            json: json!({"severity": "error", "message": text}),
            text,
        }
    }
}

impl Check {
    fn new(name: &'static str, summary: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self {
            name,
            summary: summary.into(),
            findings,
        }
    }

    fn state(&self) -> &'static str {
        let severities = self.findings.iter().map(|finding| finding.severity);
        match severities.min() {
            None => "ok",
            Some(Severity::Warning) => "warns",
            Some(Severity::Error) => "fails",
        }
    }

    fn line(&self) -> String {
        let separator = if self.summary.is_empty() { "" } else { ": " };
        format!(
            "{:<5} {}{separator}{}\n",
            self.state(),
            self.name,
            self.summary
        )
    }

    fn json(&self) -> Value {
        let findings: Vec<&Value> = self.findings.iter().map(|finding| &finding.json).collect();
        json!({"check": self.name, "state": self.state(), "summary": self.summary, "findings": findings})
    }
}

/// Checks the project, the GPUs of this machine and the builder; `--fix` changes what it can before. Every check is made.
pub(crate) fn doctor(command: &DoctorCommand) -> Result<(), Failure> {
    let written = if command.fix {
        fix(&command.plan)?
    } else {
        Changes::new()
    };
    let mut checks = Vec::new();
    match project::examine(&command.plan, &Changes::new()) {
        Ok(examined) => {
            of_configuration(&examined, &mut checks);
            of_code(&examined, command.fix, &mut checks);
            gpu(&examined, &mut checks);
            python(&examined, &mut checks);
        }
        Err(failure) => checks.push(Check::new("config", "", vec![failure.into()])),
    }
    checks.push(match builder(command.builder.addr.as_deref()) {
        Ok(line) => Check::new("builder", line, Vec::new()),
        Err(failure) => Check::new("builder", "", vec![failure.into()]),
    });
    tell(&checks, &written, command.json)
}

/// Prints what was done and found; an error is the result.
fn tell(checks: &[Check], written: &Changes, as_json: bool) -> Result<(), Failure> {
    let fails = checks.iter().any(|check| check.state() == "fails");
    if as_json {
        let paths = |is: fn(&Option<String>) -> bool| -> Vec<&String> {
            let files = written.iter().filter(|(_, text)| is(text));
            files.map(|(path, _)| path).collect()
        };
        let checks: Vec<Value> = checks.iter().map(Check::json).collect();
        let report = json!({
            "checks": checks,
            "written": paths(Option::is_some),
            "removed": paths(Option::is_none),
        });
        print(&format!("{report}\n"))?;
        return if fails {
            Err(Failure::silent(1))
        } else {
            Ok(())
        };
    }
    let mut report = String::new();
    for (path, text) in written {
        let word = if text.is_some() { "wrote" } else { "removed" };
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{word} {path}");
    }
    report.extend(checks.iter().map(Check::line));
    print(&report)?;
    let mut findings: Vec<&Finding> = checks.iter().flat_map(|check| &check.findings).collect();
    // Errors come last, where the eye of a terminal user is.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let texts: Vec<&str> = findings
        .iter()
        .map(|finding| finding.text.as_str())
        .collect();
    let texts = texts.join("\n\n");
    if fails {
        return Err(Failure::report(texts));
    }
    if !texts.is_empty() {
        // Nothing is left to tell a person whose terminal is gone.
        let _ = writeln!(io::stderr().lock(), "{texts}");
    }
    Ok(())
}

fn of_configuration(examined: &Examined, checks: &mut Vec<Check>) {
    let sorted = examined.report.sorted();
    let about = |topic: Topic| -> Vec<Finding> {
        let findings = sorted.iter().filter(|finding| finding.topic() == topic);
        findings.map(|finding| Finding::from(*finding)).collect()
    };
    for (name, topic, fine) in [
        (
            "config",
            Topic::Configuration,
            "cog.yaml and requirements are understood",
        ),
        ("deprecated", Topic::Deprecated, "no key has a successor"),
        (
            "reference",
            Topic::Reference,
            "what `run` and `train` name is there",
        ),
        (
            "signature",
            Topic::Signature,
            "inputs and outputs have types",
        ),
    ] {
        let findings = about(topic);
        let summary = if findings.is_empty() { fine } else { "" };
        checks.push(Check::new(name, summary, findings));
    }
}

/// What each check of the code finds in a project.
fn looks(examined: &Examined, files: &dyn ProjectFiles) -> [(&'static str, &'static str, Look); 3] {
    let config = examined.config.as_ref();
    let run = config.and_then(|config| config.run.as_ref());
    let train = config.and_then(|config| config.train.as_ref());
    let mut paths: Vec<String> = run
        .into_iter()
        .chain(train)
        .map(|reference| reference.value.file().to_owned())
        .collect();
    paths.sort();
    paths.dedup();
    let configured = config.and_then(|config| config.build.sdk_version.as_ref());
    let sdk = examined
        .sdk
        .clone()
        .or(configured.map(|sdk| sdk.value.clone()));
    let sdk = sdk.unwrap_or_else(SdkVersion::default_release);
    // Releases that can be asked for their schema have the names that later ones left out.
    let imports = if sdk.tells_schema() {
        Look::default()
    } else {
        doctor::imports(&paths, files)
    };
    let migration = doctor::migration(&Surroundings {
        config: &examined.file,
        reference: run.map(|run| &run.value),
        has_new_names: sdk.is_current(),
        files,
        scripts: &|| {
            Disk {
                root: &examined.root,
            }
            .scripts()
        },
    });
    [
        (
            "imports",
            "nothing is imported that Cog no longer has",
            imports,
        ),
        (
            "pydantic",
            "outputs are models of Cog",
            doctor::pydantic(&paths, files),
        ),
        ("migration", "the code has no old names", migration),
    ]
}

fn of_code(examined: &Examined, is_fixed: bool, checks: &mut Vec<Check>) {
    let disk = Disk {
        root: &examined.root,
    };
    for (name, fine, look) in looks(examined, &disk) {
        let mut findings: Vec<Finding> = look.findings.iter().map(Finding::from).collect();
        let summary = match (&look.unsure, findings.is_empty()) {
            (_, true) => fine,
            (Some(reason), false) => {
                let left =
                    Diagnostic::of(Severity::Warning, format!("`--fix` leaves it: {reason}"));
                findings.push(Finding::from(&left));
                ""
            }
            (None, false) if is_fixed => "",
            (None, false) => "`doctor --fix` changes it",
        };
        checks.push(Check::new(name, summary, findings));
    }
}

/// Changes what can be changed for certain; what was written, by path.
fn fix(args: &PlanArgs) -> Result<Changes, Failure> {
    // What cannot be read is told by the checks.
    let Ok(before) = project::examine(args, &Changes::new()) else {
        return Ok(Changes::new());
    };
    let disk = Disk { root: &before.root };
    let mut changes = Changes::new();
    // One change may be of a text that another has made; a file that was moved is the last.
    for index in 0..3 {
        let files = Changed {
            files: &disk,
            changes: &changes,
        };
        let [.., (_, _, look)] = &looks(&before, &files)[..=index] else {
            continue;
        };
        changes.extend(look.changes.clone());
    }
    if changes.is_empty() {
        return Ok(changes);
    }
    let after = project::examine(args, &changes)?;
    let known = before.report.errors();
    let is_new =
        |error: &&&Diagnostic| !known.iter().any(|known| known.message() == error.message());
    if let Some(error) = after.report.errors().iter().find(is_new) {
        return Err(Failure::new(
            "nothing was changed, because the changed project would have a mistake",
        )
        .detail(&error.to_string()));
    }
    let read = changes
        .keys()
        .map(|path| (path.clone(), disk.read(path).ok()))
        .collect();
    doctor::write(&before.root, &changes, &read)
        .map_err(|reason| Failure::new(format!("nothing was changed: {reason}")))?;
    Ok(changes)
}

/// Whether torch has kernels for every GPU of this machine; a machine without any says nothing.
fn gpu(examined: &Examined, checks: &mut Vec<Check>) {
    let Some(project) = &examined.project else {
        return;
    };
    let Some((version, cuda)) = &project.torch else {
        return;
    };
    let fine = |summary: String| Check::new("gpu", summary, Vec::new());
    if is_set("COG_SKIP_GPU_CHECK") {
        checks.push(fine(
            "not looked at, because COG_SKIP_GPU_CHECK is set".into(),
        ));
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
        checks.push(fine("this machine has none to compare with".into()));
        return;
    }
    let tables = project.tables.as_deref().unwrap_or(Tables::built_in());
    let missing = kernels(tables, version, cuda.as_ref(), &architectures);
    if missing.is_empty() {
        let list: Vec<String> = architectures.iter().map(ToString::to_string).collect();
        checks.push(fine(format!(
            "torch {version} has kernels for {}",
            list.join(", ")
        )));
        return;
    }
    let failures = missing
        .into_iter()
        .map(|missing| Failure::new(missing.message).hint(missing.hint).into());
    checks.push(Check::new("gpu", "", failures.collect()));
}

/// Whether Python on this machine is that of the image, which matters where code runs outside of it.
fn python(examined: &Examined, checks: &mut Vec<Check>) {
    let Some(config) = &examined.config else {
        return;
    };
    let wanted = config.build.python_version.value.line();
    let found = ["python3", "python"].iter().find_map(|program| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.trim().strip_prefix("Python ")?;
        let mut parts = version.split('.');
        Some(format!("{}.{}", parts.next()?, parts.next()?))
    });
    let (summary, finding) = match found {
        Some(found) if found == wanted => (format!("{found}, here and in the image"), None),
        Some(found) => {
            let message = format!("Python is {found} on this machine, and {wanted} in the image");
            (String::new(), Some(message))
        }
        None => (
            String::new(),
            Some(format!(
                "there is no Python on this machine; the image has {wanted}"
            )),
        ),
    };
    let findings = finding.map(|message| {
        let finding = Diagnostic::of(Severity::Warning, message)
            .hint("builds do not use it; it matters to what you run outside of the image");
        Finding::from(&finding)
    });
    checks.push(Check::new(
        "python",
        summary,
        findings.into_iter().collect(),
    ));
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn builder(address: Option<&str>) -> Result<String, Failure> {
    if is_set("COG_SKIP_DOCKER_CHECK") {
        return Ok("not looked at, because COG_SKIP_DOCKER_CHECK is set".to_owned());
    }
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
