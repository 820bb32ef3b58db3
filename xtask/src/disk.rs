//! Room on the disk: a build that runs out of it fails in a hundred places that say nothing of it.

use std::path::Path;

use anyhow::{Context, Result};

/// What the whole test command takes from nothing: programs and their tests, and the files of two engines.
const NEEDED: u64 = 20_000_000_000;

/// So little that what failed has probably failed for it.
const FULL: u64 = 500_000_000;

/// Bytes that are free for this user where `folder` is.
fn free(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder)
        .with_context(|| format!("cannot ask for the free space at {}", folder.display()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Says that there may be too little room, before anything is started.
#[expect(clippy::print_stderr, reason = "stderr is where a task reports to")]
pub(crate) fn report_little(folder: &Path) -> Result<()> {
    let free = free(folder)?;
    if free < NEEDED {
        eprintln!(
            "warning: {} are free at {}; from nothing, builds and engines take up to {}",
            gigabytes(free),
            folder.display(),
            gigabytes(NEEDED)
        );
    }
    Ok(())
}

/// A failure, with the disk as its likely cause where that is full.
pub(crate) fn explain(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    match free(folder) {
        Ok(free) if free < FULL => error.context(format!(
            "only {} are free at {}: what failed may have failed for that",
            gigabytes(free),
            folder.display()
        )),
        _ => error,
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::gigabytes;

    #[test]
    fn sizes_are_in_gigabytes() {
        assert_eq!(gigabytes(17_250_000_000), "17.2 GB");
        assert_eq!(gigabytes(0), "0.0 GB");
    }
}
