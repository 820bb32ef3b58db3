//! What goes wrong in a build function.

use std::fmt;

use prost::Message as _;
use serde_json::json;
use tonic::{Code, Status};

use crate::client;
use crate::proto::google::rpc;
use crate::proto::moby::buildkit::v1::frontend::ReturnRequest;
use crate::session::base64_encode;
use crate::sourcemap::SourceLocation;

/// What a build function returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a build function: any error, with what the reader of a build wants to know beside it.
///
/// `?` makes it of every error. So that it can, it is no [`std::error::Error`] itself;
/// [`into_std`](Self::into_std) gives one.
///
/// ```
/// use llb::gateway::{Error, Result};
///
/// fn port(text: &str) -> Result<u16> {
///     let port = text.parse::<u16>().map_err(|error| {
///         Error::new(error).context(format!("port {text:?}")).hint("a port is a number below 65536")
///     })?;
///     Ok(port)
/// }
/// let error = port("80x").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "port \"80x\": invalid digit found in string\nhint: a port is a number below 65536"
/// );
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    source: Box<dyn std::error::Error + Send + Sync>,
    context: Vec<String>,
    hint: Option<String>,
    places: Vec<SourceLocation>,
    detail: Option<prost_types::Any>,
    code: Code,
}

impl Error {
    /// An error of its own.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self::boxed(message.to_string().into())
    }

    /// Any other error.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::boxed(Box::new(error))
    }

    /// An error that is boxed already.
    pub fn boxed(source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self(Box::new(Inner {
            source,
            context: Vec::new(),
            hint: None,
            places: Vec::new(),
            detail: None,
            code: Code::Unknown,
        }))
    }

    /// Says in front of the message what was being done.
    #[must_use = "this returns the changed error"]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.0.context.push(what.to_string());
        self
    }

    /// The next step for the reader, without the word `hint`.
    #[must_use = "this returns the changed error"]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The place in the author's file that is wrong. `docker build` shows it with the lines around it.
    ///
    /// ```
    /// use llb::gateway::Error;
    /// use llb::{Range, SourceMap};
    ///
    /// let file = SourceMap::new("app.toml", "toml", "python = 3.1\n");
    /// let error = Error::msg("there is no Python 3.1").at(file.location([Range::line(1)]));
    /// ```
    #[must_use = "this returns the changed error"]
    pub fn at(mut self, place: SourceLocation) -> Self {
        self.0.places.push(place);
        self
    }

    /// The first place that it is about.
    pub(super) fn place(&self) -> Option<&SourceLocation> {
        self.0.places.first()
    }

    /// The error inside, if it is of this type.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&*self.0.source);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// Whether a file, an image or something else that was looked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| {
            status.code() == Code::NotFound
                || status.message().ends_with("no such file or directory")
                || status.message().ends_with("not found")
        })
    }

    /// The code that a step of the build exited with, if that is what failed.
    pub fn exit_code(&self) -> Option<u32> {
        self.downcast_ref::<client::Error>()?.step()?.exit_code
    }

    /// The same as an error of the standard library.
    pub fn into_std(self) -> Box<dyn std::error::Error + Send + Sync> {
        Box::new(Std(self))
    }

    /// What a daemon said, if it did.
    pub(crate) fn status(&self) -> Option<&Status> {
        self.downcast_ref::<Status>()
    }

    /// An error that a client tells apart by its type.
    pub(super) fn typed(code: Code, name: &str, value: &serde_json::Value, message: &str) -> Self {
        let mut error = Self::msg(message);
        error.0.detail = Some(detail(name, value));
        error.0.code = code;
        error
    }

    /// Whether a daemon said it and nothing was added.
    pub(super) fn is_of_daemon(&self) -> bool {
        self.0.context.is_empty() && self.0.hint.is_none() && self.status().is_some()
    }

    /// The end of a build that fails with this error.
    ///
    /// What a daemon said goes back in its own words and with its details: it is shown once, by whoever
    /// asked for the build.
    pub(super) fn to_return(&self) -> ReturnRequest {
        let said = self.status();
        let mut details = said
            .and_then(|status| rpc::Status::decode(status.details()).ok())
            .map(|status| status.details)
            .unwrap_or_default();
        details.extend(self.0.places.iter().map(source_detail));
        details.extend(self.0.detail.clone());
        let message = match said {
            Some(status) if self.is_of_daemon() => status.message().to_owned(),
            _ => self.to_string(),
        };
        let code = said.map_or(self.0.code, Status::code);
        ReturnRequest {
            result: None,
            error: Some(rpc::Status {
                code: code.into(),
                message,
                details,
            }),
        }
    }
}

/// A detail as BuildKit writes them: JSON under a type name of its own.
fn detail(name: &str, value: &serde_json::Value) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("github.com/moby/buildkit/{name}+json"),
        value: value.to_string().into_bytes(),
    }
}

fn source_detail(place: &SourceLocation) -> prost_types::Any {
    let file = &place.map.0;
    let value = json!({
        "info": {
            "filename": file.filename,
            "data": base64_encode(&file.data),
            "language": file.language,
        },
        "ranges": place.ranges_json(),
    });
    detail("errdefs.Source", &value)
}

impl SourceLocation {
    /// The ranges as BuildKit writes them.
    pub(super) fn ranges_json(&self) -> serde_json::Value {
        let position = |position: Option<crate::Position>| {
            position.map(|position| json!({"line": position.line, "character": position.character}))
        };
        let ranges = self.ranges.iter().map(|range| {
            // Without an end, BuildKit marks nothing.
            json!({"start": position(range.start), "end": position(range.end.or(range.start))})
        });
        ranges.collect()
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(formatter, "{context}: ")?;
        }
        fmt::Display::fmt(&self.0.source, formatter)?;
        match &self.0.hint {
            Some(hint) => write!(formatter, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    /// The message, so that a `main` that returns it shows it as people read it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// An [`Error`] that is an error.
struct Std(Error);

impl fmt::Display for Std {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Std {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl std::error::Error for Std {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0.0.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Range, SourceMap};

    #[test]
    fn what_a_daemon_said_goes_back_in_its_own_words() {
        let said = rpc::Status {
            code: 2,
            message: "exit code: 3".into(),
            details: vec![detail("errdefs.Vertex", &json!({"digest": "sha256:a"}))],
        };
        let status =
            Status::with_details(Code::Unknown, "exit code: 3", said.encode_to_vec().into());
        let summary = crate::progress::Summary::default();
        let definition = crate::proto::pb::Definition::default();
        let error = Error::from(client::step_error(&status, &summary, definition));
        assert_eq!(error.to_return().error.unwrap(), said);
        let more = error.context("while compiling").to_return().error.unwrap();
        assert!(
            more.message
                .starts_with("while compiling: build failed: exit code: 3")
        );
        assert_eq!(more.details, said.details);
    }

    #[test]
    fn a_place_in_a_file_is_a_detail() {
        let file = SourceMap::new("a.toml", "toml", "x = 1\n");
        let error = Error::msg("no x").at(file.location([Range::line(1)]));
        let returned = error.to_return().error.unwrap();
        assert_eq!(returned.message, "no x");
        assert_eq!(
            returned.details[0].type_url,
            "github.com/moby/buildkit/errdefs.Source+json"
        );
        let value: serde_json::Value = serde_json::from_slice(&returned.details[0].value).unwrap();
        assert_eq!(value["info"]["data"], "eCA9IDEK");
        assert_eq!(value["ranges"][0]["end"]["line"], 1);
    }
}
