//! What a rule found.

use std::fmt;
use std::sync::Arc;

use crate::definition::OpDigest;

/// Something in a graph that a rule found.
///
/// It prints as `warning[moving-tag] %debian: reason`, with the place in a source file if the op has one, and a line
/// that begins with `hint:`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) op: String,
    pub(super) digest: OpDigest,
    /// Many findings are in one file, whose name may be long.
    pub(super) place: Option<(Arc<str>, i32)>,
    pub(super) reason: String,
    pub(super) hint: String,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// It works, but likely not as meant.
    Warning,
    /// BuildKit refuses the graph, or does something else than it says.
    Error,
}

impl Finding {
    /// The code of the rule; it stays the same when wording changes.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The op it is about, by its name in the text form.
    pub fn op(&self) -> &str {
        &self.op
    }

    /// The digest of that op.
    pub fn digest(&self) -> OpDigest {
        self.digest
    }

    /// The file and line (from 1) that the op comes from, if the definition says so.
    pub fn place(&self) -> Option<(&str, i32)> {
        self.place.as_ref().map(|(file, line)| (&**file, *line))
    }

    /// What was found, and what is wrong with it.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The nearest way out.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            code,
            op,
            reason,
            hint,
            ..
        } = self;
        write!(formatter, "{severity}[{code}] {op}")?;
        if let Some((file, line)) = &self.place {
            write!(formatter, " ({file}:{line})")?;
        }
        write!(formatter, ": {reason}\n  hint: {hint}")
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
