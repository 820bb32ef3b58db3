//! The files of one testbed: every path is named here and nowhere else.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

/// Longest path of a unix socket, in bytes, without the closing zero (`sun_path` of `unix(7)`).
const SOCKET_PATH_LIMIT: usize = 107;

/// Room for the longest socket name that an engine makes below the run folder, as in
/// `/graphdriver/libnetwork/0123456789ab.sock`.
const LONGEST_SOCKET_NAME: usize = 44;

/// The paths of a testbed.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
    run: PathBuf,
    id: String,
}

impl Layout {
    /// `target/testbed` of the workspace that this program was built from.
    pub(crate) fn default_root() -> Result<PathBuf> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let workspace = manifest
            .parent()
            .context("the folder of xtask has no parent; name a testbed folder with --root")?;
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        Ok(workspace.join(target).join("testbed"))
    }

    /// Takes `root` as the testbed's folder; creates nothing.
    pub(crate) fn new(root: &Path) -> Result<Layout> {
        let root = absolute(root)?;
        let text = root
            .to_str()
            .with_context(|| format!("testbed folder {} is not UTF-8", root.display()))?;
        // apt options, overlay mount options and debootstrap's shell code cannot quote these.
        if let Some(found) = text
            .chars()
            .find(|c| c.is_whitespace() || ",:;\\\"'$`*?[]".contains(*c))
        {
            bail!(
                "testbed folder {text:?} has the character {found:?}, which apt and debootstrap \
                 cannot take; name another folder with --root"
            );
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let id = format!("{:012x}", hasher.finish() & 0xffff_ffff_ffff);
        let inside = root.join("run");
        let run = if inside.as_os_str().len() + LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT {
            inside
        } else {
            PathBuf::from(format!("/tmp/llb-testbed-{id}"))
        };
        Ok(Layout { root, run, id })
    }

    /// The folder of this testbed, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Twelve hex digits that tell this testbed from those of other clones.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Sockets, pid files and configs; exists only while the testbed is up.
    pub(crate) fn run(&self) -> &Path {
        &self.run
    }

    /// Creates the run folder, readable by its owner alone.
    pub(crate) fn create_run(&self) -> Result<()> {
        if let Err(error) = fs::DirBuilder::new().mode(0o700).create(&self.run) {
            let found = fs::symlink_metadata(&self.run)
                .ok()
                .filter(|found| found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0);
            ensure!(
                error.kind() == std::io::ErrorKind::AlreadyExists && found.is_some(),
                "cannot use {} as run folder: {error}",
                self.run.display()
            );
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Private apt state of one suite.
    pub(crate) fn apt(&self, suite: &str) -> PathBuf {
        self.root.join("apt").join(suite)
    }

    /// Packages that debootstrap downloaded, by suite.
    pub(crate) fn package_cache(&self, suite: &str) -> PathBuf {
        self.root.join("cache").join(suite)
    }

    /// Scratch folder for making images; removed afterwards.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Folders on their way out; a background process deletes them.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// What a daemon stores.
    pub(crate) fn data(&self, daemon: &str) -> PathBuf {
        self.root.join("data").join(daemon)
    }

    /// Which images the registry holds, and how they were made.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("data").join("images.json")
    }

    pub(crate) fn uv_python(&self) -> PathBuf {
        self.root.join("uv-python")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("log").join(format!("{name}.log"))
    }

    /// A socket in the run folder.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.sock"))
    }
}

/// `path` from the root, with symbolic links resolved as far as it exists.
fn absolute(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path)
        .with_context(|| format!("cannot make {} absolute", path.display()))?;
    let mut existing = path.as_path();
    let mut rest = Vec::new();
    loop {
        if let Ok(real) = fs::canonicalize(existing) {
            return Ok(rest
                .into_iter()
                .rev()
                .fold(real, |path, name| path.join(name)));
        }
        match (existing.parent(), existing.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name.to_owned());
                existing = parent;
            }
            _ => return Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_a_short_root_lie_inside_it() {
        let layout = Layout::new(Path::new("/srv/clone/target/testbed")).unwrap();
        assert_eq!(layout.run(), Path::new("/srv/clone/target/testbed/run"));
    }

    #[test]
    fn sockets_of_a_long_root_stay_within_the_limit() {
        let long = format!("/srv/{}/target/testbed", "deep/".repeat(30));
        let layout = Layout::new(Path::new(&long)).unwrap();
        let longest = layout.run().as_os_str().len() + LONGEST_SOCKET_NAME;
        assert!(longest <= SOCKET_PATH_LIMIT, "{longest} bytes");
    }

    #[test]
    fn two_clones_have_two_ids() {
        let one = Layout::new(Path::new("/srv/one/target/testbed")).unwrap();
        let two = Layout::new(Path::new("/srv/two/target/testbed")).unwrap();
        assert_ne!(one.id(), two.id());
    }

    #[test]
    fn a_root_that_apt_cannot_take_is_refused() {
        let error = Layout::new(Path::new("/srv/my clone/target/testbed")).unwrap_err();
        assert!(error.to_string().contains("--root"), "{error}");
    }

    #[test]
    fn a_linked_root_and_its_target_are_one_testbed() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
        let direct = Layout::new(&real.join("target/testbed")).unwrap();
        let linked = Layout::new(&folder.path().join("link/target/testbed")).unwrap();
        assert_eq!(direct.root(), linked.root());
        assert_eq!(direct.id(), linked.id());
    }
}
