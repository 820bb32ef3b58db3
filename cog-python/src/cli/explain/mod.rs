//! `explain`: what a build would run again, compared with another state of the project, and why.

mod files;
mod record;
mod surroundings;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use llb::inspect::{ChangeKind, Changes};
use serde_json::{Value, json};

use super::args::{ExplainCommand, PlanArgs};
use super::{Failure, print, project};
use crate::plan::{ImageConfig, Plan};
pub(super) use record::Record;
pub(super) use surroundings::Surroundings;

/// Runs the command.
pub(super) fn explain(command: &ExplainCommand) -> Result<(), Failure> {
    let project = project::load(&command.plan)?;
    let (before, what) = match &command.against {
        None => (Record::read(&project.root)?, "the last build".to_owned()),
        Some(against) => (
            named(against, &command.plan, &project.root)?,
            against.clone(),
        ),
    };
    let mut after = Record::of_project(&project)?;
    after.seen = match command.against {
        None => Surroundings::now(&project, &before.seen, command)?,
        // What was around another state is not known.
        Some(_) => Surroundings::default(),
    };
    let comparison = Comparison::new(&before, &after)?;
    if command.json {
        print(&(comparison.to_json().to_string() + "\n"))
    } else {
        print(&comparison.to_text(&what))
    }
}

/// Another state of the project: a folder, a plan, or a commit of git.
fn named(against: &str, args: &PlanArgs, root: &Path) -> Result<Record, Failure> {
    let path = Path::new(against);
    if path.is_file() {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("cannot read `{against}`: {error}")))?;
        let plan = Plan::from_json(&text)
            .map_err(|error| Failure::new(format!("`{against}`: {error}")))?;
        // A plan does not say what the files of its project are.
        return Record::of_plan(&plan);
    }
    if path.is_dir() {
        return of_folder(path, args);
    }
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
    check_out(against, root, folder.path())?;
    of_folder(folder.path(), args)
}

fn of_folder(folder: &Path, args: &PlanArgs) -> Result<Record, Failure> {
    let name = args.file.as_ref().and_then(|file| file.file_name());
    let file = folder.join(name.unwrap_or("cog.yaml".as_ref()));
    let args = PlanArgs {
        file: Some(file),
        ..args.clone()
    };
    Record::of_project(&project::load(&args)?)
}

/// Writes the files of a commit, as far as they lie in the project, into a folder.
fn check_out(commit: &str, root: &Path, folder: &Path) -> Result<(), Failure> {
    let unknown = |detail: &str| {
        Failure::new(format!(
            "`{commit}` is neither a folder, nor a plan, nor a commit of git"
        ))
        .detail(detail)
    };
    // A name that begins like an option would be read as one.
    if commit.starts_with('-') {
        return Err(unknown(""));
    }
    let started =
        |error: std::io::Error| Failure::new(format!("cannot start git and tar: {error}"));
    let mut archive = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["archive", "--format=tar", commit, "."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(started)?;
    let Some(stream) = archive.stdout.take() else {
        return Err(Failure::new("git gives no archive"));
    };
    tar::Archive::new(stream)
        .unpack(folder)
        .map_err(|error| Failure::new(format!("cannot unpack `{commit}`: {error}")))?;
    let output = archive.wait_with_output().map_err(started)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(unknown(&String::from_utf8_lossy(&output.stderr)))
    }
}

/// What is different between two states of a project.
struct Comparison {
    changes: Changes,
    /// What was decided, what is decided now, and why.
    decisions: Vec<[String; 4]>,
    /// What a container of the image takes over.
    config: Vec<String>,
    /// Whether files of the project were compared.
    has_files: bool,
    /// What is different around the project, one line each.
    surroundings: Vec<String>,
}

impl Comparison {
    fn new(before: &Record, after: &Record) -> Result<Self, Failure> {
        let (then, now) = (before.as_seen_from(after), &after.planned);
        let base = |plan: &Plan| plan.base().map(|base| plan.pinned(base).into_owned());
        let same_base = base(&then.plan) == base(&now.plan);
        let (old, new) = match before.seen.compared(&after.seen, same_base) {
            Some([before, after]) => (then.within(&before)?, now.within(&after)?),
            None => (then.definition()?, now.definition()?),
        };
        let locals = files::locals(&new)?;
        let has_files = before.files.is_some() && after.files.is_some();
        let changes = new.changes_since_with(&old, |name| {
            let (before, after) = (before.files.as_ref()?, after.files.as_ref()?);
            let (_, local) = locals.iter().find(|(known, _)| known == name)?;
            let different = after.differences(before, local);
            (!different.is_empty()).then_some(different)
        });
        Ok(Self {
            changes,
            decisions: decisions(&then.plan, &now.plan),
            config: config(&then.plan.config, &now.plan.config),
            has_files,
            surroundings: before.seen.differences(&after.seen, same_base),
        })
    }

