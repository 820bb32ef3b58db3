//! Trees, and laying them over a file system.

use llb::{Constrain, Exec, FileActions, Merge, State, bind, file, scratch};

/// A state that holds one folder and nothing else.
#[derive(Clone, Debug)]
pub struct Tree {
    state: State,
    path: String,
    /// How a tree that is nothing but a copy was made: copying it again would copy twice.
    copied: Option<FileActions<file::Copy>>,
    /// Whether it changes with any of several small things.
    is_shared: bool,
}

/// How trees are laid over a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Joining {
    /// By `MergeOp`, and by `DiffOp` for what commands have changed: each tree stays a layer of its own, nothing is copied.
    #[default]
    Merge,
    /// By copying, for engines without them. The files are the same.
    Copy,
}

impl Tree {
    /// A state whose only content is the folder at this absolute path.
    pub fn new(state: State, path: impl Into<String>) -> Self {
        Self {
            state,
            path: path.into(),
            copied: None,
            is_shared: false,
        }
    }

    /// Says that the tree holds several small things, any of which changes it.
    #[must_use = "returns the changed tree"]
    pub(crate) fn shared(self) -> Self {
        Self {
            is_shared: true,
            ..self
        }
    }

    /// Whether it holds several small things.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// A tree that is made by copying alone.
    pub fn copied(actions: FileActions<file::Copy>, path: impl Into<String>) -> Self {
        Self {
            state: scratch().file(actions.clone()),
            path: path.into(),
            copied: Some(actions),
            is_shared: false,
        }
    }

    /// A tree with an empty folder.
    pub fn empty(path: impl Into<String>) -> Self {
        let path = path.into();
        let folder = file::mkdir(path.as_str(), 0o755)
            .parents()
            .created(0)
            .name(format!("folder {path}"));
        Self {
            state: scratch().file(folder),
            path,
            copied: None,
            is_shared: false,
        }
    }

    /// The folder, as an absolute path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Runs a step on a file system with this tree mounted at its path; gives the tree as the step
    /// leaves it. Nothing else of what the step writes is kept.
    #[must_use = "returns the changed tree"]
    #[track_caller]
    pub fn change(&self, ground: &State, exec: Exec) -> Self {
        let mount = bind(self.path.as_str(), &self.state).selector(self.path.as_str());
        let state = ground.exec(exec.mount(mount)).get_mount(&self.path);
        Self {
            state,
            path: self.path.clone(),
            copied: None,
            is_shared: self.is_shared,
        }
    }

    /// The same files, all with a fixed time: also the folders above the tree, whose time no step can set.
    #[must_use = "returns the changed tree"]
    #[track_caller]
    pub fn settled(&self) -> Self {
        let copy = file::copy(&self.state, "/", "/")
            .contents_only()
            .created(0)
            .name(format!("settle {}", self.path));
        Self::copied(copy, self.path.as_str())
    }

    /// Mounts this tree at its path into a step that only reads it.
    pub(super) fn lend(&self, exec: Exec) -> Exec {
        exec.mount(
            bind(self.path.as_str(), &self.state)
                .selector(self.path.as_str())
                .readonly(),
        )
    }
}

/// Lays trees over a whole file system, later ones on top. Environment and image config are those
/// of the file system.
#[track_caller]
pub fn overlay(ground: &State, trees: impl IntoIterator<Item = Tree>, joining: Joining) -> State {
    let trees: Vec<Tree> = trees.into_iter().collect();
    let mut names: Vec<&str> = trees.iter().map(Tree::path).collect();
    names.dedup();
    let name = format!("join {}", names.join(", "));
    match joining {
        _ if trees.is_empty() => ground.clone(),
        Joining::Merge => {
            let states = [ground].into_iter().chain(trees.iter().map(Tree::state));
            Merge::new(states).name(name).state()
        }
        Joining::Copy => trees.iter().fold(ground.clone(), |state, tree| {
            let again = || {
                file::copy(&tree.state, tree.path.as_str(), tree.path.as_str())
                    .contents_only()
                    .create_destination()
                    .created(0)
                    .name(format!("copy {}", tree.path))
            };
            state.file(tree.copied.clone().unwrap_or_else(again))
        }),
    }
}
