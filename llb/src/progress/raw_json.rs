//! Progress for programs: one JSON object a line.

use std::io::Write;
use std::time::SystemTime;

use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use super::Progress;
use super::event::{Event, Log, LogStream, Transfer, Vertex, Warning};
use crate::session::base64_encode;

/// Writes progress as JSON lines, in the form of `buildctl build --progress=rawjson`.
///
/// Each line is an object with one of the members `vertexes`, `statuses`, `logs` and `warnings`,
/// each a list. The fields are those of BuildKit's `client.SolveStatus`: times in RFC 3339, output
/// in base64.
///
/// ```
/// use llb::progress::{Event, Progress, RawJson, Vertex};
///
/// let mut json = RawJson::new(Vec::new());
/// json.event(&Event::Vertex(Vertex {
///     digest: "sha256:5f".into(),
///     name: "make".into(),
///     cached: true,
///     ..Vertex::default()
/// }));
/// assert_eq!(
///     json.into_inner(),
///     b"{\"vertexes\":[{\"digest\":\"sha256:5f\",\"name\":\"make\",\"cached\":true}]}\n"
/// );
/// ```
///
/// Errors of the writer are ignored: whoever reads may leave without failing the build.
#[derive(Debug)]
pub struct RawJson<W> {
    writer: W,
}

impl<W: Write + Send> RawJson<W> {
    /// Writes to a writer, mostly standard error.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

impl<W: Write + Send> Progress for RawJson<W> {
    fn event(&mut self, event: &Event) {
        let (list, item) = match event {
            Event::Vertex(vertex) => ("vertexes", of_vertex(vertex)),
            Event::Transfer(transfer) => ("statuses", of_transfer(transfer)),
            Event::Log(log) => ("logs", of_log(log)),
            Event::Warning(warning) => ("warnings", of_warning(warning)),
        };
        let mut line = json!({ list: [item] }).to_string();
        line.push('\n');
        drop(self.writer.write_all(line.as_bytes()));
    }

    fn finish(&mut self) {
        drop(self.writer.flush());
    }
}

/// An object from which what is empty is left out.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let empty = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Number(number) => number.as_u64() == Some(0),
            Value::Bool(true) | Value::Object(_) => false,
        };
        if !empty {
            self.0.insert(key.to_owned(), value);
        }
        self
    }

    fn always(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    fn end(self) -> Value {
        Value::Object(self.0)
    }
}

fn of_vertex(vertex: &Vertex) -> Value {
    let group = vertex.group.as_ref().map(|group| {
        Object::default()
            .with("id", group.id.as_str())
            .with("name", group.name.as_str())
            .with("weak", group.weak)
            .end()
    });
    Object::default()
        .with("digest", vertex.digest.as_str())
        .with("inputs", vertex.inputs.clone())
        .with("name", vertex.name.as_str())
        .with("started", time(vertex.started))
        .with("completed", time(vertex.completed))
        .with("cached", vertex.cached)
        .with("error", vertex.error.clone())
        .with("progressGroup", group)
        .end()
}

fn of_transfer(transfer: &Transfer) -> Value {
    Object::default()
        .always("id", transfer.id.as_str())
        .with("vertex", transfer.vertex.as_str())
        .with("total", transfer.total)
        .always("current", transfer.current)
        .with("timestamp", time(transfer.time))
        .with("started", time(transfer.started))
        .with("completed", time(transfer.completed))
        .end()
}

fn of_log(log: &Log) -> Value {
    let stream = match log.stream {
        LogStream::Stdout => 1,
        LogStream::Stderr => 2,
    };
    Object::default()
        .with("vertex", log.vertex.as_str())
        .with("stream", stream)
        .always("data", base64_encode(&log.data))
        .with("timestamp", time(log.time))
        .end()
}

fn of_warning(warning: &Warning) -> Value {
    let detail = warning.detail.iter();
    let detail: Vec<_> = detail.map(|line| base64_encode(line.as_bytes())).collect();
    Object::default()
        .with("vertex", warning.vertex.as_str())
        .with("level", warning.level)
        .with("short", base64_encode(warning.short.as_bytes()))
        .with("detail", detail)
        .with("url", warning.url.as_str())
        .end()
}

fn time(time: Option<SystemTime>) -> Option<String> {
    Some(Timestamp::from(time?).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_kind_of_event_is_a_line() {
        let at = Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500));
        let mut json = RawJson::new(Vec::new());
        for event in [
            Event::Transfer(Transfer {
                vertex: "v".into(),
                id: "sending".into(),
                started: at,
                ..Transfer::default()
            }),
            Event::Log(Log {
                vertex: "v".into(),
                time: at,
                stream: LogStream::Stderr,
                data: "a\n".into(),
            }),
            Event::Warning(Warning {
                vertex: "v".into(),
                level: 1,
                short: "b".into(),
                detail: vec!["c".into()],
                url: String::new(),
            }),
        ] {
            json.event(&event);
        }
        json.finish();
        assert_eq!(
            String::from_utf8(json.into_inner()).unwrap(),
            "{\"statuses\":[{\"id\":\"sending\",\"vertex\":\"v\",\"current\":0,\
             \"started\":\"2023-11-14T22:13:20.500Z\"}]}\n\
             {\"logs\":[{\"vertex\":\"v\",\"stream\":2,\"data\":\"YQo=\",\
             \"timestamp\":\"2023-11-14T22:13:20.500Z\"}]}\n\
             {\"warnings\":[{\"vertex\":\"v\",\"level\":1,\"short\":\"Yg==\",\"detail\":[\"Yw==\"]}]}\n"
        );
    }
}
