//! One `up` or `down` at a time per testbed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::layout::Layout;
use super::report::Report;

/// The testbed's lock; let go when dropped, and by the kernel when the process dies.
///
/// Daemons do not inherit it: files opened by Rust's standard library close on exec.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other process works on this testbed.
    pub(crate) fn acquire(layout: &Layout, report: &Report) -> Result<Lock> {
        let path = layout.lock();
        let mut file = loop {
            let file = Lock::locked(layout, &path, report)?;
            // The holder that we waited for may have deleted the testbed, lock and all.
            let ours = file.metadata()?;
            if fs::metadata(&path)
                .is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino()))
            {
                break file;
            }
        };
        file.set_len(0)?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Lock { _file: file })
    }

    fn locked(layout: &Layout, path: &Path, report: &Report) -> Result<File> {
        fs::create_dir_all(layout.root())
            .with_context(|| format!("cannot create {}", layout.root().display()))?;
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                report.say(&format!(
                    "another testbed command works here (process {}); waiting for it",
                    holder.trim()
                ));
                file.lock().context("cannot wait for the testbed's lock")?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_lock_that_was_deleted_while_waiting_is_taken_anew() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(&folder.path().join("testbed")).unwrap();
        let report = Report::start();
        let first = Lock::acquire(&layout, &report).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| Lock::acquire(&layout, &report).unwrap());
            thread::sleep(Duration::from_millis(50));
            fs::remove_dir_all(layout.root()).unwrap();
            drop(first);
            let _second = second.join().unwrap();
            assert!(layout.lock().is_file());
            let third = File::open(layout.lock()).unwrap();
            assert!(matches!(third.try_lock(), Err(TryLockError::WouldBlock)));
        });
    }
}
