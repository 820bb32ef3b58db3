//! The project of a case.

use std::collections::BTreeMap;
use std::path::Path;

use cog_python::config::{self, Config};
use cog_python::files::{FileProblem, ProjectFiles};
use cog_python::resolution::{Options, Resolution, contradictions, resolve};
use cog_python::{Report, Source};
use serde_json::Value;

use super::Answer;

/// Files of a case. Code that `cog.yaml` names is there, since cases leave it out.
pub struct Project {
    pub files: BTreeMap<String, String>,
    pub config: String,
    pub name: String,
}

impl Project {
    pub fn of(input: &Value) -> Self {
        let files = input["files"].as_object().into_iter().flatten();
        Self {
            files: files
                .map(|(name, text)| (name.clone(), text.as_str().unwrap_or_default().to_owned()))
                .collect(),
            config: input["cog_yaml"].as_str().unwrap_or_default().to_owned(),
            name: input["config_filename"]
                .as_str()
                .unwrap_or("cog.yaml")
                .to_owned(),
        }
    }

    /// The answer about a project that is refused when it is read.
    pub fn refused(report: &Report) -> Answer {
        let text = report.to_string();
        let mut answer = Answer::refused(&text);
        if text.contains("`target` must be the absolute path") {
            answer.differs_because(
                &[],
                "B25: a secret without an absolute path is mounted who knows where",
            );
        }
        for (words, why) in [
            ("unknown key `", "B3: a key that is not known is a mistake"),
            (
                "`build.python_version` is required",
                "B1: a build without a Python version has no base image",
            ),
            (
                "`sdk_version` must be",
                "a version that cannot be is refused when it is read",
            ),
            (
                "is no requirement: ",
                "a line that pip does not accept is refused when it is read",
            ),
            (
                "nor a folder with a pyproject.toml",
                "B17: what a requirement names in the project is installed, so it must be there",
            ),
            (
                "` does not exist",
                "B17: what a requirement names in the project is installed, so it must be there",
            ),
        ] {
            if text.contains(words) {
                answer.differs_because(&[], why);
            }
        }
        answer
    }

    /// The configuration, or all that is wrong with it.
    pub fn read(&self) -> (Option<Config>, Report) {
        let source = Source::new(self.name.clone(), self.config.clone());
        let (config, mut report) = config::draft(&source, self, None);
        let config = config.filter(|config| {
            if report.has_errors() {
                report.extend(contradictions(config, &Options::default()));
            }
            !report.has_errors()
        });
        (config, report)
    }
}

impl ProjectFiles for Project {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        self.files.read(path.trim_start_matches("./"))
    }

    fn check_file(&self, path: &str) -> Result<(), FileProblem> {
        let is_code = Path::new(path).extension().is_some_and(|end| end == "py");
        if is_code && !path.ends_with("setup.py") {
            return Ok(());
        }
        self.files.check_file(path)
    }
}

/// A resolution, or everything that was found.
pub fn resolution(config: &Config, options: &Options) -> Result<(Resolution, Report), Report> {
    match resolve(config, options) {
        (Some(resolution), report) => Ok((resolution, report)),
        (None, report) => Err(report),
    }
}
