//! Whole file systems that commands have run on, and what an image has of them.

use llb::{Constrain, Diff, Merge, State};

use super::{Joining, Tree, overlay};

/// A whole file system twice: as one that something can run on, and as what an image is laid of.
///
/// To run on trees, a builder has to put their files into one folder. An image needs no such folder: the trees stay the
/// layers that they are, and what commands have changed is laid over them. So an image with a command shares all layers
/// but one with the image without, and how the trees were put together for the command is seen nowhere.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    files: State,
    /// What an image is laid of, without what was changed since `before`. The first has the environment.
    layers: Vec<State>,
    /// The files before the commands that changed them, as far as that is no layer yet.
    before: Option<State>,
    /// How many trees are in it.
    trees: usize,
    joining: Joining,
}

impl Stack {
    /// A file system of one piece.
    pub(crate) fn new(files: State, joining: Joining) -> Self {
        Self {
            layers: vec![files.clone()],
            files,
            before: None,
            trees: 0,
            joining,
        }
    }

    /// The files, to run something on.
    pub(crate) fn files(&self) -> &State {
        &self.files
    }

    /// How many trees are in it.
    pub(crate) fn trees(&self) -> usize {
        self.trees
    }

    /// Trees over it, for something to run on.
    #[track_caller]
    pub(crate) fn with(self, trees: Vec<Tree>) -> Self {
        if trees.is_empty() {
            return self;
        }
        let mut layers = self.all_layers();
        layers.extend(trees.iter().map(|tree| tree.state().clone()));
        Self {
            layers,
            before: None,
            trees: self.trees + trees.len(),
            files: footing(&self.files, trees, self.joining),
            joining: self.joining,
        }
    }

    /// The same with the files as commands have left them.
    #[track_caller]
    pub(crate) fn changed(self, change: impl FnOnce(&State) -> State) -> Self {
        let files = change(&self.files);
        if self.trees == 0 {
            return Self::new(files, self.joining);
        }
        Self {
            before: Some(self.before.unwrap_or(self.files)),
            files,
            ..self
        }
    }

    /// What an image has: it, and trees on top.
    #[track_caller]
    pub(crate) fn image(&self, trees: Vec<Tree>) -> State {
        if self.trees == 0 || self.joining == Joining::Copy {
            return overlay(&self.files, trees, self.joining);
        }
        let mut layers = self.all_layers();
        layers.extend(trees.iter().map(|tree| tree.state().clone()));
        Merge::new(layers).name("join the image").state()
    }

    #[track_caller]
    fn all_layers(&self) -> Vec<State> {
        let changes = self.before.as_ref().map(|before| {
            let diff = Diff::new(before, &self.files);
            diff.name("keep what commands changed").state()
        });
        self.layers.iter().cloned().chain(changes).collect()
    }
}

/// As [`overlay`], for something to run on.
///
/// The files of a merge are linked into one folder then, one by one and all of them again when one tree has changed. So
/// trees from the first that is shared are copied over a merge of those below, which stays as it is: they hold little.
#[track_caller]
fn footing(ground: &State, trees: Vec<Tree>, joining: Joining) -> State {
    let mut below = trees;
    let cut = below.iter().position(Tree::is_shared);
    let above = below.split_off(cut.unwrap_or(below.len()));
    let merged = overlay(ground, below, joining);
    overlay(&merged, above, Joining::Copy)
}
