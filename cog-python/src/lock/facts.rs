//! What is known of the interpreter that packages are installed for.

use pep508_rs::MarkerEnvironment;
use serde::{Deserialize, Serialize};

use crate::wheel::{Target, TargetError};

/// An interpreter, as the step that makes a lock describes it (JSON), or as it is assumed from a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Version, such as `3.12.4`.
    pub python: String,
    /// What Python calls the machine: `x86_64`.
    pub machine: String,
    /// Version of glibc.
    pub glibc: String,
    /// Packages that the environment sees without installing them, with their versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installed: Vec<(String, String)>,
}

/// Why facts are none.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// Not JSON, or not of the form of facts.
    #[error("what is known of the interpreter is not understood: {0}")]
    Form(#[from] serde_json::Error),
    /// No interpreter that wheels are chosen for.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The version is none.
    #[error("Python `{0}` is not understood: expected a version such as 3.12.4")]
    Python(String),
}

impl Facts {
    /// Reads facts.
    pub fn from_json(text: &str) -> Result<Self, FactsError> {
        Ok(serde_json::from_str(text)?)
    }

    /// What wheels must fit.
    pub fn target(&self) -> Result<Target, FactsError> {
        Ok(Target::new(&self.python, &self.machine, &self.glibc)?)
    }

    /// What markers are evaluated in.
    pub fn environment(&self) -> Result<MarkerEnvironment, FactsError> {
        crate::requirement::environment(&self.python, &self.machine)
            .ok_or_else(|| FactsError::Python(self.python.clone()))
    }
}
