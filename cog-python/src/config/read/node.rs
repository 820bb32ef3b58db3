//! What the reader of every key needs: kinds of nodes, and findings at their places.

use super::Reader;
use crate::config::keys::Mapping;
use crate::diagnostic::{Span, Spanned, Topic};
use crate::yaml::{Kind, Node, Value};

/// The entries of a mapping that are read, by key.
pub(super) struct Entries<'n>(Vec<(&'n Spanned<String>, &'n Node)>);

impl<'n> Entries<'n> {
    pub(super) fn get(&self, name: &str) -> Option<(&'n Spanned<String>, &'n Node)> {
        self.0.iter().copied().find(|(key, _)| key.value == name)
    }

    /// The value of a key, unless it is written without one.
    pub(super) fn value(&self, name: &str) -> Option<&'n Node> {
        self.get(name)
            .map(|(_, node)| node)
            .filter(|node| node.kind() != Kind::Null)
    }
}

/// A key in backquotes; `KEY item` names an element of its list.
fn quoted(name: &str) -> String {
    match name.strip_suffix(" item") {
        Some(key) => format!("`{key}` item"),
        None => format!("`{name}`"),
    }
}

impl Reader<'_> {
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.report.push(self.source.error(span, message));
    }

    pub(super) fn error_hint(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report
            .push(self.source.error(span, message).hint(hint));
    }

    pub(super) fn warn(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report
            .push(self.source.warning(span, message).hint(hint));
    }

    /// Warns of a key that has a successor.
    pub(super) fn deprecated(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let finding = self.source.warning(span, message).hint(hint);
        self.report.push(finding.about(Topic::Deprecated));
    }

    pub(super) fn expected(&mut self, node: &Node, name: &str, expected: &str) {
        self.error(
            node.span,
            format!(
                "{} must be {expected}, found {}",
                quoted(name),
                node.kind().name()
            ),
        );
    }

    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n Node,
        name: &str,
        known: &Mapping,
    ) -> Option<Entries<'n>> {
        let Value::Mapping(entries) = &node.value else {
            self.expected(node, name, "a mapping");
            return None;
        };
        let mut read = Vec::new();
        for (key, value) in entries {
            match known.check(self.source, key) {
                Ok(()) => read.push((key, value)),
                Err(finding) => self.report.push(finding),
            }
        }
        Some(Entries(read))
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, name: &str) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.expected(node, name, "a list");
        &[]
    }

    /// A string, or a number taken as it is written: `3.10` stays `3.10`.
    pub(super) fn text(&mut self, node: &Node, name: &str) -> Option<Spanned<String>> {
        match (&node.value, node.kind()) {
            (Value::Scalar { text, .. }, Kind::String | Kind::Number) => {
                Some(Spanned::new(text.clone(), node.span))
            }
            (Value::Scalar { .. }, Kind::Null) => {
                self.error(
                    node.span,
                    format!("{} must be a string, but it is empty", quoted(name)),
                );
                None
            }
            (Value::Scalar { text, .. }, Kind::Boolean) => {
                self.error_hint(
                    node.span,
                    format!("{} must be a string, found a boolean", quoted(name)),
                    format!("quote it if you mean the word: \"{text}\""),
                );
                None
            }
            _ => {
                self.expected(node, name, "a string");
                None
            }
        }
    }

    pub(super) fn texts(
        &mut self,
        entries: &Entries<'_>,
        name: &str,
        full: &str,
    ) -> Vec<Spanned<String>> {
        let Some(node) = entries.value(name) else {
            return Vec::new();
        };
        let items = self.list(node, full);
        items
            .iter()
            .filter_map(|item| self.text(item, &format!("{full} item")))
            .collect()
    }

    /// Parses a text, reporting why it is not what the key wants.
    pub(super) fn parsed<T>(&mut self, text: &Spanned<String>, name: &str) -> Option<Spanned<T>>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        match text.value.parse() {
            Ok(value) => Some(Spanned::new(value, text.span)),
            Err(error) => {
                self.error(
                    text.span,
                    format!("{} {error}, found `{}`", quoted(name), text.value),
                );
                None
            }
        }
    }

    pub(super) fn required(
        &mut self,
        entries: &Entries<'_>,
        name: &str,
        mapping: Span,
    ) -> Option<Spanned<String>> {
        if let Some(node) = entries.value(name) {
            return self.text(node, name);
        }
        let span = entries.get(name).map_or(mapping, |(key, _)| key.span);
        self.error(span, format!("`{name}` is required"));
        None
    }
}
