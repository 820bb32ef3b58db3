//! The helper programs of this machine, as the client sends them.
//!
//! A helper can travel in the graph itself, as content of a file op. That is a good megabyte in each of a build's
//! requests, and once more in the record that the daemon keeps of the build. A client sends it as a file instead: once,
//! then not again until it changes. What runs with it is cached by its content.

use std::path::{Path, PathBuf};

use llb::client::{LocalDirectory, Solve};
use llb::lower::Helper;
use llb::{Constrain as _, file, local, scratch};

use super::Failure;
use super::digest::sha256;

/// Where the program is in the file system that a graph makes of it.
const PROGRAM: &str = "/llb-helper";

/// Helpers of this machine, at most one for a platform.
#[derive(Clone, Debug, Default)]
pub(super) struct Helpers {
    files: Vec<HelperFile>,
    digests: Vec<String>,
    programs: Vec<Helper>,
}

/// A helper as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HelperFile {
    /// The name that graphs have for its folder. Links may lead anywhere, so each file has a folder of its own.
    local: String,
    folder: PathBuf,
    name: String,
}

impl Helpers {
    /// The helpers of this machine, see [`Helper::find_all`]. There may be none: not all builds need one.
    pub(super) fn find() -> Result<Self, Failure> {
        Self::of(&Helper::files())
    }

    /// The helpers in files; of two for one platform, the first.
    fn of(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut found = Self::default();
        for path in paths {
            found.add(path)?;
        }
        Ok(found)
    }

    fn add(&mut self, path: &Path) -> Result<(), Failure> {
        let fail = |error: &dyn std::fmt::Display| {
            Failure::new(format!("the helper {}: {error}", path.display()))
        };
        let path = path.canonicalize().map_err(|error| fail(&error))?;
        let bytes = std::fs::read(&path).map_err(|error| fail(&error))?;
        let digest = sha256(bytes.as_slice()).map_err(|error| fail(&error))?;
        let platform = Helper::from_bytes(bytes).map_err(|error| fail(&error))?;
        let platform = platform.platform().clone();
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(fail(&"it is no file"));
        };
        let name = name.to_str().ok_or_else(|| fail(&"its name is no text"))?;
        let own = format!("llb-helper-{}-{}", platform.os, platform.architecture);
        if self.files.iter().any(|file| file.local == own) {
            return Ok(());
        }
        // Builds that run at once share what has the same op: so each content has its own.
        let sent = local(own.as_str())
            .include([name])
            .shared_key_hint(format!("llb-helper {digest}"))
            .name("read llb-helper")
            .state();
        let copy = file::copy(sent, format!("/{name}"), PROGRAM)
            .mode(0o755)
            .created(0);
        let state = scratch().file(copy.name("carry llb-helper"));
        // The folder must have its name in the graph alone.
        let helper = Helper::from_state(&state, PROGRAM, platform).map_err(|error| fail(&error))?;
        self.files.push(HelperFile {
            local: own,
            folder: folder.to_owned(),
            name: name.to_owned(),
        });
        self.digests.push(digest);
        self.programs.push(helper);
        Ok(())
    }

    /// The helpers, for graphs of a build that is [given](Self::give) their files.
    pub(super) fn lent(&self) -> Vec<Helper> {
        self.programs.clone()
    }

    /// What the helpers are; nothing if there are none.
    pub(super) fn digest(&self) -> Option<String> {
        (!self.digests.is_empty()).then(|| self.digests.join(" "))
    }

    /// Gives a build the files.
    pub(super) fn give(&self, solve: Solve) -> Solve {
        self.files.iter().fold(solve, |solve, file| {
            let folder = LocalDirectory::new(&file.folder).include([file.name.as_str()]);
            solve.local(file.local.as_str(), folder)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that passes for a helper of a machine, by ELF's number of it.
    fn program(machine: u8) -> Vec<u8> {
        let mut bytes = Helper::example_bytes();
        bytes[18] = machine;
        bytes
    }

    /// Packages of distributions put programs into folders of their own, and links beside each other.
    #[cfg(unix)]
    #[test]
    fn links_into_different_folders_are_sent_from_where_they_lead() {
        let root = tempfile::tempdir().unwrap();
        let mut links = Vec::new();
        for (architecture, machine) in [("amd64", 62), ("arm64", 183)] {
            let folder = root.path().join(architecture);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("llb-helper"), program(machine)).unwrap();
            let link = root.path().join(format!("llb-helper-linux-{architecture}"));
            std::os::unix::fs::symlink(folder.join("llb-helper"), &link).unwrap();
            links.push(link);
        }
        let helpers = Helpers::of(&links).unwrap();
        assert_eq!(helpers.lent().len(), 2);
        for (helper, file) in helpers.lent().iter().zip(&helpers.files) {
            let text = helper.state().to_text();
            let source = format!("local \"{}\"", file.local);
            assert!(text.contains(&source), "{source} is not in {text}");
            let sent = std::fs::read(file.folder.join(&file.name)).unwrap();
            let platform = Helper::from_bytes(sent).unwrap();
            assert_eq!(platform.platform(), helper.platform());
        }
        assert_ne!(helpers.files[0].local, helpers.files[1].local);
    }

    #[test]
    fn of_two_for_a_platform_the_first_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let paths = ["first", "second"].map(|name| root.path().join(name));
        for path in &paths {
            std::fs::write(path, program(62)).unwrap();
        }
        let helpers = Helpers::of(&paths).unwrap();
        let names: Vec<&str> = helpers
            .files
            .iter()
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!(names, ["first"]);
    }
}
