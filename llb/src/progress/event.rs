//! What a daemon reports of a build.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prost_types::Timestamp;

use crate::proto::moby::buildkit::v1 as wire;

/// One report. Times are those of the daemon's clock.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The state of a vertex. It repeats; the last one holds.
    Vertex(Vertex),
    /// A transfer inside a vertex.
    Transfer(Transfer),
    /// Output of a vertex.
    Log(Log),
    /// A warning about a vertex.
    Warning(Warning),
}

/// A vertex: an op of the graph, or the daemon's own work around it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Vertex {
    /// Digest of the op, or an id of the daemon.
    pub digest: String,
    /// Digests of the vertices it needs.
    pub inputs: Vec<String>,
    /// The name to show.
    pub name: String,
    /// Whether its result was in the cache.
    pub cached: bool,
    /// When it was started. A vertex can be started again: once to ask the cache, once to run.
    pub started: Option<SystemTime>,
    /// When it was done, well or not.
    pub completed: Option<SystemTime>,
    /// What went wrong.
    pub error: Option<String>,
    /// The group it is shown in.
    pub group: Option<Group>,
}

/// Vertices that are shown as one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Group {
    /// What is common to the vertices of the group.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// Whether the group is shown only if a vertex that is not weak starts.
    pub weak: bool,
}

/// A transfer, or other work that can be measured, inside a vertex.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transfer {
    /// Digest of the vertex.
    pub vertex: String,
    /// The text to show; unique in the vertex.
    pub id: String,
    /// How much is done, mostly in bytes.
    pub current: u64,
    /// How much there is to do; zero if that is not known.
    pub total: u64,
    /// When this was so.
    pub time: Option<SystemTime>,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// When it was done.
    pub completed: Option<SystemTime>,
}

/// Output of a vertex, as it came: neither lines nor whole characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// Digest of the vertex.
    pub vertex: String,
    /// When it was written.
    pub time: Option<SystemTime>,
    /// Where it was written to.
    pub stream: LogStream,
    /// What was written.
    pub data: Bytes,
}

/// Where output was written to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A warning about a vertex.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Warning {
    /// Digest of the vertex.
    pub vertex: String,
    /// How grave it is, as frontends count.
    pub level: i64,
    /// One line.
    pub short: String,
    /// More lines.
    pub detail: Vec<String>,
    /// Where to read more; may be empty.
    pub url: String,
}

/// The events of a message, vertices first: what follows refers to them.
pub(crate) fn events(message: wire::StatusResponse) -> impl Iterator<Item = Event> {
    let vertices = message.vertexes.into_iter().map(|vertex| {
        Event::Vertex(Vertex {
            digest: vertex.digest,
            inputs: vertex.inputs,
            name: vertex.name,
            cached: vertex.cached,
            started: time(vertex.started),
            completed: time(vertex.completed),
            error: (!vertex.error.is_empty()).then_some(vertex.error),
            group: vertex.progress_group.map(|group| Group {
                id: group.id,
                name: group.name,
                weak: group.weak,
            }),
        })
    });
    let transfers = message.statuses.into_iter().map(|status| {
        Event::Transfer(Transfer {
            vertex: status.vertex,
            id: status.id,
            current: u64::try_from(status.current).unwrap_or(0),
            total: u64::try_from(status.total).unwrap_or(0),
            time: time(status.timestamp),
            started: time(status.started),
            completed: time(status.completed),
        })
    });
    let logs = message.logs.into_iter().map(|log| {
        Event::Log(Log {
            vertex: log.vertex,
            time: time(log.timestamp),
            stream: if log.stream == 2 {
                LogStream::Stderr
            } else {
                LogStream::Stdout
            },
            data: log.msg,
        })
    });
    let warnings = message.warnings.into_iter().map(|warning| {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        Event::Warning(Warning {
            vertex: warning.vertex,
            level: warning.level,
            short: text(&warning.short),
            detail: warning.detail.iter().map(text).collect(),
            url: warning.url,
        })
    });
    vertices.chain(transfers).chain(logs).chain(warnings)
}

/// Whether an error only says that the build was ended for another reason.
pub(crate) fn is_cancellation(error: &str) -> bool {
    error.ends_with("context canceled")
}

fn time(timestamp: Option<Timestamp>) -> Option<SystemTime> {
    let timestamp = timestamp?;
    let nanoseconds = u32::try_from(timestamp.nanos).unwrap_or(0);
    // The zero time of Go lies before what this clock is used for.
    let seconds = u64::try_from(timestamp.seconds).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}
