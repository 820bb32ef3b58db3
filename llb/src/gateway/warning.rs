//! Warnings for the user of a build.

use super::build::Build;
use super::error::Result;
use super::transport::Method;
use crate::definition::{Definition, OpDigest};
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::proto::pb;
use crate::sourcemap::SourceLocation;

/// A warning, as `docker build` shows them at its end.
///
/// ```
/// use llb::gateway::Warning;
///
/// let warning = Warning::new("python 3.8 gets no fixes any more")
///     .detail("its last release was in October 2024")
///     .url("https://devguide.python.org/versions/");
/// ```
#[derive(Clone, Debug)]
pub struct Warning {
    message: String,
    detail: Vec<String>,
    url: String,
    place: Option<SourceLocation>,
}

impl Warning {
    /// A warning in one line.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            detail: Vec::new(),
            url: String::new(),
            place: None,
        }
    }

    /// Adds a line that says more.
    #[must_use = "this returns the changed warning"]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.detail.push(line.into());
        self
    }

    /// Where to read about it.
    #[must_use = "this returns the changed warning"]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// The place in the author's file that it is about.
    #[must_use = "this returns the changed warning"]
    pub fn at(mut self, place: SourceLocation) -> Self {
        self.place = Some(place);
        self
    }
}

impl Warning {
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The message with all that is said about it.
    pub(super) fn text(&self) -> String {
        let lines = std::iter::once(&self.message).chain(&self.detail);
        lines.map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn link(&self) -> &str {
        &self.url
    }

    pub(super) fn place(&self) -> Option<&SourceLocation> {
        self.place.as_ref()
    }
}

impl Build {
    /// Warns the user of the build. A daemon too old to show warnings drops it.
    ///
    /// # Errors
    ///
    /// The daemon does not answer.
    pub async fn warn(&self, warning: Warning) -> Result<()> {
        if !self.capabilities().frontend().contains("gateway.warnings") {
            return Ok(());
        }
        let place = warning.place;
        let request = wire::WarnRequest {
            digest: vertex_of(place.as_ref(), self),
            level: 1,
            short: warning.message.into(),
            detail: warning.detail.into_iter().map(Into::into).collect(),
            url: warning.url,
            info: place.as_ref().map(|place| pb::SourceInfo {
                filename: place.map.0.filename.clone(),
                data: place.map.0.data.clone().into(),
                language: place.map.0.language.clone(),
                definition: None,
            }),
            ranges: place.iter().flat_map(ranges).collect(),
        };
        let what = || "warning".to_owned();
        let _: wire::WarnResponse = self.call(Method::Warn, &request, what).await?;
        Ok(())
    }
}

/// The op a warning belongs to: the one that the author's file comes from, if that is known.
fn vertex_of(place: Option<&SourceLocation>, build: &Build) -> String {
    let file = place.and_then(|place| place.map.0.state.as_ref());
    let head = file
        .and_then(|state| state.marshal(&build.marshal_options()).ok())
        .as_ref()
        .and_then(Definition::head);
    // A client takes no warning without an op, so any name will do.
    head.unwrap_or_else(|| OpDigest::of(b"warnings"))
        .to_string()
}

fn ranges(place: &SourceLocation) -> impl Iterator<Item = pb::Range> {
    let position = |position: Option<crate::Position>| {
        position.map(|position| pb::Position {
            line: position.line,
            character: position.character,
        })
    };
    place.ranges.iter().map(move |range| pb::Range {
        start: position(range.start),
        end: position(range.end.or(range.start)),
    })
}
