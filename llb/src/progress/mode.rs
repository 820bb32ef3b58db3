//! How progress is shown.

use std::fmt;
use std::str::FromStr;

/// How progress is shown, in buildctl's and buildx's words.
///
/// ```
/// use llb::progress::DisplayMode;
///
/// assert_eq!("tty".parse(), Ok(DisplayMode::Tty));
/// assert_eq!(DisplayMode::default(), DisplayMode::Auto);
/// let error = "fancy".parse::<DisplayMode>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "unknown progress `fancy`, expected one of: auto, tty, plain, rawjson, quiet"
/// );
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DisplayMode {
    /// [`Tty`](Self::Tty) if standard error is a terminal that can move its cursor, else [`Plain`](Self::Plain).
    #[default]
    Auto,
    /// Rows that are drawn again as they change. Where standard error is no terminal: [`Plain`](Self::Plain).
    Tty,
    /// Numbered lines, as they come: [`Plain`](super::Plain).
    Plain,
    /// One JSON object a line, for programs: [`RawJson`](super::RawJson).
    RawJson,
    /// Nothing.
    Quiet,
}

/// A name that is no [`DisplayMode`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownDisplayMode(String);

impl DisplayMode {
    /// All modes.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Tty,
        Self::Plain,
        Self::RawJson,
        Self::Quiet,
    ];

    /// The mode that `BUILDKIT_PROGRESS` names; [`Auto`](Self::Auto) if it is not set or empty.
    ///
    /// # Errors
    ///
    /// A name that is none of the modes.
    pub fn from_env() -> Result<Self, UnknownDisplayMode> {
        match std::env::var("BUILDKIT_PROGRESS") {
            Ok(name) if !name.is_empty() => name.parse(),
            _ => Ok(Self::Auto),
        }
    }

    /// The name of the mode.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tty => "tty",
            Self::Plain => "plain",
            Self::RawJson => "rawjson",
            Self::Quiet => "quiet",
        }
    }
}

impl FromStr for DisplayMode {
    type Err = UnknownDisplayMode;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        // buildx says `none` for what buildctl calls `quiet`.
        if name == "none" {
            return Ok(Self::Quiet);
        }
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == name);
        found.ok_or_else(|| UnknownDisplayMode(name.to_owned()))
    }
}

impl fmt::Display for DisplayMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Display for UnknownDisplayMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = DisplayMode::ALL.map(DisplayMode::as_str).join(", ");
        write!(
            formatter,
            "unknown progress `{}`, expected one of: {names}",
            self.0
        )
    }
}

impl std::error::Error for UnknownDisplayMode {}
