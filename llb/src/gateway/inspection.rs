//! What a frontend says about a project without building it (`docker build --call=check`).
//!
//! Names and fields are those of BuildKit's `frontend/subrequests/lint`, August 2026.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::build::Build;
use super::error::{Error, Result};
use super::image::Image;
use super::warning::Warning;
use crate::session::base64_encode;
use crate::sourcemap::{SourceLocation, SourceMap};

/// What is found out about a project that is not built: answers `docker build --call=check`, and adds to what
/// `--call=outline` lists.
///
/// ```
/// use llb::gateway::{Inspection, Warning};
///
/// let inspection = Inspection::new()
///     .warning("OldPython", Warning::new("python 3.8 gets no fixes any more"))
///     .secret("netrc", true);
/// ```
#[derive(Debug, Default)]
pub struct Inspection {
    warnings: Vec<(String, Warning)>,
    error: Option<Error>,
    pub(super) secrets: Vec<(String, bool)>,
    pub(super) agents: Vec<(String, bool)>,
}

impl Inspection {
    /// Nothing is wrong, and nothing is needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// A warning, with the name of the rule that it is about, which clients show in its place (`OldPython`).
    #[must_use = "this returns the changed inspection"]
    pub fn warning(mut self, rule: impl Into<String>, warning: Warning) -> Self {
        self.warnings.push((rule.into(), warning));
        self
    }

    /// Why a build would fail.
    #[must_use = "this returns the changed inspection"]
    pub fn error(mut self, error: Error) -> Self {
        self.error = Some(error);
        self
    }

    /// A secret that the build of this project takes, and whether it needs it.
    #[must_use = "this returns the changed inspection"]
    pub fn secret(mut self, id: impl Into<String>, required: bool) -> Self {
        self.secrets.push((id.into(), required));
        self
    }

    /// An ssh agent that the build of this project takes, and whether it needs it.
    #[must_use = "this returns the changed inspection"]
    pub fn ssh(mut self, id: impl Into<String>, required: bool) -> Self {
        self.agents.push((id.into(), required));
        self
    }

    /// The answer to a check.
    pub(super) fn answer(&self, version: &str) -> Result<Image> {
        let is_fine = self.warnings.is_empty() && self.error.is_none();
        let status = if is_fine { "0" } else { "1" };
        Ok(Image::texts([
            (
                "result.json",
                serde_json::to_string_pretty(&self.to_json())?,
            ),
            ("result.txt", self.to_text()),
            ("result.statuscode", status.to_owned()),
            ("version", version.to_owned()),
        ]))
    }

    fn to_json(&self) -> Value {
        let mut sources = Vec::new();
        let warnings: Vec<Value> = self
            .warnings
            .iter()
            .map(|(rule, warning)| {
                let mut value = json!({
                    "ruleName": rule,
                    "description": warning.message(),
                    "detail": warning.text(),
                    "location": location(warning.place(), &mut sources),
                });
                if !warning.link().is_empty() {
                    value["url"] = json!(warning.link());
                }
                value
            })
            .collect();
        let error = self.error.as_ref().map(|error| {
            let place = location(error.place(), &mut sources);
            json!({"message": error.to_string(), "location": place})
        });
        let mut sources: Vec<Value> = sources.iter().map(source).collect();
        let mut value = json!({"warnings": warnings});
        if let Some(mut error) = error {
            // A client looks the source of an error up without asking whether there is one.
            if error["location"]["sourceIndex"] == -1 {
                if sources.is_empty() {
                    sources.push(json!({"filename": ""}));
                }
                error["location"]["sourceIndex"] = json!(0);
            }
            value["buildError"] = error;
        }
        value["sources"] = json!(sources);
        value
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for (rule, warning) in &self.warnings {
            let link = match warning.link() {
                "" => String::new(),
                link => format!(" - {link}"),
            };
            // Writing to a text never fails.
            let _ = writeln!(text, "\nWARNING: {rule}{link}\n{}", warning.text());
            text += &excerpt(warning.place());
        }
        if let Some(error) = &self.error {
            let _ = writeln!(text, "\nERROR: {error}");
            text += &excerpt(error.place());
        }
        text
    }
}

/// A place by the number of its source, which is added if it is not there.
fn location(place: Option<&SourceLocation>, sources: &mut Vec<SourceMap>) -> Value {
    let Some(place) = place else {
        return json!({"sourceIndex": -1, "ranges": []});
    };
    let known = sources.iter().position(|map| map.is_same_file(&place.map));
    let index = known.unwrap_or_else(|| {
        sources.push(place.map.clone());
        sources.len() - 1
    });
    json!({"sourceIndex": index, "ranges": place.ranges_json()})
}

fn source(map: &SourceMap) -> Value {
    json!({
        "filename": map.0.filename,
        "language": map.0.language,
        "data": base64_encode(&map.0.data),
    })
}

