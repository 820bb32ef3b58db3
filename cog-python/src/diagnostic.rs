//! What a user's file has wrong, where, and what to do about it.
//!
//! Every reader in this crate collects [`Diagnostic`]s in a [`Report`] and goes on, so that a
//! user sees all mistakes at once. A diagnostic carries its place and the line of text it is
//! about; values that may be secrets are masked before they are stored here, never after.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build cannot go on.
    Error,
    /// The build goes on; the user should know.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// What a finding is about, for reports that are sorted by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topic {
    /// The configuration, the requirements and what is chosen for them.
    #[default]
    Configuration,
    /// A key that has a successor.
    Deprecated,
    /// A file, class or function that `run` or `train` names.
    Reference,
    /// What the signature of the model says.
    Signature,
}

/// A stretch of one line of a text. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Line, from 1.
    pub line: usize,
    /// Column of the first character, from 1.
    pub column: usize,
    /// Number of characters to underline; at least 1 when shown.
    pub length: usize,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value with its place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A named text that findings point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// A text under the name users know it by, such as a path relative to the project.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The name users know the text by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn line(&self, line: usize) -> Option<&str> {
        self.text.lines().nth(line.checked_sub(1)?)
    }

    /// An error at a place of this text.
    pub fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, span, message.into())
    }

    /// A warning at a place of this text.
    pub fn warning(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Warning, span, message.into())
    }

    fn diagnostic(&self, severity: Severity, span: Span, message: String) -> Diagnostic {
        Diagnostic(Box::new(Finding {
            severity,
            message,
            place: Some(Place {
                file: self.name.clone(),
                span,
            }),
            excerpt: self.line(span.line).map(without_secrets),
            hint: None,
            topic: Topic::default(),
        }))
    }
}

/// The line up to a value whose name sounds like a secret, whatever the line is about.
pub(crate) fn without_secrets(line: &str) -> String {
    for (index, mark) in line.match_indices(['=', ':']) {
        let name = line[..index].trim_end_matches([' ', '"', '\'']);
        let before = name.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if crate::config::sounds_secret(&name[before.len()..]) {
            return format!("{}{mark}***", &line[..index]);
        }
    }
    match line.find("://") {
        Some(index) if crate::requirement::has_credentials(line) => {
            format!("{}://***", &line[..index])
        }
        _ => line.to_owned(),
    }
}

/// A line as it is shown, and where in it a place is: of a long line only what is around the place.
pub(crate) fn cut(line: &str, place: usize) -> (String, usize) {
    /// The longest line that is shown whole, and what is shown of others, in characters.
    const WHOLE: usize = 240;
    const BEFORE: usize = 60;
    const AFTER: usize = 120;
    let line = line.trim_end();
    let width = line.chars().count();
    let place = place.min(width);
    if width <= WHOLE {
        return (line.to_owned(), place);
    }
    let start = place.saturating_sub(BEFORE);
    let end = width.min(place + AFTER);
    let left = if start > 0 { "…" } else { "" };
    let right = if end < width { "…" } else { "" };
    let middle: String = line.chars().skip(start).take(end - start).collect();
    let shift = left.chars().count();
    (format!("{left}{middle}{right}"), place - start + shift)
}

/// A place in a named text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the text, usually a path relative to the project.
    pub file: String,
    /// Where in it.
    pub span: Span,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic(Box<Finding>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    severity: Severity,
    message: String,
    place: Option<Place>,
    excerpt: Option<String>,
    hint: Option<String>,
    topic: Topic,
}

impl Diagnostic {
    /// An error about something that has no line, such as a command line flag or a missing file.
    pub fn without_place(message: impl Into<String>) -> Self {
        Self::of(Severity::Error, message)
    }

    /// A finding about something that has no line.
    pub fn of(severity: Severity, message: impl Into<String>) -> Self {
        Self(Box::new(Finding {
            severity,
            message: message.into(),
            place: None,
            excerpt: None,
            hint: None,
            topic: Topic::default(),
        }))
    }

    /// Adds the next step for the user.
    #[must_use = "returns the finding with the hint"]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Masks everything after the first `mark` on the shown line: what follows may be a secret.
    #[must_use = "returns the finding with the masked line"]
    pub fn masked_after(mut self, mark: char) -> Self {
        if let Some(excerpt) = &mut self.0.excerpt
            && let Some(position) = excerpt.find(mark)
        {
            excerpt.truncate(position + mark.len_utf8());
            excerpt.push_str("***");
        }
        self
    }

    /// Leaves the line out altogether: it may hold a secret anywhere.
    #[must_use = "returns the finding without the line"]
    pub fn without_excerpt(mut self) -> Self {
        self.0.excerpt = None;
        self
    }

    /// Says what it is about.
    #[must_use = "returns the finding with the topic"]
    pub fn about(mut self, topic: Topic) -> Self {
        self.0.topic = topic;
        self
    }

