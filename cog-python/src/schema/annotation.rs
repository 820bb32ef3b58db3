//! Type annotations, as far as schemas need them.

use rustpython_parser::Parse;
use rustpython_parser::ast::{Constant, Expr, Operator};

use super::nesting::too_deep;

/// A type as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Annotation {
    /// A name, dots included.
    Name(String),
    /// `Name[…]`.
    Generic(String, Vec<Annotation>),
    /// `A | B`.
    Union(Vec<Annotation>),
}

impl Annotation {
    /// Reads an annotation; what is no type becomes the name `?`.
    pub(super) fn of(expression: &Expr) -> Self {
        match expression {
            Expr::Constant(constant) => match &constant.value {
                Constant::None => Self::Name("None".into()),
                Constant::Str(text) if too_deep(text).is_none() => {
                    match Expr::parse(text, "annotation") {
                        Ok(inner) => Self::of(&inner),
                        Err(_) => Self::Name(text.clone()),
                    }
                }
                Constant::Str(text) => Self::Name(text.clone()),
                _ => Self::Name("?".into()),
            },
            Expr::Subscript(subscript) => {
                let arguments = match subscript.slice.as_ref() {
                    Expr::Tuple(tuple) => tuple.elts.iter().map(Self::of).collect(),
                    one => vec![Self::of(one)],
                };
                Self::Generic(dotted(&subscript.value), arguments)
            }
            Expr::BinOp(operation) if operation.op == Operator::BitOr => {
                let mut members = Vec::new();
                for side in [&operation.left, &operation.right] {
                    match Self::of(side) {
                        Self::Union(inner) => members.extend(inner),
                        other => members.push(other),
                    }
                }
                Self::Union(members)
            }
            other => Self::Name(dotted(other)),
        }
    }

    /// Whether it is no type: a call, or a number.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Name(name) if name == "?")
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Name(name) if name == "None")
    }
}

/// `a.b.c` of an expression.
pub(super) fn dotted(expression: &Expr) -> String {
    match expression {
        Expr::Name(name) => name.id.to_string(),
        Expr::Attribute(attribute) => format!("{}.{}", dotted(&attribute.value), attribute.attr),
        _ => "?".into(),
    }
}
