//! Where in a text a user wrote what became an op.
//!
//! Front ends that parse a file attach these by hand; BuildKit sends them back with an error, so that a failed step is
//! reported at the user's own line. They live beside the ops and never change a digest. For graphs made by a program,
//! [`CallerLocations`] adds the program's own lines.

mod caller;
mod frame;

use std::sync::Arc;

pub(crate) use caller::public_name;
pub use caller::{CallerLocations, SourceTexts};
pub(crate) use frame::{Frame, is_same_line};

use crate::state::State;

/// A file that ops come from.
///
/// ```
/// use llb::prelude::*;
/// use llb::{Range, SourceMap};
///
/// let file = SourceMap::new("Dockerfile", "Dockerfile", "FROM alpine\n");
/// let base = Image::new("alpine").location(file.location([Range::line(1)])).state();
/// let definition = base.marshal(&MarshalOptions::linux_amd64())?;
/// assert_eq!(definition.to_full_text(), r#"
/// platform linux/amd64
/// file "Dockerfile" language=Dockerfile data="FROM alpine\n"
/// %alpine = source "docker-image://docker.io/library/alpine:latest" caps=[source.image] at 0=[1:0..]
/// return %alpine caps=[constraints, platform]
/// "#.trim_start());
/// # Ok::<(), llb::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SourceMap(pub(crate) Arc<SourceMapData>);

#[derive(Debug)]
pub(crate) struct SourceMapData {
    pub(crate) state: Option<State>,
    pub(crate) filename: String,
    pub(crate) language: String,
    pub(crate) data: Vec<u8>,
}

/// Some ranges of one [`SourceMap`].
#[derive(Clone, Debug, PartialEq)]
pub struct SourceLocation {
    pub(crate) map: SourceMap,
    pub(crate) ranges: Vec<Range>,
}

/// A stretch of text; either end may be missing.
///
/// Ranges without an end are no mistake, but tools in Go crash when they show a failed step with one: give both ends,
/// as [`lines`](Self::lines) does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub start: Option<Position>,
    /// Where it ends.
    pub end: Option<Position>,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Line, counted from 1.
    pub line: i32,
    /// Column, counted from 0.
    pub character: i32,
}

impl SourceMap {
    /// A file by its name, its language and its text.
    pub fn new(
        filename: impl Into<String>,
        language: impl Into<String>,
        data: impl Into<Vec<u8>>,
    ) -> Self {
        Self(Arc::new(SourceMapData {
            state: None,
            filename: filename.into(),
            language: language.into(),
            data: data.into(),
        }))
    }

    /// The same file, with the state it can be read from.
    #[must_use = "this returns a new source map"]
    pub fn with_state(&self, state: impl Into<State>) -> Self {
        Self(Arc::new(SourceMapData {
            state: Some(state.into()),
            filename: self.0.filename.clone(),
            language: self.0.language.clone(),
            data: self.0.data.clone(),
        }))
    }

    /// Some ranges of this file, for [`Constrain::location`](crate::Constrain::location).
    pub fn location(&self, ranges: impl IntoIterator<Item = Range>) -> SourceLocation {
        SourceLocation {
            map: self.clone(),
            ranges: ranges.into_iter().collect(),
        }
    }

    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.filename == other.0.filename
                && self.0.language == other.0.language
                && self.0.data == other.0.data)
    }
}

impl PartialEq for SourceMap {
    /// The same file, whatever state it can be read from.
    fn eq(&self, other: &Self) -> bool {
        self.is_same_file(other)
    }
}

impl Range {
    /// A line, counted from 1, as a range without an end.
    pub fn line(line: i32) -> Self {
        Self::from(Position { line, character: 0 })
    }

    /// Whole lines, counted from 1: the first and the last.
    ///
    /// ```
    /// use llb::{Range, SourceMap};
    ///
    /// let file = SourceMap::new("cog.yaml", "yaml", "build:\n  gpu: true\n");
    /// let place = file.location([Range::lines(2, 2)]);
    /// ```
    pub fn lines(first: i32, last: i32) -> Self {
        let [start, end] = [first, last].map(|line| Position { line, character: 0 });
        Self::from(start..end)
    }
}

impl From<Position> for Range {
    /// A range that begins here and has no end.
    fn from(start: Position) -> Self {
        Self {
            start: Some(start),
            end: None,
        }
    }
}

impl From<std::ops::Range<Position>> for Range {
    fn from(range: std::ops::Range<Position>) -> Self {
        Self {
            start: Some(range.start),
            end: Some(range.end),
        }
    }
}
