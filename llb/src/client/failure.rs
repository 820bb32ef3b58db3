//! What a daemon says about a failed build.
//!
//! BuildKit puts typed details into gRPC errors, most of them as JSON under a type name of its own
//! (`github.com/moby/buildkit/errdefs.Vertex+json`), some as protobuf. Both are read here: the vertex
//! that failed, the exit code of its process, the places in the author's files, and the daemon's
//! call stack.

use prost::Message as _;
use serde_json::Value;
use tonic::{Code, Status};

use super::error::{Error, ErrorKind};
use crate::progress::Summary;
use crate::proto::errdefs;
use crate::proto::google::rpc;
use crate::proto::moby::buildkit::v1::frontend::ExitMessage;
use crate::session::base64_decode;

/// Lines of output kept of a failed step.
const OUTPUT_LINES: usize = 20;

/// The step of a build that failed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct FailedStep {
    /// Digest of the op; empty if the daemon did not tell.
    pub digest: String,
    /// Name of the op, as progress shows it.
    pub name: String,
    /// How its process ended, if it ran one.
    pub exit_code: Option<u32>,
    /// The last lines of its output, oldest first, at most 20.
    pub output: Vec<String>,
}

/// A place in one of the author's files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SourceExcerpt {
    /// Name of the file, as the author gave it.
    pub filename: String,
    /// Language of the file; may be empty.
    pub language: String,
    /// Text of the file; empty if it was not sent with the graph.
    pub text: String,
    /// First and last line of each range, counted from 1.
    pub ranges: Vec<(u32, u32)>,
}

/// What the details of an error say.
#[derive(Debug, Default)]
struct Details {
    vertex: Option<String>,
    exit_code: Option<u32>,
    sources: Vec<SourceExcerpt>,
    stack: Vec<String>,
    missing: Option<String>,
}

/// The error of a failed build; `summary` is what its progress told.
pub(crate) fn build_error(status: &Status, summary: &Summary) -> Error {
    let details = Details::read(status.details());
    let step = failed_step(&details, summary);
    let message = without_prefixes(status.message());
    let (mut kind, mut text) = match status.code() {
        _ if is_transport(status) => return connection_lost(status),
        Code::Cancelled => (
            ErrorKind::Canceled,
            format!("the daemon canceled the build: {message}"),
        ),
        Code::Unimplemented => (
            ErrorKind::Unsupported,
            format!("the daemon does not support this build: {message}"),
        ),
        _ => (ErrorKind::Build, format!("build failed: {message}")),
    };
    let mut hint = None;
    if let Some(missing) = details.missing.as_deref().or(missing_capability(message)) {
        kind = ErrorKind::Unsupported;
        text = format!("the daemon lacks what the build needs: {missing}");
        hint = Some("use a newer daemon, or a build that does without".to_owned());
    } else if message.ends_with(" is not allowed") {
        hint = Some("allow it with `Solve::allow`, if the daemon permits it".to_owned());
    }
    if let Some(step) = &step {
        if let Some(code) = step.exit_code {
            text = format!(
                "build failed: step `{}` exited with code {code}",
                short(&step.name)
            );
        } else if !text.contains(&step.name) {
            text.extend(["\nin step `", &short(&step.name), "`"]);
        }
        if !step.output.is_empty() {
            text.push_str("\nlast output:");
            for line in &step.output {
                text.extend(["\n  ", line]);
            }
        }
    }
    let error = Error::new(kind, text)
        .with_step(step)
        .with_sources(details.sources)
        .with_stack(details.stack)
        .caused_by(status.clone());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The error of a build whose function returned one; `build` is what the daemon made of it.
#[cfg(feature = "gateway")]
pub(crate) fn function_error(build: &Error, function: crate::gateway::Error) -> Error {
    Error::new(ErrorKind::Build, format!("build failed: {function}"))
        .with_step(build.step().cloned())
        .with_sources(build.sources().to_vec())
        .with_cause(function.into_std())
}

/// The error of a call that is not a build.
pub(crate) fn call_error(what: &str, status: &Status) -> Error {
    if is_transport(status) {
        return connection_lost(status);
    }
    let kind = match status.code() {
        Code::Unimplemented => ErrorKind::Unsupported,
        _ => ErrorKind::Protocol,
    };
    Error::new(kind, format!("{what} failed: {}", status.message())).caused_by(status.clone())
}

fn connection_lost(status: &Status) -> Error {
    Error::new(
        ErrorKind::ConnectionLost,
        "the connection to the daemon was lost before the build was over",
    )
    .hint("the daemon was stopped, restarted or ran out of memory; see its log and build again")
    .caused_by(status.clone())
}

/// Whether an error was made on this side because the connection broke, not sent by the daemon.
fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
        || status.code() == Code::Unknown
            && status.details().is_empty()
            && (status.message().contains("transport error")
                || status.message().contains("h2 protocol error"))
}

