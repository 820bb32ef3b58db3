//! One `up` or `down` at a time per testbed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;

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
        fs::create_dir_all(layout.root())
            .with_context(|| format!("cannot create {}", layout.root().display()))?;
        let path = layout.lock();
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
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
        file.set_len(0)?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Lock { _file: file })
    }
}
