//! Results that can be looked at.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prost::Message as _;
use tonic::Status;

use super::build::Build;
use super::error::{Error, Result};
use super::transport::Method;
use crate::client;
use crate::definition::Definition;
use crate::metadata::CUSTOM_NAME;
use crate::progress::{Event, Summary, Vertex};
use crate::proto::fsutil::types::Stat as WireStat;
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::proto::pb;
use crate::session::{FileKind, kind_of_go, permissions};
use crate::state::State;

/// Bytes of a file in one answer. Answers have a limit, files have none.
const CHUNK: u64 = 4 << 20;

/// A solved state: its files can be looked at, and it can be built on. Made by [`Build::solve`].
///
/// Paths are those in the file system, `/` in front or not. Symbolic links are followed, inside the file system.
#[derive(Clone)]
pub struct Ref(Arc<Inner>);

struct Inner {
    build: Build,
    /// Empty for scratch.
    id: String,
    state: State,
    definition: Definition,
}

/// What is known about a file without reading it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stat {
    /// Its name, without the directory it is in.
    pub name: String,
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Id of the user that owns it.
    pub uid: u32,
    /// Id of the group that owns it.
    pub gid: u32,
    /// Bytes of its content; 0 if it is no regular file.
    pub size: u64,
    /// When its content was last changed.
    pub modified: SystemTime,
    /// Where a symbolic link points to.
    pub link: Option<String>,
}

impl Ref {
    pub(super) fn new(build: Build, id: String, state: State, definition: Definition) -> Self {
        Self(Arc::new(Inner {
            build,
            id,
            state,
            definition,
        }))
    }

    /// The daemon's name for it; empty for scratch.
    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    /// The state that was solved, to build on. What is built on it finds this in the cache.
    pub fn to_state(&self) -> State {
        self.0.state.clone()
    }

    /// Runs everything that this needs, now. Whatever looks at files does it as well.
    ///
    /// # Errors
    ///
    /// A step failed: [`Error::exit_code`], and as [`client::Error`](crate::client::Error) the step itself.
    pub async fn evaluate(&self) -> Result<()> {
        if self.0.id.is_empty() {
            return Ok(());
        }
        if !self
            .0
            .build
            .capabilities()
            .frontend()
            .contains("gateway.evaluate")
        {
            // Any look will do.
            self.stat("/").await?;
            return Ok(());
        }
        let request = wire::EvaluateRequest {
            r#ref: self.0.id.clone(),
        };
        let _: wire::EvaluateResponse = self.call(Method::Evaluate, &request).await?;
        Ok(())
    }

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// There is no such file ([`Error::is_not_found`]), it is a directory, or a step failed.
    pub async fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        self.read_range(path, ..).await
    }

    /// A range of bytes of a file. What is past its end is left out.
    ///
    /// ```
    /// # use llb::gateway::{Ref, Result};
    /// # async fn example(reference: Ref) -> Result<()> {
    /// let magic = reference.read_range("/bin/sh", ..4).await?;
    /// assert_eq!(magic, b"\x7fELF");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_file`](Self::read_file).
    pub async fn read_range(&self, path: &str, range: impl RangeBounds<u64>) -> Result<Vec<u8>> {
        let mut offset = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => u64::MAX,
        };
        let mut content = Vec::new();
        while offset < end {
            let length = (end - offset).min(CHUNK);
            let chunk = self.read_chunk(path, offset, length).await?;
            let is_last = (chunk.len() as u64) < length;
            offset += chunk.len() as u64;
            content.extend_from_slice(&chunk);
            if is_last {
                break;
            }
        }
        Ok(content)
    }

    async fn read_chunk(&self, path: &str, offset: u64, length: u64) -> Result<bytes::Bytes> {
        self.check_not_scratch(path)?;
        let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let request = wire::ReadFileRequest {
            r#ref: self.0.id.clone(),
            file_path: path.to_owned(),
            range: Some(wire::FileRange {
                offset: number(offset),
                length: number(length),
            }),
            ..wire::ReadFileRequest::default()
        };
        let answer: wire::ReadFileResponse = self
            .call(Method::ReadFile, &request)
            .await
            .map_err(|error| error.context(format!("reading {path:?}")))?;
        Ok(answer.data)
    }

    /// The content of a text file.
    ///
    /// # Errors
    ///
    /// As [`read_file`](Self::read_file), and if it is not UTF-8.
    pub async fn read_to_string(&self, path: &str) -> Result<String> {
        let content = self.read_file(path).await?;
        String::from_utf8(content)
            .map_err(|_| Error::msg(format!("{path:?} is not a text in UTF-8")))
    }

    /// What is in a directory, by name. Not what is in its directories.
    ///
    /// # Errors
    ///
    /// There is no such directory ([`Error::is_not_found`]), it is a file, or a step failed.
    pub async fn read_dir(&self, path: &str) -> Result<Vec<Stat>> {
        self.read_dir_matching(path, "").await
    }

    /// What is in a directory and matches a pattern such as `*.toml`, by name.
    ///
    /// # Errors
    ///
    /// As [`read_dir`](Self::read_dir).
    pub async fn read_dir_matching(&self, path: &str, pattern: &str) -> Result<Vec<Stat>> {
        if self.0.id.is_empty() && path.trim_matches('/').is_empty() {
            return Ok(Vec::new());
        }
        self.check_not_scratch(path)?;
        let request = wire::ReadDirRequest {
            r#ref: self.0.id.clone(),
            dir_path: path.to_owned(),
            include_pattern: pattern.to_owned(),
            ..wire::ReadDirRequest::default()
        };
        let answer: wire::ReadDirResponse = self
            .call(Method::ReadDir, &request)
            .await
            .map_err(|error| error.context(format!("listing {path:?}")))?;
        let mut entries: Vec<_> = answer.entries.into_iter().map(Stat::new).collect();
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    /// What is known about a file or directory.
    ///
    /// # Errors
    ///
    /// There is no such file ([`Error::is_not_found`]), or a step failed.
    pub async fn stat(&self, path: &str) -> Result<Stat> {
        self.check_not_scratch(path)?;
        let request = wire::StatFileRequest {
            r#ref: self.0.id.clone(),
            path: path.to_owned(),
            ..wire::StatFileRequest::default()
        };
        let answer: wire::StatFileResponse = self
            .call(Method::StatFile, &request)
            .await
            .map_err(|error| error.context(format!("looking at {path:?}")))?;
        Ok(Stat::new(answer.stat.unwrap_or_default()))
    }

    /// Whether there is a file or directory.
    ///
    /// # Errors
    ///
    /// A step failed.
    pub async fn exists(&self, path: &str) -> Result<bool> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn call<A: prost::Message + Default>(
        &self,
        method: Method,
        request: &impl prost::Message,
    ) -> Result<A> {
        self.0
            .build
            .call_raw(method, request)
            .await
            .map_err(|status| step_error(&status, &self.0.definition))
    }

    /// A daemon knows no reference for scratch.
    fn check_not_scratch(&self, path: &str) -> Result<()> {
        if self.0.id.is_empty() {
            let status = Status::not_found("no such file or directory");
            let message = format!("{path:?} is not there: the state is scratch");
            return Err(Error::new(status).context(message));
        }
        Ok(())
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Ref").field(&self.0.id).finish()
    }
}