    /// What it is about.
    pub fn topic(&self) -> Topic {
        self.0.topic
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    /// What is wrong, one lowercase sentence without a full stop.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where it is wrong.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.severity, self.0.message)?;
        let mut gutter = 1;
        if let Some(Place { file, span }) = &self.0.place {
            let number = span.line.to_string();
            gutter = number.len();
            write!(
                formatter,
                "\n{:gutter$}--> {file}:{}:{}",
                "", span.line, span.column
            )?;
            if let Some(excerpt) = &self.0.excerpt {
                let (shown, before) = cut(&excerpt.replace('\t', " "), span.column - 1);
                let width = shown.chars().count();
                let marks = span.length.clamp(1, (width - before).max(1));
                write!(
                    formatter,
                    "\n{:gutter$} |\n{number} | {shown}\n{:gutter$} | {:before$}{}",
                    "",
                    "",
                    "",
                    "^".repeat(marks)
                )?;
            }
        }
        if let Some(hint) = &self.0.hint {
            write!(formatter, "\n{:gutter$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}

/// All findings about a project, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Diagnostic>,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// Adds the findings of another report.
    pub fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }

    /// Says what those findings are about that have not said it themselves.
    #[must_use = "returns the report with the topic"]
    pub fn about(mut self, topic: Topic) -> Self {
        for finding in &mut self.findings {
            if finding.topic() == Topic::default() {
                finding.0.topic = topic;
            }
        }
        self
    }

    /// Whether a finding forbids to go on.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity() == Severity::Error)
    }

    /// The findings, sorted by severity, then by place: what stops the build comes last, where
    /// the eye of a terminal user is.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by(|left, right| {
            right
                .severity()
                .cmp(&left.severity())
                .then_with(|| left.place().cmp(&right.place()))
        });
        findings
    }

    /// Only the errors, by place.
    pub fn errors(&self) -> Vec<&Diagnostic> {
        let mut findings = self.sorted();
        findings.retain(|finding| finding.severity() == Severity::Error);
        findings
    }

    /// Only the warnings, by place.
    pub fn warnings(&self) -> Vec<&Diagnostic> {
        let mut findings = self.sorted();
        findings.retain(|finding| finding.severity() == Severity::Warning);
        findings
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.sorted().into_iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n\n")?;
            }
            write!(formatter, "{finding}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_and_underlines_the_place() {
        let source = Source::new("cog.yaml", "build:\n  python_verison: 3.12\n");
        let finding = source
            .error(
                Span {
                    line: 2,
                    column: 3,
                    length: 14,
                },
                "unknown key `python_verison`",
            )
            .hint("did you mean `python_version`?");
        insta::assert_snapshot!(finding, @r"
        error: unknown key `python_verison`
         --> cog.yaml:2:3
          |
        2 |   python_verison: 3.12
          |   ^^^^^^^^^^^^^^
          = hint: did you mean `python_version`?
        ");
    }

    #[test]
    fn a_place_past_the_end_of_the_line_is_shown_at_the_end() {
        let source = Source::new("cog.yaml", "ü\n");
        let finding = source.error(
            Span {
                line: 1,
                column: 99,
                length: 7,
            },
            "wrong",
        );
        assert!(finding.to_string().ends_with("1 | ü\n  |  ^"), "{finding}");
    }

    #[test]
    fn of_a_long_line_the_place_is_shown() {
        let line = format!("{}wrong{}", "é".repeat(20_000), "b".repeat(20_000));
        let at = |column, length| {
            let span = Span {
                line: 1,
                column,
                length,
            };
            let text = Source::new("cog.yaml", &line).error(span, "no").to_string();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            (lines[3].clone(), lines[4].clone())
        };
        let marked = |(shown, marks): (String, String)| -> String {
            let pairs = shown.chars().zip(marks.chars());
            pairs
                .filter(|(_, mark)| *mark == '^')
                .map(|(shown, _)| shown)
                .collect()
        };
        let (shown, marks) = at(20_001, 5);
        assert!(
            shown.starts_with("1 | …éé") && shown.ends_with("bb…"),
            "{shown}"
        );
        assert!(shown.chars().count() < 200, "{shown}");
        assert_eq!(marked((shown, marks)), "wrong");
        assert_eq!(marked(at(1, 2)), "éé");
        assert_eq!(marked(at(40_005, 1)), "b");
        assert!(at(1, 40_000).1.chars().count() < 200);
        let (shown, marks) = at(90_000, 1);
        assert_eq!(shown.chars().count() + 1, marks.chars().count());
    }

    #[test]
    fn values_of_secret_names_are_never_shown() {
        for line in [
            "enviroment: [HF_TOKEN=hunter2]",
            "  - API_KEY: hunter2",
            "x: {\"PASSWORD\": hunter2}",
        ] {
            let source = Source::new("cog.yaml", line);
            let finding = source.error(
                Span {
                    line: 1,
                    column: 1,
                    length: 3,
                },
                "wrong",
            );
            assert!(!finding.to_string().contains("hunter2"), "{finding}");
        }
    }

    #[test]
    fn masking_hides_what_follows_the_mark() {
        let source = Source::new("cog.yaml", "- TOKEN=hunter2\n");
        let finding = source
            .error(
                Span {
                    line: 1,
                    column: 3,
                    length: 5,
                },
                "wrong",
            )
            .masked_after('=');
        assert!(!finding.to_string().contains("hunter2"));
        assert!(finding.to_string().contains("- TOKEN=***"));
    }
}