/// The lines that a place is about.
fn excerpt(place: Option<&SourceLocation>) -> String {
    let mut text = String::new();
    let Some(place) = place else {
        return text;
    };
    let data = String::from_utf8_lossy(&place.map.0.data);
    for range in &place.ranges {
        let Some(start) = range.start else { continue };
        let end = range.end.unwrap_or(start);
        let _ = writeln!(text, "{}:{}", place.map.0.filename, start.line);
        for line in start.line..=end.line.max(start.line) {
            let index = usize::try_from(line)
                .ok()
                .and_then(|line| line.checked_sub(1));
            if let Some(content) = index.and_then(|index| data.lines().nth(index)) {
                let _ = writeln!(text, "{line:4} | {content}");
            }
        }
    }
    text
}

mod sealed {
    pub trait Sealed {}
}

/// How a [`Frontend`](super::Frontend) looks at a project without building it; [`inspect`](super::Frontend::inspect) says
/// it.
pub trait Inspect: sealed::Sealed {
    /// Whether it does at all.
    const IS_KNOWN: bool;

    /// Looks at the project.
    fn inspect(&self, build: &mut Build) -> impl Future<Output = Result<Option<Inspection>>>;
}

/// A frontend that does not look at projects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown;

/// A frontend that looks at projects by a function.
#[derive(Clone, Copy, Debug)]
pub struct Inspector<I>(pub(super) I);

impl sealed::Sealed for Unknown {}
impl<I> sealed::Sealed for Inspector<I> {}

impl Inspect for Unknown {
    const IS_KNOWN: bool = false;

    async fn inspect(&self, _: &mut Build) -> Result<Option<Inspection>> {
        Ok(None)
    }
}

impl<I> Inspect for Inspector<I>
where
    I: AsyncFn(&mut Build) -> Result<Inspection>,
{
    const IS_KNOWN: bool = true;

    async fn inspect(&self, build: &mut Build) -> Result<Option<Inspection>> {
        (self.0)(build).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Range;

    fn value(image: &Image, name: &str) -> String {
        String::from_utf8(image.metadata_value(name).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn warnings_and_an_error_have_their_places() {
        let file = SourceMap::new("app.toml", "toml", "python = 3.8\nnumpy = 1\n");
        let inspection = Inspection::new()
            .warning(
                "OldPython",
                Warning::new("python 3.8 gets no fixes")
                    .detail("take 3.13")
                    .url("https://example.com/old")
                    .at(file.location([Range::line(1)])),
            )
            .warning("Other", Warning::new("of no line"))
            .error(Error::msg("there is no numpy 1").at(file.location([Range::lines(2, 2)])));
        let answer = inspection.answer("1.0.0").unwrap();
        assert_eq!(value(&answer, "result.statuscode"), "1");
        let json: Value = serde_json::from_str(&value(&answer, "result.json")).unwrap();
        let at = |line: i32| json!([{"start": {"line": line, "character": 0}, "end": {"line": line, "character": 0}}]);
        assert_eq!(
            json,
            json!({
                "warnings": [
                    {
                        "ruleName": "OldPython",
                        "description": "python 3.8 gets no fixes",
                        "url": "https://example.com/old",
                        "detail": "python 3.8 gets no fixes\ntake 3.13",
                        "location": {"sourceIndex": 0, "ranges": at(1)},
                    },
                    {
                        "ruleName": "Other",
                        "description": "of no line",
                        "detail": "of no line",
                        "location": {"sourceIndex": -1, "ranges": []},
                    },
                ],
                "sources": [{
                    "filename": "app.toml",
                    "language": "toml",
                    "data": base64_encode(b"python = 3.8\nnumpy = 1\n"),
                }],
                "buildError": {
                    "message": "there is no numpy 1",
                    "location": {"sourceIndex": 0, "ranges": at(2)},
                },
            })
        );
        let expected = "\nWARNING: OldPython - https://example.com/old\npython 3.8 gets no fixes\ntake 3.13\napp.toml:1\n   1 | python = 3.8\n\
            \nWARNING: Other\nof no line\n\
            \nERROR: there is no numpy 1\napp.toml:2\n   2 | numpy = 1\n";
        assert_eq!(value(&answer, "result.txt"), expected);
    }

    #[test]
    fn an_error_without_a_place_has_a_source_all_the_same() {
        let json = Inspection::new().error(Error::msg("no")).to_json();
        assert_eq!(json["sources"].as_array().unwrap().len(), 1);
        assert_eq!(json["buildError"]["location"]["sourceIndex"], 0);
        let fine = Inspection::new().answer("1.0.0").unwrap();
        assert_eq!(value(&fine, "result.statuscode"), "0");
        assert_eq!(value(&fine, "result.txt"), "");
    }
}
