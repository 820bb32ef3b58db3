//! Where exports go on this machine.
//!
//! Nothing of an export is visible under its final name until the whole build has succeeded: files
//! and trees are received beside it and moved by [`Targets::commit`]. What is not committed is
//! removed when it is dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::directory::DirectoryMetadata;
use super::{Problem, random_id};

/// How long a slow disk may take for what a finished build has sent.
const SETTLING: Duration = Duration::from_secs(60);

/// The targets of a build by the position of their exporter in the request.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    by_exporter: BTreeMap<usize, Target>,
    /// How many exports are being received.
    receiving: watch::Sender<usize>,
}

/// An export that is being received, until dropped.
#[derive(Debug)]
pub(crate) struct Receiving(watch::Sender<usize>);

/// Where one export goes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: TargetKind,
    destination: PathBuf,
    received: Mutex<Vec<Received>>,
    sink: Option<Sink>,
    /// Whether the whole stream has come.
    streamed: AtomicBool,
}

/// What an exporter sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TargetKind {
    /// A byte stream, into one file.
    File,
    /// A file tree, into a directory. Daemons send one for each platform.
    Directory,
    /// A byte stream, to whoever takes it.
    Stream,
}

/// Takes the bytes of an export as they come.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Mutex<Box<dyn io::Write + Send>>>);

/// A whole export that waits for the build to succeed.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) staging: Staging,
    pub(crate) directories: Vec<DirectoryMetadata>,
}

/// A temporary path that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
}

impl Targets {
    pub(crate) fn insert(&mut self, exporter: usize, target: Target) {
        self.by_exporter.insert(exporter, target);
    }

    pub(crate) fn get(&self, exporter: usize) -> Option<&Target> {
        self.by_exporter.get(&exporter)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_exporter.is_empty()
    }

    /// Counts one more export as being received.
    pub(crate) fn begin(&self) -> Receiving {
        self.receiving.send_modify(|count| *count += 1);
        Receiving(self.receiving.clone())
    }

    /// Waits until nothing is being received. A daemon ends a build when it has sent the last byte,
    /// which may still be on its way to the disk here.
    pub(crate) async fn settled(&self) {
        let mut receiving = self.receiving.subscribe();
        drop(tokio::time::timeout(SETTLING, receiving.wait_for(|count| *count == 0)).await);
    }

    /// Moves everything received to its final place.
    pub(crate) fn commit(&self) -> Result<(), Problem> {
        self.by_exporter.values().try_for_each(Target::commit)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Target {
    /// A target, after checks that spare a build whose export cannot be written.
    pub(crate) fn new(kind: TargetKind, destination: &Path) -> Result<Self, Problem> {
        let fail = |what: &str| {
            let shown = destination.display();
            Err(Problem::Export(format!("cannot export to {shown}: {what}")))
        };
        let metadata = fs::metadata(destination);
        match (kind, &metadata) {
            (TargetKind::File, Ok(metadata)) if metadata.is_dir() => {
                return fail("it is a directory, a file is expected");
            }
            (TargetKind::Directory, Ok(metadata)) if !metadata.is_dir() => {
                return fail("it is a file, a directory is expected");
            }
            _ => {}
        }
        if destination.file_name().is_none() && metadata.is_err() {
            return fail("it names no file");
        }
        if kind == TargetKind::File && !parent(destination).is_dir() {
            return fail("its parent directory does not exist");
        }
        Ok(Self {
            kind,
            destination: destination.to_owned(),
            received: Mutex::default(),
            sink: None,
            streamed: AtomicBool::new(false),
        })
    }

    /// A target that keeps nothing and shows everything at once.
    pub(crate) fn stream(sink: Sink) -> Self {
        Self {
            kind: TargetKind::Stream,
            destination: "a stream".into(),
            received: Mutex::default(),
            sink: Some(sink),
            streamed: AtomicBool::new(false),
        }
    }

    /// Writes to the stream.
    pub(crate) fn write(&self, data: &[u8]) -> io::Result<()> {
        let Some(sink) = &self.sink else {
            return Err(io::Error::other("there is no stream"));
        };
        let mut writer = sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(data)?;
        if data.is_empty() {
            writer.flush()?;
            self.streamed.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// A new temporary path on the file system of the destination. Nothing is there yet.
    pub(crate) fn stage(&self) -> Result<Staging, Problem> {
        let staging = || {
            let id = random_id()?;
            if self.kind == TargetKind::Directory && self.destination.is_dir() {
                // Beside it could be another file system, which nothing can be renamed across.
                return Ok(self.destination.join(format!(".llb-partial-{id}")));
            }
            let parent = parent(&self.destination);
            fs::create_dir_all(&parent)?;
            let name = self.destination.file_name().unwrap_or_default();
            let name = format!(".{}.llb-partial-{id}", name.to_string_lossy());
            Ok(parent.join(name))
        };
        staging()
            .map(|path| Staging { path })
            .map_err(|error: io::Error| self.problem(&error))
    }

    /// Keeps a whole export until the build has succeeded.
    pub(crate) fn keep(&self, received: Received) -> Result<(), Problem> {
        let mut all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        if self.kind == TargetKind::File && !all.is_empty() {
            let shown = self.destination.display();
            return Err(Problem::Export(format!(
                "the daemon sent the export to {shown} twice"
            )));
        }
        all.push(received);
        Ok(())
    }

    pub(crate) fn problem(&self, error: &io::Error) -> Problem {
        let shown = self.destination.display();
        Problem::Export(format!("cannot export to {shown}: {error}"))
    }

    fn commit(&self) -> Result<(), Problem> {
        if self.streamed.load(Ordering::Acquire) {
            return Ok(());
        }
        let received = {
            let mut all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *all)
        };
        if received.is_empty() {
            let shown = self.destination.display();
            return Err(Problem::Export(format!(
                "the build succeeded, but the daemon did not send the export to {shown}"
            )));
        }
        for one in received {
            let result = match self.kind {
                TargetKind::File => fs::rename(&one.staging.path, &self.destination),
                TargetKind::Directory => one.merge_into(&self.destination),
                TargetKind::Stream => Ok(()),
            };
            result.map_err(|error| self.problem(&error))?;
        }
        Ok(())
    }
}

impl Sink {
    pub(crate) fn new(writer: impl io::Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sink(..)")
    }
}

impl Staging {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit there is nothing left, or an empty directory.
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&self.path),
            Ok(_) => fs::remove_file(&self.path),
            Err(_) => Ok(()),
        };
        drop(removed);
    }
}

