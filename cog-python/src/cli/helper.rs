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

/// The name that graphs have for the folder.
const FOLDER: &str = "llb-helper";
/// Where the program is in the file system that a graph makes of it.
const PROGRAM: &str = "/llb-helper";

/// Helpers in a folder of this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Helpers {
    folder: PathBuf,
    names: Vec<String>,
    programs: Vec<Helper>,
}

impl Helpers {
    /// The helpers of this machine, see [`Helper::find_all`]. There may be none: not all builds need one.
    pub(super) fn find() -> Result<Self, Failure> {
        let mut found = Self::default();
        for path in Helper::files() {
            found.add(&path)?;
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
        // Builds that run at once share what has the same op: so each content has its own.
        let sent = local(FOLDER)
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
        folder.clone_into(&mut self.folder);
        self.names.push(name.to_owned());
        self.programs.push(helper);
        Ok(())
    }

    /// The helpers, for graphs of a build that is [given](Self::give) their files.
    pub(super) fn lent(&self) -> Vec<Helper> {
        self.programs.clone()
    }

    /// Gives a build the files.
    pub(super) fn give(&self, solve: Solve) -> Solve {
        if self.names.is_empty() {
            return solve;
        }
        let folder = LocalDirectory::new(&self.folder).include(self.names.iter().cloned());
        solve.local(FOLDER, folder)
    }
}