fn failed_step(details: &Details, summary: &Summary) -> Option<FailedStep> {
    let by_details = details
        .vertex
        .as_deref()
        .and_then(|digest| summary.by_digest(digest));
    let failed = by_details.or_else(|| {
        summary.steps().iter().find(|step| {
            step.error()
                .is_some_and(|error| !error.ends_with("context canceled"))
        })
    });
    let digest = details.vertex.clone().unwrap_or_default();
    let Some(step) = failed else {
        return details.vertex.is_some().then(|| FailedStep {
            name: digest.clone(),
            digest,
            exit_code: details.exit_code,
            output: Vec::new(),
        });
    };
    let mut output = step.output();
    output.drain(..output.len().saturating_sub(OUTPUT_LINES));
    Some(FailedStep {
        digest: step.digest().to_owned(),
        name: step.name().to_owned(),
        exit_code: details.exit_code,
        output,
    })
}

/// A name in one line of bearable length.
fn short(name: &str) -> String {
    const LENGTH: usize = 120;
    let line = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// The capability a message says is missing. Daemons have no typed detail for this.
fn missing_capability(message: &str) -> Option<&str> {
    let (_, name) = message.split_once("unknown API capability ")?;
    Some(name)
}

/// The message without what every build error starts with.
fn without_prefixes(message: &str) -> &str {
    message.strip_prefix("failed to solve: ").unwrap_or(message)
}

impl Details {
    fn read(bytes: &[u8]) -> Self {
        let mut details = Self::default();
        let Ok(status) = rpc::Status::decode(bytes) else {
            return details;
        };
        for any in &status.details {
            let name = any.type_url.rsplit('/').next().unwrap_or_default();
            match name.strip_suffix("+json") {
                Some(name) => {
                    if let Ok(value) = serde_json::from_slice(&any.value) {
                        details.take_json(name, &value);
                    }
                }
                None => details.take_message(name, &any.value),
            }
        }
        details
    }

    fn take_json(&mut self, name: &str, value: &Value) {
        let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        match name {
            "errdefs.Vertex" => self.vertex = text("digest").or(self.vertex.take()),
            "errdefs.Source" => self.sources.extend(excerpt(value)),
            "errdefs.FrontendCap" | "errdefs.Subrequest" => self.missing = text("name"),
            "gatewayapi.ExitMessage" | "moby_buildkit_v1_frontend.ExitMessage" => {
                self.exit_code = number(value.get("Code"));
            }
            "stack.Stack" if self.stack.is_empty() => self.stack = frames(value),
            _ => {}
        }
    }

    fn take_message(&mut self, name: &str, bytes: &[u8]) {
        match name {
            "errdefs.Vertex" => {
                if let Ok(vertex) = errdefs::Vertex::decode(bytes) {
                    self.vertex = Some(vertex.digest);
                }
            }
            "errdefs.Source" => {
                if let Ok(source) = errdefs::Source::decode(bytes) {
                    let info = source.info.unwrap_or_default();
                    self.sources.push(SourceExcerpt {
                        filename: info.filename,
                        language: info.language,
                        text: String::from_utf8_lossy(&info.data).into_owned(),
                        ranges: source
                            .ranges
                            .iter()
                            .map(|range| {
                                let line = |position: &Option<crate::proto::pb::Position>| {
                                    position
                                        .as_ref()
                                        .and_then(|position| u32::try_from(position.line).ok())
                                        .unwrap_or(0)
                                };
                                (line(&range.start), line(&range.end))
                            })
                            .collect(),
                    });
                }
            }
            "errdefs.FrontendCap" => {
                if let Ok(cap) = errdefs::FrontendCap::decode(bytes) {
                    self.missing = Some(cap.name);
                }
            }
            "moby.buildkit.v1.frontend.ExitMessage" => {
                if let Ok(exit) = ExitMessage::decode(bytes) {
                    self.exit_code = Some(exit.code);
                }
            }
            _ => {}
        }
    }
}

fn excerpt(value: &Value) -> Option<SourceExcerpt> {
    let info = value.get("info")?;
    let text = |field: &str| {
        info.get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let line = |range: &Value, end: &str| {
        number(range.get(end).and_then(|position| position.get("line"))).unwrap_or(0)
    };
    Some(SourceExcerpt {
        filename: text("filename"),
        language: text("language"),
        text: base64_decode(&text("data"))
            .map(|data| String::from_utf8_lossy(&data).into_owned())
            .unwrap_or_default(),
        ranges: value
            .get("ranges")
            .and_then(Value::as_array)
            .map(|ranges| {
                ranges
                    .iter()
                    .map(|range| (line(range, "start"), line(range, "end")))
                    .collect()
            })
            .unwrap_or_default(),
    })
}

fn frames(value: &Value) -> Vec<String> {
    let Some(frames) = value.get("frames").and_then(Value::as_array) else {
        return Vec::new();
    };
    let text = |frame: &Value, field: &str| {
        frame
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    frames
        .iter()
        .map(|frame| {
            format!(
                "{} {}:{}",
                text(frame, "Name"),
                text(frame, "File"),
                number(frame.get("Line")).unwrap_or(0)
            )
        })
        .collect()
}

/// A number, which protobuf's JSON may write as text.
fn number(value: Option<&Value>) -> Option<u32> {
    match value? {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Event, Log, LogStream, Progress as _, Recorder, Vertex};

    fn status(details: &[(&str, &str)]) -> Status {
        let message = rpc::Status {
            code: 2,
            message: "failed to solve: process \"sh\" did not complete successfully: exit code: 3"
                .into(),
            details: details
                .iter()
                .map(|(name, value)| prost_types::Any {
                    type_url: format!("github.com/moby/buildkit/{name}"),
                    value: value.as_bytes().to_vec(),
                })
                .collect(),
        };
        Status::with_details(
            Code::Unknown,
            message.message.clone(),
            message.encode_to_vec().into(),
        )
    }

    #[test]
    fn the_failed_step_is_named_with_its_output_and_place() {
        let mut recorder = Recorder::new();
        for (digest, name) in [("sha256:a", "install"), ("sha256:b", "other")] {
            recorder.event(&Event::Vertex(Vertex {
                digest: digest.into(),
                name: name.into(),
                ..Vertex::default()
            }));
        }
        let lines: Vec<_> = (0..30).map(|line| format!("line {line}\n")).collect();
        recorder.event(&Event::Log(Log {
            vertex: "sha256:a".into(),
            time: None,
            stream: LogStream::Stderr,
            data: lines.concat().into(),
        }));
        let status = status(&[
            (
                "stack.Stack+json",
                r#"{"frames":[{"Name":"main.run","File":"run.go","Line":7}]}"#,
            ),
            ("errdefs.Vertex+json", r#"{"digest":"sha256:a"}"#),
            ("gatewayapi.ExitMessage+json", r#"{"Code":3}"#),
            (
                "errdefs.Source+json",
                r#"{"info":{"filename":"build.rs","data":"Zm9v","language":"rust"},
                    "ranges":[{"start":{"line":4},"end":{"line":5}}]}"#,
            ),
        ]);
        let error = build_error(&status, recorder.summary());
        assert!(error.is_build());
        let step = error.step().unwrap();
        assert_eq!((step.name.as_str(), step.exit_code), ("install", Some(3)));
        assert_eq!(step.output.len(), 20);
        assert_eq!(step.output.last().unwrap(), "line 29");
        assert!(
            error
                .to_string()
                .starts_with("build failed: step `install` exited with code 3")
        );
        let source = &error.sources()[0];
        assert_eq!(
            (source.filename.as_str(), source.text.as_str()),
            ("build.rs", "foo")
        );
        assert_eq!(source.ranges, [(4, 5)]);
        assert_eq!(error.daemon_stack(), ["main.run run.go:7"]);
    }

    #[test]
    fn details_as_protobuf_are_read_too() {
        let mut details = Details::default();
        let vertex = errdefs::Vertex {
            digest: "sha256:c".into(),
        };
        details.take_message("errdefs.Vertex", &vertex.encode_to_vec());
        assert_eq!(details.vertex.as_deref(), Some("sha256:c"));
    }

    #[test]
    fn a_broken_connection_is_not_a_failed_build() {
        let status = Status::from_error(Box::new(std::io::Error::other("h2 broke")));
        let error = build_error(&status, &Summary::default());
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    }
}