    fn to_text(&self, what: &str) -> String {
        let mut text = format!("Compared with {what}: ");
        if self.changes.is_empty() {
            let _ = writeln!(
                text,
                "nothing runs again, {} steps are the same",
                self.changes.same()
            );
        } else {
            text += &self.changes.to_string();
        }
        for line in &self.surroundings {
            let _ = writeln!(text, "\n{line}");
        }
        for [subject, before, after, reason] in &self.decisions {
            let _ = writeln!(text, "\n{subject}: {before} -> {after}\n  because {reason}");
        }
        if !self.config.is_empty() {
            text += "\nThe image is configured differently; no step runs again for that\n";
            for line in &self.config {
                let _ = writeln!(text, "  {line}");
            }
        }
        if !self.has_files {
            text += "\nA plan does not tell the files of its project, so they were not compared\n";
        }
        text
    }

    fn to_json(&self) -> Value {
        let kind = |kind: ChangeKind| match kind {
            ChangeKind::Changed => "changed",
            ChangeKind::Touched => "files",
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            _ => "follows",
        };
        let causes = self.changes.causes().map(|cause| {
            let follow = self.changes.following(&cause.name);
            let follow = follow
                .map(|change| json!({"step": change.name, "if_files_differ": change.by_content}));
            json!({
                "step": cause.name,
                "kind": kind(cause.kind),
                "place": cause.place,
                "before": cause.before,
                "after": cause.after,
                "runs_again": follow.collect::<Vec<_>>(),
            })
        });
        let decisions = self.decisions.iter().map(|[subject, before, after, reason]| {
            json!({"subject": subject, "before": before, "after": after, "reason": reason})
        });
        json!({
            "causes": causes.collect::<Vec<_>>(),
            "same": self.changes.same(),
            "decisions": decisions.collect::<Vec<_>>(),
            "config": self.config,
            "files_compared": self.has_files,
            "surroundings": self.surroundings,
        })
    }
}

/// Decisions that came out differently.
fn decisions(before: &Plan, after: &Plan) -> Vec<[String; 4]> {
    let changed = after.decisions.iter().filter_map(|now| {
        let same = |then: &&crate::plan::Decision| then.subject == now.subject;
        let then = before.decisions.iter().find(same)?;
        (then.choice != now.choice).then(|| {
            [
                now.subject.clone(),
                then.choice.clone(),
                now.choice.clone(),
                now.reason.clone(),
            ]
        })
    });
    changed.collect()
}

/// Parts of an image configuration that differ, without values: those of labels are documents.
fn config(before: &ImageConfig, after: &ImageConfig) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, before, after) in [
        ("variable", &before.environment, &after.environment),
        ("label", &before.labels, &after.labels),
    ] {
        for (name, value) in after {
            match before.get(name) {
                None => lines.push(format!("new {what} {name}")),
                Some(known) if known != value => lines.push(format!("other {what} {name}")),
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        lines.extend(gone.map(|name| format!("no {what} {name}")));
    }
    let rest = |config: &ImageConfig| {
        json!([
            config.path,
            config.entrypoint,
            config.command,
            config.working_directory,
            config.exposed_ports
        ])
    };
    if rest(before) != rest(after) {
        lines.push("other program, folders or ports".to_owned());
    }
    lines
}

/// Where the record of the last build is, in a project.
fn record_path(root: &Path) -> PathBuf {
    root.join(".cog/cog-python/last-build.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(environment: &[(&str, &str)]) -> ImageConfig {
        let environment = environment.iter();
        ImageConfig {
            environment: environment
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            path: Vec::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            working_directory: "/src".into(),
            exposed_ports: Vec::new(),
            labels: indexmap::IndexMap::new(),
        }
    }

    #[test]
    fn values_of_variables_are_not_told() {
        let before = configured(&[("TOKEN", "old"), ("GONE", "1")]);
        let after = configured(&[("TOKEN", "secret"), ("NEW", "1")]);
        assert_eq!(
            config(&before, &after),
            [
                "other variable TOKEN",
                "new variable NEW",
                "no variable GONE"
            ]
        );
    }
}
