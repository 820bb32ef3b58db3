//! A Python file of the project: what it says, and changes to its text.

use std::ops::Range;

use rustpython_parser::ast::{Expr, Ranged, Stmt};
use rustpython_parser::lexer::lex;
use rustpython_parser::{Mode, Tok};

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::schema;

/// A Python file that was read.
pub(super) struct Script {
    source: Source,
    pub(super) statements: Vec<Stmt>,
    tokens: Vec<(Tok, Range<usize>)>,
}

/// A stretch of a text, in bytes, and what is to stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Edit {
    pub(super) fn new(range: Range<usize>, text: impl Into<String>) -> Self {
        Self {
            range,
            text: text.into(),
        }
    }
}

/// A name that a statement at the top of a file imports.
pub(super) struct Import<'s> {
    /// The statement.
    pub(super) statement: &'s Stmt,
    /// The module it is from.
    pub(super) module: String,
    /// The name there; nothing for a module itself.
    pub(super) name: Option<String>,
    /// What it is called here.
    pub(super) local: String,
}

impl Script {
    /// Reads a file; nothing if it is not valid Python, which others tell.
    pub(super) fn read(path: &str, text: &str) -> Option<Self> {
        let statements = schema::parse(text, path).ok()?;
        let tokens = lex(text, Mode::Module)
            .map(|token| token.map(|(token, range)| (token, bytes(range))))
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        Some(Self {
            source: Source::new(path, text),
            statements,
            tokens,
        })
    }

    pub(super) fn text(&self) -> &str {
        self.source.text()
    }

    pub(super) fn slice(&self, range: &Range<usize>) -> &str {
        self.text().get(range.clone()).unwrap_or_default()
    }

    /// Whether its words are known: a string that only newer versions of Python allow hides them.
    pub(super) fn has_words(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// A finding at a place of the file.
    pub(super) fn finding(
        &self,
        severity: Severity,
        range: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        let start = u32::try_from(range.start).unwrap_or_default();
        let end = u32::try_from(range.end).unwrap_or(start).max(start);
        let range = rustpython_parser::text_size::TextRange::new(start.into(), end.into());
        let span = schema::span(self.text(), range);
        let finding = match severity {
            Severity::Error => self.source.error(span, message),
            Severity::Warning => self.source.warning(span, message),
        };
        finding.hint(hint)
    }

    /// Line number of a place, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.slice(&(0..at)).matches('\n').count() + 1
    }

    /// Where a name is written, attributes of that name included.
    pub(super) fn words(&self, word: &str) -> Vec<Range<usize>> {
        let named = self
            .tokens
            .iter()
            .filter(|(token, _)| matches!(token, Tok::Name { name } if name == word));
        named.map(|(_, range)| range.clone()).collect()
    }

    /// Where a name is written that is not an attribute.
    pub(super) fn names(&self, word: &str) -> Vec<Range<usize>> {
        let mut names = self.words(word);
        names.retain(|range| !self.is_attribute(range));
        names
    }

    /// Whether a name follows a dot.
    pub(super) fn is_attribute(&self, range: &Range<usize>) -> bool {
        let index = self.tokens.iter().position(|(_, other)| other == range);
        index.is_some_and(|index| index > 0 && self.tokens[index - 1].0 == Tok::Dot)
    }