impl Received {
    /// Moves the tree into a directory, over what is there.
    fn merge_into(&self, destination: &Path) -> io::Result<()> {
        let from = &self.staging.path;
        if destination.is_dir() {
            refuse_conflicts(from, destination)?;
            merge(from, destination)?;
        } else {
            fs::rename(from, destination)?;
        }
        // Modes come last: a directory that may not be written cannot be moved or filled.
        self.directories
            .iter()
            .rev()
            .try_for_each(|directory| directory.apply(destination))
    }
}

/// A file of an export never takes the place of a directory: that would delete a tree.
fn refuse_conflicts(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let Ok(present) = fs::symlink_metadata(&target) else {
            continue;
        };
        if present.is_dir() {
            if entry.file_type()?.is_dir() {
                refuse_conflicts(&entry.path(), &target)?;
            } else {
                return Err(io::Error::other(format!(
                    "{} is a directory there and a file in the export; remove it first",
                    target.display()
                )));
            }
        }
    }
    Ok(())
}

fn merge(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let is_directory = entry.file_type()?.is_dir();
        match fs::symlink_metadata(&target) {
            Ok(present) if present.is_dir() && is_directory => {
                merge(&entry.path(), &target)?;
                continue;
            }
            // A link to a directory is replaced, never followed: it may lead out of the export.
            Ok(_) if is_directory => fs::remove_file(&target)?,
            _ => {}
        }
        fs::rename(entry.path(), &target)?;
    }
    Ok(())
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(target: &Target, files: &[&str]) -> Received {
        let staging = target.stage().unwrap();
        for file in files {
            let path = staging.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        Received {
            staging,
            directories: Vec::new(),
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_export_without_commit_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        for destination in [home.path().join("new"), home.path().to_owned()] {
            let target = Target::new(TargetKind::Directory, &destination).unwrap();
            target.keep(received(&target, &["a/b"])).unwrap();
            assert_ne!(names(home.path()), [""; 0]);
            drop(target);
            assert_eq!(names(home.path()), [""; 0]);
        }
    }

    #[test]
    fn a_tree_is_merged_over_what_is_there() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("a")).unwrap();
        fs::write(home.path().join("a/old"), "old").unwrap();
        fs::write(home.path().join("a/b"), "old").unwrap();
        let mut targets = Targets::default();
        let target = Target::new(TargetKind::Directory, home.path()).unwrap();
        target.keep(received(&target, &["a/b", "c"])).unwrap();
        targets.insert(0, target);
        targets.commit().unwrap();
        assert_eq!(names(home.path()), ["a", "c"]);
        assert_eq!(names(&home.path().join("a")), ["b", "old"]);
        assert_eq!(fs::read_to_string(home.path().join("a/b")).unwrap(), "a/b");
    }

    #[test]
    fn links_at_the_destination_are_replaced_and_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), home.path().join("a")).unwrap();
        let target = Target::new(TargetKind::Directory, home.path()).unwrap();
        target.keep(received(&target, &["a/b"])).unwrap();
        target.commit().unwrap();
        assert_eq!(names(outside.path()), [""; 0]);
        assert_eq!(names(&home.path().join("a")), ["b"]);
    }

    #[test]
    fn a_file_does_not_delete_a_directory() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("a")).unwrap();
        fs::write(home.path().join("a/old"), "old").unwrap();
        let target = Target::new(TargetKind::Directory, home.path()).unwrap();
        target.keep(received(&target, &["a", "b"])).unwrap();
        let problem = target.commit().unwrap_err();
        assert!(problem.message().contains("remove it first"), "{problem:?}");
        assert_eq!(names(home.path()), ["a"], "nothing was moved");
    }

    #[test]
    fn impossible_targets_are_refused_before_the_build() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Target::new(TargetKind::File, home.path()).is_err());
        assert!(Target::new(TargetKind::Directory, &file).is_err());
        assert!(Target::new(TargetKind::File, &home.path().join("no/file")).is_err());
    }
}
