//! What a daemon says about a failed build.
//!
//! BuildKit puts typed details into gRPC errors, most of them as JSON under a type name of its own
//! (`github.com/moby/buildkit/errdefs.Vertex+json`), some as protobuf. Both are read here: the vertex
//! that failed, the exit code of its process, the places in the author's files, and the daemon's
//! call stack.

use prost::Message as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use super::error::{Error, ErrorKind};
use super::excerpt::SourceExcerpt;
use super::exit;
use super::failed_op::FailedExec;
use super::unique::Sent;
use crate::progress::{Summary, is_cancellation};
use crate::proto::errdefs;
use crate::proto::google::rpc;
use crate::proto::moby::buildkit::v1::frontend::ExitMessage;
use crate::proto::pb;
use crate::session::{base64_decode, hex};

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
    /// The command it ran, if it ran one.
    pub command: Vec<String>,
    /// How its process ended, if it ran one.
    pub exit_code: Option<u32>,
    /// The last lines of its output, oldest first, at most 20.
    pub output: Vec<String>,
}

impl FailedStep {
    /// What shells and the kernel mean by the exit code: that a command was not found, or the signal
    /// that ended it. `None` if the code is the program's own.
    ///
    /// ```
    /// use llb::client::FailedStep;
    ///
    /// let mut step = FailedStep::default();
    /// step.exit_code = Some(127);
    /// assert_eq!(step.exit_meaning().as_deref(), Some("the command was not found"));
    /// step.exit_code = Some(1);
    /// assert_eq!(step.exit_meaning(), None);
    /// ```
    pub fn exit_meaning(&self) -> Option<String> {
        self.exit_code.and_then(exit::meaning)
    }

    /// The command as one would type it; empty if there is none.
    pub fn command_line(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    }

    /// What is worth telling beside the message: the command, if the name is not the command itself, and the last
    /// output.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let is_named = |word: &String| word.trim() == self.name.trim();
        if !self.command.is_empty()
            && !self.command.iter().any(is_named)
            && self.command_line() != self.name
        {
            text.extend(["command: ", &short(&self.command_line(), 400), "\n"]);
        }
        if !self.output.is_empty() {
            text.push_str("last output:\n");
            for line in &self.output {
                text.extend(["  ", line, "\n"]);
            }
        }
        text
    }
}

/// A word in single quotes, if a shell would read it otherwise.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What the details of an error say.
#[derive(Debug, Default)]
struct Details {
    vertex: Option<String>,
    exit_code: Option<u32>,
    sources: Vec<SourceExcerpt>,
    stack: Vec<String>,
    missing: Option<String>,
    name: String,
    command: Vec<String>,
}

/// The error of a failed build; `summary` is what its progress told.
pub(super) fn build_error(status: &Status, summary: &Summary, sent: &Sent) -> Error {
    let mut details = Details::read(status.details());
    if let Some(digest) = details.vertex.take() {
        if let (Some(definition), []) = (&sent.definition, &*details.command) {
            details.command = command(definition, &digest);
        }
        details.vertex = Some(sent.original(&digest).to_owned());
    }
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
    } else if message.starts_with("unknown cache exporter: ")
        || message.starts_with("unknown cache importer: ")
    {
        kind = ErrorKind::Unsupported;
        hint = Some(
            "Docker engines know fewer kinds of caches than buildkitd: use `registry` or `local`, or build on a buildkitd"
                .to_owned(),
        );
    } else if message.ends_with(" is not allowed") {
        hint = Some("allow it with `Solve::allow`, if the daemon permits it".to_owned());
    }
    if let Some(step) = &step {
        let name = short(&step.name, 120);
        if let Some(code) = step.exit_code {
            text = format!("build failed: step `{name}` exited with code {code}");
            if let Some(meaning) = step.exit_meaning() {
                text.extend([" (", &meaning, ")"]);
            }
        } else if let Some((_, reason)) = message.split_once("did not complete successfully: ") {
            text = format!("build failed: step `{name}` could not be run: {reason}");
        } else if !text.contains(&step.name) {
            text.extend(["\nin step `", &name, "`"]);
        }
    }
    let mut sources = details.sources;
    sources.iter_mut().for_each(SourceExcerpt::find_text);
    let error = Error::new(kind, text)
        .with_step(step)
        .with_sources(sources)
        .with_stack(details.stack)
        .caused_by(status.clone());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The error of a step that was asked for over the gateway, in a definition that was sent as it is.
