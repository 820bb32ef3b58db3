//! File ops as the wire has them: numbered actions with their inputs.

use crate::value::user::Owner;

/// `FileOp`: a list of actions, each on the result of another or on an input.
#[derive(Debug)]
pub(crate) struct FileOp {
    pub(crate) actions: Vec<FileActionOp>,
    /// Positions of the inputs in the order in which they are visited, which is not the order of the inputs.
    pub(crate) visits: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct FileActionOp {
    pub(crate) input: FileInput,
    /// What a copy reads; none for other actions.
    pub(crate) secondary: Option<FileInput>,
    /// Where user and group names are looked up.
    pub(crate) names: FileInput,
    /// Whether the result of this action is the result of the op.
    pub(crate) is_output: bool,
    pub(crate) kind: FileActionKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileInput {
    Scratch,
    /// Position among the inputs of the vertex.
    Input(u32),
    /// Position among the actions of the op.
    Action(u32),
}

/// An action with its paths made absolute.
#[derive(Clone, Debug)]
pub(crate) enum FileActionKind {
    Copy(Box<CopyAction>),
    Mkfile {
        path: String,
        mode: u32,
        data: Vec<u8>,
        owner: Option<Owner>,
        created: Option<i64>,
    },
    Mkdir {
        path: String,
        mode: u32,
        parents: bool,
        owner: Option<Owner>,
        created: Option<i64>,
    },
    Rm {
        path: String,
        allow_not_found: bool,
        allow_wildcard: bool,
    },
    Symlink {
        old: String,
        new: String,
        owner: Option<Owner>,
        created: Option<i64>,
    },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct CopyAction {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) mode: Option<i32>,
    pub(crate) mode_text: String,
    pub(crate) follow_symlinks: bool,
    pub(crate) contents_only: bool,
    pub(crate) attempt_unpack: bool,
    pub(crate) create_destination: bool,
    pub(crate) allow_wildcard: bool,
    pub(crate) allow_empty_wildcard: bool,
    pub(crate) created: Option<i64>,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) always_replace: bool,
    pub(crate) required: Vec<String>,
}
