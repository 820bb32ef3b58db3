//! YAML as a tree that knows where every node was written.
//!
//! A typed deserializer stops at the first mistake; users of `cog.yaml` want all of them. So the
//! file becomes a small tree of [`Node`]s here, and the readers in [`config`](crate::config) walk
//! it and collect what is wrong. Scalars keep their text: an unquoted `3.10` stays `3.10`.
//!
//! Anchors and aliases work; a budget on the number of nodes stops files that multiply
//! themselves. Merge keys (`<<`), tags of one's own and several documents are refused.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::{Diagnostic, Source, Span, Spanned};

/// Largest file that is read, in bytes: a configuration is some hundred lines.
pub(crate) const SIZE_LIMIT: usize = 1 << 20;
/// Most nodes of one tree, aliases counted as often as they are used.
const NODE_LIMIT: usize = 20_000;
/// Deepest nesting of lists and mappings.
const DEPTH_LIMIT: usize = 32;

/// A node and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Scalar {
        text: String,
        /// Written without quotes, so `true` is a boolean and `~` is nothing.
        plain: bool,
    },
    List(Vec<Node>),
    Mapping(Vec<(Spanned<String>, Node)>),
}

/// What a scalar is under YAML's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    List,
    Mapping,
}

impl Kind {
    /// The kind with its article, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::List => "a list",
            Self::Mapping => "a mapping",
        }
    }
}

impl Node {
    pub(crate) fn kind(&self) -> Kind {
        match &self.value {
            Value::List(_) => Kind::List,
            Value::Mapping(_) => Kind::Mapping,
            Value::Scalar { plain: false, .. } => Kind::String,
            Value::Scalar { text, plain: true } => match text.as_str() {
                "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
                "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Boolean,
                text if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                    && text.parse::<f64>().is_ok() =>
                {
                    Kind::Number
                }
                _ => Kind::String,
            },
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Mapping(entries) => entries.iter().map(|(_, value)| 1 + value.size()).sum(),
        }
    }
}

/// Reads one YAML document; `Ok(None)` when the text holds no node at all.
///
/// Only a broken text stops here (a parser cannot go on after that); everything else, such as a
/// key given twice, is for `report` and the tree is complete.
pub(crate) fn parse(
    source: &Source,
    report: &mut crate::diagnostic::Report,
) -> Result<Option<Node>, Diagnostic> {
    let start = Span {
        line: 1,
        column: 1,
        length: 1,
    };
    if source.text().len() > SIZE_LIMIT {
        return Err(source
            .error(
                start,
                format!(
                    "the file has {} bytes, more than the {SIZE_LIMIT} a configuration may have",
                    source.text().len()
                ),
            )
            .without_excerpt());
    }
    let mut composer = Composer {
        events: Parser::new_from_str(source.text()),
        source,
        report,
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    let mut root = None;
    loop {
        let (event, span) = composer.next()?;
        match event {
            Event::StreamEnd => return Ok(root),
            Event::DocumentStart(..) if root.is_some() => {
                return Err(source
                    .error(span, "the file holds a second document, only one is read")
                    .hint("remove the `---` line and what follows"));
            }
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => root = Some(composer.node(event, span, 0)?),
        }
    }
}

struct Composer<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    source: &'a Source,
    report: &'a mut crate::diagnostic::Report,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, place(span.start, span.end))),
            Some(Err(error)) => {
                let mark = *error.marker();
                let span = place(mark, mark);
                // What the line is for is not known here, so it may be an environment variable.
                let finding = self
                    .source
                    .error(span, format!("invalid YAML: {}", error.info()));
                Err(finding.masked_after('='))
            }
            None => Ok((
                Event::StreamEnd,
                Span {
                    line: 1,
                    column: 1,
                    length: 1,
                },
            )),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        self.count(1, span)?;
        if depth > DEPTH_LIMIT {
            return Err(self.source.error(
                span,
                format!("lists and mappings are nested more than {DEPTH_LIMIT} deep"),
            ));
        }
        if let Some(tag) = event.tag()
            && !tag.is_yaml_core_schema()
        {
            self.report.push(
                self.source
                    .error(span, format!("tag `{}` is not supported", tag.original()))
                    .hint("write the value without a tag"),
            );
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                (
                    Value::Scalar {
                        text: text.into_owned(),
                        plain,
                    },
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(id) => {
                // An alias inside its own anchor refers to a node that is not complete.
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(self
                        .source
                        .error(span, "the alias refers to a node it is part of"));
                };
                self.count(node.size(), span)?;
                return Ok(Node {
                    value: node.value,
                    span,
                });
            }
            other => {
                return Err(self
                    .source
                    .error(span, format!("unexpected YAML event {other:?}")));
            }
        };
        let node = Node { value, span };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes > NODE_LIMIT {
            return Err(self
                .source
                .error(span, format!("the file has more than {NODE_LIMIT} values"))
                .hint("aliases (`*name`) count as often as they are used"));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Value, Diagnostic> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Diagnostic> {
        let mut entries: Vec<(Spanned<String>, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Mapping(entries));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Value::Scalar { text: name, plain } = key.value else {
                let message = format!("a key must be a string, found {}", key.kind().name());
                self.report.push(self.source.error(key.span, message));
                continue;
            };
            if plain && name == "<<" {
                self.report.push(
                    self.source
                        .error(key.span, "merge keys (`<<`) are not supported")
                        .hint("write the merged entries out"),
                );
            } else if let Some((first, _)) = entries.iter().find(|(key, _)| key.value == name) {
                self.report.push(
                    self.source
                        .error(key.span, format!("key `{name}` is given twice"))
                        .hint(format!("the first one is on line {}", first.span.line)),
                );
            } else {
                entries.push((Spanned::new(name, key.span), value));
            }
        }
    }
}

