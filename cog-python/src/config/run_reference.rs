//! `run: run.py:Runner`: the file and the name in it that the runtime loads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Python file of the project and the class or function in it that predicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RunReference {
    file: String,
    name: String,
}

impl RunReference {
    /// Path of the file relative to the project, with `/` separators.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Name of the class or function.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RunReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.name)
    }
}

/// Why a text is not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunReferenceError {
    /// Not `file.py:Name`.
    #[error("must have the form `run.py:Runner`: a Python file, a colon and a class or function")]
    Form,
    /// Absolute, or leaves the project.
    #[error("must name a file inside the project, as a path relative to it")]
    Outside,
}

impl FromStr for RunReference {
    type Err = RunReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, name) = text.split_once(':').ok_or(RunReferenceError::Form)?;
        let name_ok = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let stem = file.strip_suffix(".py").unwrap_or_default();
        if !name_ok || stem.is_empty() || stem.ends_with('/') {
            return Err(RunReferenceError::Form);
        }
        let file = file.strip_prefix("./").unwrap_or(file);
        if file.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(RunReferenceError::Outside);
        }
        Ok(Self {
            file: file.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl From<RunReference> for String {
    fn from(reference: RunReference) -> Self {
        reference.to_string()
    }
}

impl TryFrom<String> for RunReference {
    type Error = RunReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_names_are_split() {
        let reference: RunReference = "./src/run.py:Runner".parse().unwrap();
        assert_eq!(
            (reference.file(), reference.name()),
            ("src/run.py", "Runner")
        );
        assert_eq!(reference.to_string(), "src/run.py:Runner");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "run.py",
            "run:Runner",
            ".py:Runner",
            "run.py:",
            "run.py:A:B",
            "run.py:a b",
            "d/.py:X",
        ] {
            assert_eq!(
                text.parse::<RunReference>(),
                Err(RunReferenceError::Form),
                "{text}"
            );
        }
        for text in [
            "/run.py:Runner",
            "../run.py:Runner",
            "a//b.py:X",
            "a/../b.py:X",
        ] {
            assert_eq!(
                text.parse::<RunReference>(),
                Err(RunReferenceError::Outside),
                "{text}"
            );
        }
    }
}
