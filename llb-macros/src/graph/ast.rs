//! The statements of a graph, as they were written.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, Ident, LitStr, Local, Pat};

/// The content of `graph!` or of a block in it.
pub(super) struct Block {
    pub(super) statements: Vec<Statement>,
    /// What was written, to find out which names are used.
    pub(super) tokens: TokenStream,
    pub(super) span: Span,
}

/// A statement with the word it begins with.
pub(super) struct Statement {
    pub(super) word: Ident,
    pub(super) kind: StatementKind,
}

pub(super) enum StatementKind {
    From(Value),
    Let(Box<Local>),
    Graph {
        name: Ident,
        body: Block,
    },
    Fork {
        name: Ident,
        body: LayerBody,
    },
    Merge(Forks),
    /// `layer` or `squash`.
    Layer(LayerBody),
    Run(Command),
    Exec {
        name: Ident,
        command: Command,
    },
    Action(Action),
    File(Vec<Action>),
    /// `env` and its like.
    Env {
        name: EnvName,
        value: Expr,
    },
    Label {
        name: Expr,
        value: Expr,
    },
    /// A method of `State` with one value.
    Value(Expr),
    /// A method of `State` with a word that stands for a variant: `network host`.
    Choice {
        enumeration: &'static str,
        variant: &'static str,
        span: Span,
    },
    If(If),
    For {
        pattern: Pat,
        values: Expr,
        body: Block,
    },
    Match {
        value: Expr,
        arms: Vec<Arm>,
    },
    Return(Expr),
}

pub(super) enum LayerBody {
    /// Rust code that gives a layer.
    Rust(Expr),
    Block {
        name: Option<LitStr>,
        body: Block,
    },
}

pub(super) enum Forks {
    Named(Vec<Ident>),
    Rust(Expr),
}

pub(super) struct If {
    pub(super) condition: Expr,
    pub(super) body: Block,
    pub(super) otherwise: Option<Box<Else>>,
}

pub(super) enum Else {
    If(If),
    Block(Block),
}

pub(super) struct Arm {
    pub(super) pattern: Pat,
    pub(super) guard: Option<Expr>,
    pub(super) body: Block,
}

pub(super) enum EnvName {
    Ident(Ident),
    Text(LitStr),
}

/// What is run, and with what.
pub(super) struct Command {
    pub(super) words: CommandWords,
    pub(super) settings: Vec<Setting>,
}

pub(super) enum CommandWords {
    Shell(LitStr),
    Arguments(Vec<Expr>),
    Rust(Expr),
}

/// What stands behind `with`.
pub(super) enum Setting {
    Env {
        word: Ident,
        name: EnvName,
        value: Expr,
    },
    /// `cache(…)` and its like.
    Mount(Call),
    Flag(Ident),
    Value {
        word: Ident,
        value: Expr,
    },
    Choice {
        word: Ident,
        enumeration: &'static str,
        variant: &'static str,
        span: Span,
    },
}

/// A call of a known function with options: `cache("/root/.cache", id = "pip", locked)`.
pub(super) struct Call {
    pub(super) function: Ident,
    pub(super) arguments: Vec<Value>,
    pub(super) options: Vec<CallOption>,
}

/// `key = value`, or a flag.
pub(super) struct CallOption {
    pub(super) key: Ident,
    pub(super) value: Option<Expr>,
}

/// Where a state is wanted: a known source, or Rust code.
pub(super) enum Value {
    Call(Call),
    Scratch(Ident),
    Rust(Expr),
}

/// A file action.
pub(super) struct Action {
    pub(super) word: Ident,
    pub(super) kind: ActionKind,
    pub(super) options: Vec<CallOption>,
}

pub(super) enum ActionKind {
    Copy {
        from: Value,
        source: Expr,
        destination: Expr,
    },
    Mkdir {
        path: Expr,
    },
    Mkfile {
        path: Expr,
        data: Expr,
    },
    Symlink {
        new: Expr,
        old: Expr,
    },
    Rm {
        path: Expr,
    },
}

impl Block {
    /// Whether the last statement gives another value than the state.
    pub(super) fn returns_value(&self) -> bool {
        let returns = |statement: &Statement| matches!(statement.kind, StatementKind::Return(_));
        self.statements.iter().any(returns)
    }

    /// Whether anything in the block assigns to the state.
    pub(super) fn changes_state(&self) -> bool {
        self.statements
            .iter()
            .any(|statement| statement.kind.changes_state())
    }
}

impl StatementKind {
    /// Whether the state after this is another than before.
    pub(super) fn changes_state(&self) -> bool {
        match self {
            Self::From(_)
            | Self::Let(_)
            | Self::Graph { .. }
            | Self::Fork { .. }
            | Self::Exec { .. }
            | Self::Return(_) => false,
            Self::If(choice) => choice.any(Block::changes_state),
            Self::For { body, .. } => body.changes_state(),
            Self::Match { arms, .. } => arms.iter().any(|arm| arm.body.changes_state()),
            _ => true,
        }
    }

    /// Whether the file system after this is another than before, so that forks of before cannot be merged.
    pub(super) fn changes_files(&self) -> bool {
        let in_block = |block: &Block| {
            block
                .statements
                .iter()
                .any(|statement| statement.kind.changes_files())
        };
        match self {
            Self::Run(_)
            | Self::Action(_)
            | Self::File(_)
            | Self::Merge(_)
            | Self::Layer(LayerBody::Rust(_)) => true,
            Self::Layer(LayerBody::Block { body, .. }) | Self::For { body, .. } => in_block(body),
            Self::If(choice) => choice.any(in_block),
            Self::Match { arms, .. } => arms.iter().any(|arm| in_block(&arm.body)),
            _ => false,
        }
    }
}

impl If {
    /// Whether something holds for one of the blocks.
    pub(super) fn any(&self, test: impl Fn(&Block) -> bool + Copy) -> bool {
        test(&self.body)
            || match self.otherwise.as_deref() {
                Some(Else::If(next)) => next.any(test),
                Some(Else::Block(block)) => test(block),
                None => false,
            }
    }
}