/// granit-parser counts lines from 1 and columns from 0.
fn place(start: granit_parser::Marker, end: granit_parser::Marker) -> Span {
    let length = if start.line() == end.line() {
        end.col().saturating_sub(start.col())
    } else {
        1
    };
    Span {
        line: start.line().max(1),
        column: start.col() + 1,
        length: length.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Report;

    fn read(text: &str) -> (Result<Option<Node>, String>, Report) {
        let mut report = Report::new();
        let result = parse(&Source::new("cog.yaml", text), &mut report);
        (result.map_err(|finding| finding.to_string()), report)
    }

    fn entry<'a>(node: &'a Node, name: &str) -> &'a Node {
        let Value::Mapping(entries) = &node.value else {
            panic!("not a mapping: {node:?}")
        };
        &entries.iter().find(|(key, _)| key.value == name).unwrap().1
    }

    #[test]
    fn scalars_keep_their_text_and_know_their_place() {
        let (node, _) = read("build:\n  python_version: 3.10\n");
        let node = node.unwrap().unwrap();
        let version = entry(entry(&node, "build"), "python_version");
        assert_eq!(
            version.value,
            Value::Scalar {
                text: "3.10".into(),
                plain: true
            }
        );
        assert_eq!(
            version.span,
            Span {
                line: 2,
                column: 19,
                length: 4
            }
        );
        assert_eq!(version.kind(), Kind::Number);
    }

    #[test]
    fn quotes_make_strings() {
        let (node, _) = read("a: 'true'\nb: true\nc: nan\nd: ~\ne: -1e3\nf: infinity\n");
        let node = node.unwrap().unwrap();
        assert_eq!(entry(&node, "a").kind(), Kind::String);
        assert_eq!(entry(&node, "b").kind(), Kind::Boolean);
        assert_eq!(entry(&node, "c").kind(), Kind::String);
        assert_eq!(entry(&node, "d").kind(), Kind::Null);
        assert_eq!(entry(&node, "e").kind(), Kind::Number);
        assert_eq!(entry(&node, "f").kind(), Kind::String);
    }

    #[test]
    fn aliases_repeat_the_anchored_node() {
        let (node, report) = read("a: &list [x, y]\nb: *list\n");
        let node = node.unwrap().unwrap();
        assert_eq!(entry(&node, "a").value, entry(&node, "b").value);
        assert!(!report.has_errors());
    }

    #[test]
    fn a_file_that_multiplies_itself_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = format!("*a{}", level - 1);
            let line = vec![previous; 10].join(", ");
            text += &[
                "a",
                &level.to_string(),
                ": &a",
                &level.to_string(),
                " [",
                &line,
                "]\n",
            ]
            .concat();
        }
        let (node, _) = read(&text);
        assert!(node.unwrap_err().contains("more than 20000 values"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let (node, _) = read(&"[".repeat(5000));
        assert!(node.is_err());
        let (node, _) = read(&format!("{}{}", "[".repeat(60), "]".repeat(60)));
        assert!(node.unwrap_err().contains("nested more than 32 deep"));
    }

    #[test]
    fn an_alias_inside_its_own_anchor_is_refused() {
        let (node, _) = read("a: &a [*a]\n");
        assert!(
            node.unwrap_err()
                .contains("the alias refers to a node it is part of")
        );
    }

    #[test]
    fn duplicate_keys_and_merge_keys_are_reported_together() {
        let (node, report) = read("a: 1\na: 2\n<<: {b: 3}\n? [x]\n: 1\n");
        assert!(node.is_ok());
        assert_eq!(report.sorted().len(), 3, "{report}");
    }

    #[test]
    fn an_empty_text_has_no_node() {
        assert_eq!(read("").0.unwrap(), None);
        assert_eq!(read("# only a comment\n").0.unwrap(), None);
    }

    #[test]
    fn broken_yaml_says_where() {
        let (node, _) = read("build:\n  run: [a, b\n");
        assert!(node.unwrap_err().contains("cog.yaml:"));
    }
}
