//! Packs folders as image layers: one tar per layer, the same bytes for the same files.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};

use super::layout::Layout;
use super::shell;

/// A layer on disk.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// The compressed tar.
    pub(crate) file: PathBuf,
    /// Digest of the compressed tar.
    pub(crate) digest: String,
    /// Size of the compressed tar, in bytes.
    pub(crate) size: u64,
    /// Digest of the tar before compression.
    pub(crate) diff_id: String,
}

/// Packs all of `folder` into the gzip-compressed tar `file`.
///
/// Files younger than `epoch`, in seconds since 1970, are dated back to it. What lies in `dev`,
/// `proc` and `sys` at the top is left out: containers get their own.
pub(crate) fn pack(layout: &Layout, folder: &Path, epoch: u64, file: &Path) -> Result<Layer> {
    let mut tar = shell::command(layout, "tar");
    tar.arg("--create")
        .arg("--directory")
        .arg(folder)
        .args([
            "--exclude=./dev/*",
            "--exclude=./proc/*",
            "--exclude=./sys/*",
        ])
        .args(["--sort=name", "--numeric-owner", "--clamp-mtime"])
        .arg(format!("--mtime=@{epoch}"))
        // The posix format is the one that carries capabilities of files; its headers must not
        // hold a process id or times that vary.
        .args(["--format=posix", "--xattrs"])
        .arg("--xattrs-include=security.capability")
        .arg("--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime")
        .arg(".")
        .stdout(Stdio::piped());
    let mut tar = tar.spawn().context("cannot run tar")?;
    let mut sum = shell::command(layout, "sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run sha256sum")?;
    let mut gzip = shell::command(layout, "gzip")
        .args(["-1", "--no-name"])
        .stdin(Stdio::piped())
        .stdout(File::create(file).with_context(|| format!("cannot write {}", file.display()))?)
        .spawn()
        .context("cannot run gzip")?;

    let mut from = tar.stdout.take().context("tar has no output")?;
    let mut to_sum = sum.stdin.take().context("sha256sum has no input")?;
    let mut to_gzip = gzip.stdin.take().context("gzip has no input")?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        to_sum.write_all(&buffer[..read])?;
        to_gzip.write_all(&buffer[..read])?;
    }
    drop((to_sum, to_gzip));
    succeeded("tar", &mut tar)?;
    succeeded("gzip", &mut gzip)?;
    let sum = sum.wait_with_output()?;
    Ok(Layer {
        file: file.to_owned(),
        digest: digest_of_file(layout, file)?,
        size: file.metadata()?.len(),
        diff_id: digest_in(&String::from_utf8_lossy(&sum.stdout))?,
    })
}

/// Digest of a file's content, as in `sha256:...`.
pub(crate) fn digest_of_file(layout: &Layout, file: &Path) -> Result<String> {
    digest_in(&shell::output(
        shell::command(layout, "sha256sum").arg("--").arg(file),
    )?)
}

/// Turns what overlayfs notes in its upper folder about deleted files into what a layer says.
///
/// A deleted file is a character device 0:0 there, and an empty file with the prefix `.wh.` in a
/// layer (OCI image specification, "Whiteouts").
pub(crate) fn convert_whiteouts(upper: &Path) -> Result<()> {
    for entry in fs::read_dir(upper)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            convert_whiteouts(&entry.path())?;
        } else if kind.is_char_device() && entry.metadata()?.rdev() == 0 {
            let mut name = std::ffi::OsString::from(".wh.");
            name.push(entry.file_name());
            fs::remove_file(entry.path())?;
            File::create(upper.join(name))?;
        }
    }
    if is_opaque(upper) {
        File::create(upper.join(".wh..wh..opq"))?;
    }
    Ok(())
}

/// Whether overlayfs hides all that lower layers have in this folder.
fn is_opaque(folder: &Path) -> bool {
    let mut value = [0; 1];
    rustix::fs::lgetxattr(folder, "trusted.overlay.opaque", &mut value)
        .is_ok_and(|length| length == 1 && value == *b"y")
}

fn succeeded(program: &str, child: &mut Child) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        bail!("{program} ended with {status} while packing a layer");
    }
    Ok(())
}

/// The digest in a line printed by sha256sum.
fn digest_in(line: &str) -> Result<String> {
    line.split_whitespace()
        .next()
        .map(|sum| sum.trim_start_matches('\\'))
        .filter(|sum| sum.len() == 64)
        .map(|sum| format!("sha256:{sum}"))
        .with_context(|| format!("expected a checksum from sha256sum, found {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::FileTimes;
    use std::time::{Duration, SystemTime};

    const EPOCH: u64 = 1_686_355_200;

    fn layer_of(young: SystemTime) -> Layer {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let content = folder.path().join("content");
        fs::create_dir_all(content.join("usr/bin")).unwrap();
        fs::create_dir_all(content.join("dev/null")).unwrap();
        fs::write(content.join("usr/bin/tool"), "tool").unwrap();
        let times = FileTimes::new().set_modified(young).set_accessed(young);
        let tool = File::options()
            .write(true)
            .open(content.join("usr/bin/tool"))
            .unwrap();
        tool.set_times(times).unwrap();
        pack(
            &layout,
            &content,
            EPOCH,
            &folder.path().join("layer.tar.gz"),
        )
        .unwrap()
    }

    #[test]
    fn files_made_at_different_times_give_the_same_layer() {
        let now = SystemTime::now();
        let earlier = now - Duration::from_secs(12_345);
        let (one, two) = (layer_of(now), layer_of(earlier));
        assert_eq!((&one.digest, &one.diff_id), (&two.digest, &two.diff_id));
        assert_ne!(one.digest, one.diff_id);
    }

    #[test]
    fn checksums_are_read_with_and_without_an_escaped_name() {
        let sum = "0".repeat(64);
        assert_eq!(
            digest_in(&format!("{sum}  -\n")).unwrap(),
            format!("sha256:{sum}")
        );
        assert_eq!(
            digest_in(&format!("\\{sum}  a\\nb")).unwrap(),
            format!("sha256:{sum}")
        );
        assert!(digest_in("sha256sum: failed").is_err());
    }
}