impl From<&Ref> for State {
    fn from(reference: &Ref) -> Self {
        reference.to_state()
    }
}

impl Stat {
    fn new(stat: WireStat) -> Self {
        let kind = kind_of_go(stat.mode);
        let nanoseconds = Duration::from_nanos(stat.mod_time.unsigned_abs());
        let modified = if stat.mod_time < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(nanoseconds)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(nanoseconds)
        };
        let name = stat.path.rsplit('/').next().unwrap_or_default();
        Self {
            name: name.to_owned(),
            kind,
            mode: permissions(stat.mode),
            uid: stat.uid,
            gid: stat.gid,
            size: match kind {
                FileKind::Regular => u64::try_from(stat.size).unwrap_or(0),
                _ => 0,
            },
            modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
            link: (kind == FileKind::Symlink).then_some(stat.linkname),
        }
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::Regular
    }
}

/// The error of a step, named as progress names it.
pub(super) fn step_error(status: &Status, definition: &Definition) -> Error {
    let mut summary = Summary::default();
    for op in definition.ops() {
        let Some(name) = step_name(op) else { continue };
        summary.take(&Event::Vertex(Vertex {
            digest: op.digest().to_string(),
            name,
            ..Vertex::default()
        }));
    }
    Error::from(client::step_error(
        status,
        &summary,
        definition.clone().into(),
    ))
}

/// What progress calls an op; `None` if only the daemon knows.
fn step_name(op: &crate::DefinitionOp) -> Option<String> {
    if let Some(name) = op.metadata().description.get(CUSTOM_NAME) {
        return Some(name.clone());
    }
    match pb::Op::decode(op.bytes()).ok()?.op? {
        pb::op::Op::Exec(exec) => Some(exec.meta?.args.join(" ")),
        pb::op::Op::Source(source) => Some(source.identifier),
        _ => None,
    }
}
