//! Why a command failed, for the person at the terminal.

use std::fmt;

/// A failure: what happened, what there is to see about it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
    place: Option<String>,
    detail: Vec<String>,
    hint: Option<String>,
    reported: bool,
    exit_code: u8,
}

impl Failure {
    /// A failure with a lowercase sentence without a full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            detail: Vec::new(),
            hint: None,
            reported: false,
            exit_code: 1,
        }
    }

    /// A failure whose whole text is made elsewhere, such as a report of findings.
    pub(crate) fn report(text: impl Into<String>) -> Self {
        Self {
            reported: true,
            ..Self::new(text)
        }
    }

    /// The user or the system asked the program to end.
    pub(crate) fn interrupted() -> Self {
        Self {
            exit_code: 130,
            ..Self::new("interrupted")
        }
    }

    /// A command of the user failed, which has said why itself.
    pub(crate) fn silent(exit_code: u8) -> Self {
        Self {
            exit_code,
            ..Self::report("")
        }
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_silent(&self) -> bool {
        self.reported && self.message.is_empty()
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit_code: 2,
            ..Self::new(message)
        }
    }

    /// Names the first line of the project that the failure is about.
    #[must_use = "returns the failure with the place"]
    pub(crate) fn place(mut self, file: &str, line: usize, excerpt: Option<&str>) -> Self {
        let shown = excerpt.map(|text| {
            let text = crate::diagnostic::without_secrets(text);
            let (text, _) = crate::diagnostic::cut(&text, 0);
            format!("\n   |\n{line:2} | {text}")
        });
        let place = format!("  --> {file}:{line}{}", shown.unwrap_or_default());
        self.place.get_or_insert(place);
        self
    }

    /// Exit code of the program.
    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// Adds lines to see, such as a log. Blank texts add nothing.
    #[must_use = "returns the failure with the lines"]
    pub fn detail(mut self, text: &str) -> Self {
        self.detail
            .extend(text.trim_end().lines().map(str::to_owned));
        self
    }

    /// Adds the next step.
    #[must_use = "returns the failure with the hint"]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reported {
            return formatter.write_str(&self.message);
        }
        write!(formatter, "error: {}", self.message)?;
        if let Some(place) = &self.place {
            write!(formatter, "\n{place}")?;
        }
        for line in &self.detail {
            write!(formatter, "\n  | {line}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\n = hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<crate::ca::CaError> for Failure {
    fn from(error: crate::ca::CaError) -> Self {
        Self::new(error.to_string())
    }
}