    /// Names of attributes that are used anywhere.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &Range<usize>)> {
        self.tokens.windows(2).filter_map(|pair| match pair {
            [(Tok::Dot, _), (Tok::Name { name }, range)] => Some((name.as_str(), range)),
            _ => None,
        })
    }

    /// The first string that holds a word, which may be an annotation or a field of an f-string.
    pub(super) fn in_strings(&self, word: &str) -> Option<&Range<usize>> {
        let holds = |text: &str| {
            let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|other| other == word)
        };
        self.tokens.iter().find_map(|(token, range)| match token {
            Tok::String { value, .. } if holds(value) => Some(range),
            _ => None,
        })
    }

    /// The line where a module of the project is imported, or named in a string with what it has.
    pub(super) fn uses_module(&self, module: &str) -> Option<usize> {
        let imported = self.tokens.windows(2).find_map(|pair| match pair {
            [
                (Tok::From | Tok::Import | Tok::Comma | Tok::Dot, _),
                (Tok::Name { name }, at),
            ] if name == module && self.is_import(at) => Some(at),
            _ => None,
        });
        let qualified = format!("{module}.");
        let named = || {
            self.tokens.iter().find_map(|(token, at)| match token {
                Tok::String { value, .. } if value.contains(&qualified) => Some(at),
                _ => None,
            })
        };
        let at = imported.or_else(named)?;
        Some(self.line(at.start))
    }

    /// Whether a word is on a line that begins an import.
    fn is_import(&self, at: &Range<usize>) -> bool {
        let before = self.slice(&(0..at.start));
        let line = before
            .rsplit(['\n', ';'])
            .next()
            .unwrap_or_default()
            .trim_start();
        line.starts_with("from ") || line.starts_with("import ")
    }

    /// The name that `class` or `def` gives in a part of the file.
    pub(super) fn defined(&self, keyword: &Tok, within: &Range<usize>) -> Option<Range<usize>> {
        self.tokens.windows(2).find_map(|pair| match pair {
            [(first, _), (Tok::Name { .. }, name)]
                if first == keyword && contains(within, name) =>
            {
                Some(name.clone())
            }
            _ => None,
        })
    }

    /// The names that statements at the top import.
    pub(super) fn imports(&self) -> Vec<Import<'_>> {
        let mut imports = Vec::new();
        for statement in &self.statements {
            match statement {
                Stmt::Import(import) => imports.extend(import.names.iter().map(|alias| Import {
                    statement,
                    module: alias.name.to_string(),
                    name: None,
                    local: alias.asname.as_ref().unwrap_or(&alias.name).to_string(),
                })),
                Stmt::ImportFrom(import) => {
                    let is_absolute = import.level.is_none_or(|level| level.to_u32() == 0);
                    let Some(module) = import.module.as_ref().filter(|_| is_absolute) else {
                        continue;
                    };
                    imports.extend(import.names.iter().map(|alias| Import {
                        statement,
                        module: module.to_string(),
                        name: Some(alias.name.to_string()),
                        local: alias.asname.as_ref().unwrap_or(&alias.name).to_string(),
                    }));
                }
                _ => {}
            }
        }
        imports
    }

    /// The lines of a statement that has them for itself; a blank line before it goes with it if another follows.
    pub(super) fn lines(&self, statement: &Stmt) -> Option<Range<usize>> {
        let range = bytes(statement.range());
        let text = self.text();
        let (before, after) = (text.get(..range.start)?, text.get(range.end..)?);
        let head = before.rsplit('\n').next().unwrap_or_default();
        let rest = after.split_inclusive('\n').next().unwrap_or_default();
        if !head.trim().is_empty() || !rest.trim().is_empty() {
            return None;
        }
        let (start, end) = (range.start - head.len(), range.end + rest.len());
        let between_blanks =
            text.get(..start)?.ends_with("\n\n") && text.get(end..)?.starts_with('\n');
        Some(start - usize::from(between_blanks)..end)
    }

    /// The statement `from … import …` without some of its names and with others; nothing is left of it without any.
    /// An error if there is more to it than names.
    pub(super) fn rewritten(
        &self,
        statement: &Stmt,
        keeps: &dyn Fn(&str) -> bool,
        added: &[String],
    ) -> Result<Edit, String> {
        let range = bytes(statement.range());
        let line = self.line(range.start);
        let Stmt::ImportFrom(import) = statement else {
            return Err(format!("line {line} is no import of names"));
        };
        if self.slice(&range).contains(['#', ';']) {
            return Err(format!("the import in line {line} has comments"));
        }
        let mut names: Vec<String> = Vec::new();
        for alias in &import.names {
            let local = alias.asname.as_ref().unwrap_or(&alias.name);
            if !keeps(local) {
                continue;
            }
            names.push(match &alias.asname {
                Some(local) => format!("{} as {local}", alias.name),
                None => alias.name.to_string(),
            });
        }
        names.extend_from_slice(added);
        if names.is_empty() {
            let lines = self.lines(statement);
            let lines = lines.ok_or_else(|| format!("line {line} holds more than an import"))?;
            return Ok(Edit::new(lines, ""));
        }
        let module = import.module.as_ref().map(ToString::to_string);
        let text = format!(
            "from {} import {}",
            module.unwrap_or_default(),
            names.join(", ")
        );
        Ok(Edit::new(range, text))
    }

    /// The text after changes, which must not touch each other.
    pub(super) fn with(&self, mut edits: Vec<Edit>) -> Result<String, String> {
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let mut text = String::new();
        let mut at = 0;
        for edit in &edits {
            let kept = self.text().get(at..edit.range.start);
            text.push_str(kept.ok_or("its changes overlap")?);
            text.push_str(&edit.text);
            at = edit.range.end;
        }
        text.push_str(self.text().get(at..).ok_or("its changes overlap")?);
        match schema::parse(&text, self.source.name()) {
            Ok(_) => Ok(text),
            Err(error) => Err(format!("the result is not valid Python: {}", error.error)),
        }
    }
}

/// The bytes of what was parsed.
pub(super) fn bytes(range: rustpython_parser::text_size::TextRange) -> Range<usize> {
    range.start().to_usize()..range.end().to_usize()
}

/// The bytes of an expression.
pub(super) fn of(expression: &Expr) -> Range<usize> {
    bytes(expression.range())
}

pub(super) fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