#[cfg(feature = "gateway")]
pub(crate) fn step_error(status: &Status, summary: &Summary, definition: pb::Definition) -> Error {
    let sent = Sent {
        definition: Some(definition),
        ..Sent::default()
    };
    build_error(status, summary, &sent)
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
        summary
            .steps()
            .iter()
            .find(|step| step.error().is_some_and(|error| !is_cancellation(error)))
    });
    let digest = details.vertex.clone().unwrap_or_default();
    let Some(step) = failed else {
        return details.vertex.is_some().then(|| FailedStep {
            name: match details.command.as_slice() {
                _ if !details.name.is_empty() => details.name.clone(),
                [] => digest.clone(),
                // As progress names a command that has no name of its own.
                command => command.join(" "),
            },
            digest,
            command: details.command.clone(),
            exit_code: details.exit_code,
            output: Vec::new(),
        });
    };
    let mut output = step.output();
    output.drain(..output.len().saturating_sub(OUTPUT_LINES));
    Some(FailedStep {
        digest: step.digest().to_owned(),
        name: step.name().to_owned(),
        command: details.command.clone(),
        exit_code: details.exit_code,
        output,
    })
}

/// The command of an exec op; empty if it is another op, or not in the definition.
fn command(definition: &pb::Definition, digest: &str) -> Vec<String> {
    let mut ops = definition.def.iter();
    let op = ops.find(|op| format!("sha256:{}", hex(&Sha256::digest(op))) == digest);
    match op.and_then(|op| pb::Op::decode(op.as_ref()).ok()?.op) {
        Some(pb::op::Op::Exec(exec)) => exec.meta.unwrap_or_default().args,
        _ => Vec::new(),
    }
}

/// Whether it was a step that failed, so that there is progress.
pub(super) fn names_step(status: &Status) -> bool {
    Details::read(status.details()).vertex.is_some()
}

/// A name in one line of bearable length.
fn short(name: &str, length: usize) -> String {
    let line = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(length) {
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

    fn take_exec(&mut self, failed: FailedExec) {
        self.command = failed.command().unwrap_or_default().to_vec();
        self.name = failed.name;
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
            "errdefs.Solve" => {
                if let Some(failed) = FailedExec::of_json(value) {
                    self.take_exec(failed);
                }
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
                                let line = |position: &Option<pb::Position>| {
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
            "errdefs.Solve" => {
                if let Some(failed) = FailedExec::of_message(bytes) {
                    self.take_exec(failed);
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
                "errdefs.Solve+json",
                r#"{"op":{"Op":{"exec":{"meta":{"args":["/bin/sh","-c","echo \"a b\""]}}}}}"#,
            ),
            (
                "errdefs.Source+json",
                r#"{"info":{"filename":"build.rs","data":"Zm9v","language":"rust"},
                    "ranges":[{"start":{"line":4},"end":{"line":5}}]}"#,
            ),
        ]);
        let error = build_error(&status, recorder.summary(), &Sent::default());
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
        assert_eq!(step.command_line(), r#"/bin/sh -c 'echo "a b"'"#);
        let text = error.to_string();
        let parts = [
            "\n --> build.rs:4\n",
            "\ncommand: /bin/sh -c 'echo \"a b\"'\n",
            "\nlast output:\n  line 10\n",
        ];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(text.ends_with("\n  line 29"), "{text}");
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
        let error = build_error(&status, &Summary::default(), &Sent::default());
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    }
}
