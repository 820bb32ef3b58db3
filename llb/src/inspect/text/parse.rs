//! Reads a text: tokens, statements, and going on after a mistake.

use super::draft::{Draft, InputName};
use super::lex::{Fault, Lexer, Token, describe};
use super::suggest::nearest;
use crate::error::{Error, ErrorKind, Problem};
use crate::inspect::name::output_suffix;
use crate::proto::pb;

/// After so many mistakes the rest of a text is not looked at.
const MOST_PROBLEMS: usize = 50;

/// Definitions inside definitions, as sources of source files, to this depth; protobuf stops at about the same.
const DEEPEST: usize = 33;

pub(super) struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    token: Result<Token<'t>, Fault>,
    /// Where the token begins.
    pub(super) offset: usize,
    pub(super) problems: Vec<Problem>,
    /// The platform of ops whose text does not say another.
    pub(super) platform: Option<pb::Platform>,
    depth: usize,
}

/// A definition as its text says it.
#[derive(Default)]
pub(super) struct Statements<'t> {
    pub(super) infos: Vec<pb::SourceInfo>,
    pub(super) drafts: Vec<Draft<'t>>,
    /// Names of ops whose text has a mistake.
    pub(super) broken: Vec<&'t str>,
    /// What is returned: an op that only names the result; its input is absent for scratch.
    pub(super) result: Option<Draft<'t>>,
}

/// A name before a value, or a flag.
pub(super) struct Key {
    pub(super) offset: usize,
    pub(super) name: String,
    pub(super) is_quoted: bool,
    /// Whether `=` came after it, which is behind us.
    pub(super) has_value: bool,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let mut parser = Self {
            text,
            lexer: Lexer::new(text),
            token: Ok(Token::Newline),
            offset: 0,
            problems: Vec::new(),
            platform: None,
            depth: 0,
        };
        parser.advance();
        parser
    }

    /// Reads a whole text.
    pub(super) fn definition(mut self) -> Result<pb::Definition, Error> {
        let definition = self.scope();
        if self.problems.is_empty() {
            Ok(definition)
        } else {
            Err(Error::new(self.problems))
        }
    }

    /// Reads statements up to the end of the text or of a block, and puts them together.
    fn scope(&mut self) -> pb::Definition {
        let before = self.problems.len();
        let outer = self.platform.take();
        let statements = self.statements();
        let definition = self.assemble(statements, self.problems.len() > before);
        self.platform = outer;
        definition
    }

    fn statements(&mut self) -> Statements<'t> {
        let mut statements = Statements::default();
        while self.problems.len() < MOST_PROBLEMS {
            match &self.token {
                Ok(Token::Newline) => {
                    self.advance();
                    continue;
                }
                Ok(Token::End) => break,
                Ok(Token::Mark("}")) if self.depth > 0 => break,
                _ => {}
            }
            let read = self
                .statement(&mut statements)
                .and_then(|()| self.end_of_line());
            if let Err(fault) = read {
                self.report(fault);
                self.skip_statement();
            }
        }
        if statements.result.is_none() && self.problems.is_empty() {
            let fault = Fault::new(self.offset, "expected `return` before the end");
            self.report(match statements.drafts.last() {
                Some(last) => fault.hint(format!("end with `return %{}`", last.name)),
                None => fault.hint("an empty graph is `return scratch`"),
            });
        }
        statements
    }

    fn statement(&mut self, statements: &mut Statements<'t>) -> Result<(), Fault> {
        let offset = self.offset;
        if statements.result.is_some() {
            let found = self.describe();
            return Err(Fault::new(
                offset,
                format!("expected nothing after `return`, found {found}"),
            ));
        }
        match self.peek()? {
            Token::Name(name) => {
                let name = *name;
                self.advance();
                statements
                    .broken
                    .push(output_suffix(name).map_or(name, |(base, _)| base));
                let draft = self.op(name, offset)?;
                statements.broken.pop();
                statements.drafts.push(draft);
                Ok(())
            }
            Token::Word("platform") => {
                self.advance();
                let platform = self.platform()?;
                if self.platform.is_some() || !statements.drafts.is_empty() {
                    let message = "the platform of the graph must be said once, before all ops";
                    return Err(Fault::new(offset, message));
                }
                self.platform = Some(platform);
                Ok(())
            }
            Token::Word("file") => {
                self.advance();
                let info = self.source_info()?;
                statements.infos.push(info);
                Ok(())
            }
            Token::Word("return") => {
                self.advance();
                statements.result = Some(self.result(offset, !statements.drafts.is_empty())?);
                Ok(())
            }
            _ => {
                Err(self.unexpected("an op such as `%name = ...`, `platform`, `file` or `return`"))
            }
        }
    }

    /// `return %op`
    fn result(&mut self, offset: usize, has_ops: bool) -> Result<Draft<'t>, Fault> {
        let mut draft = Draft::new("return", offset);
        match self.peek()? {
            Token::Name(_) => {
                let input = self.input_name()?;
                draft.add(input);
            }
            Token::Word("scratch") => {
                if has_ops {
                    let message = "scratch has no ops, but there are some before it";
                    return Err(Fault::new(self.offset, message).hint("return one of the ops"));
                }
                self.advance();
            }
            _ => return Err(self.unexpected("the name of an op, or `scratch`")),
        }
        self.attributes(&mut draft, &[], |_, _, _| Ok(false))?;
        Ok(draft)
    }

    /// `file "Dockerfile" language=Dockerfile data="..." { ... }`
    fn source_info(&mut self) -> Result<pb::SourceInfo, Fault> {
        let mut info = pb::SourceInfo {
            filename: self.string("the name of a file")?,
            ..pb::SourceInfo::default()
        };
        while let Some(key) = self.key()? {
            match (&*key.name, key.has_value) {
                ("language", true) => info.language = self.value()?,
                ("data", true) => info.data = self.data()?.into(),
                _ => return Err(unknown(&key, "attribute", &["language", "data"])),
            }
        }
        if self.take("{")? {
            let offset = self.offset;
            self.depth += 1;
            if self.depth > DEEPEST {
                self.depth -= 1;
                return Err(Fault::new(offset, "definitions are nested too deeply"));
            }
            info.definition = Some(self.scope());
            self.depth -= 1;
            self.expect("}")?;
        }
        Ok(info)
    }

    /// Records a mistake.
    pub(super) fn report(&mut self, fault: Fault) {
        let before = &self.text[..fault.offset.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[start..].chars().count() + 1;
        let message = format!("line {line}, column {column}: {}", fault.message);
        let problem = Problem::without_location(ErrorKind::Text, message);
        self.problems.push(match fault.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    /// Goes to the next line that can begin a statement, passing over blocks.
    fn skip_statement(&mut self) {
        let mut is_start = false;
        loop {
            match &self.token {
                Ok(Token::End) => return,
                Ok(Token::Newline) => {
                    is_start = true;
                    self.advance();
                    continue;
                }
                Ok(Token::Name(_) | Token::Word("return" | "file" | "platform")) if is_start => {
                    return;
                }
                Ok(Token::Mark("}")) if is_start && self.depth > 0 => {
                    // The end of the op's own block, or of the definition that it is in.
                    let column = self.text[..self.offset]
                        .rfind('\n')
                        .map_or(0, |end| end + 1);
                    if self.offset - column < 2 * self.depth {
                        return;
                    }
                }
                _ => {}
            }
            is_start = false;
            self.advance();
        }
    }
}

/// # Tokens
impl<'t> Parser<'t> {
    pub(super) fn advance(&mut self) {
        let (offset, token) = self.lexer.next();
        self.offset = offset;
        self.token = token;
    }

    pub(super) fn peek(&mut self) -> Result<&Token<'t>, Fault> {
        if self.token.is_err() {
            // The lexer is past the mistake, so that what is taken instead is the end of its line.
            let fault = std::mem::replace(&mut self.token, Ok(Token::Newline));
            return fault.as_ref().map_or_else(
                |fault| {
                    Err(Fault {
                        offset: fault.offset,
                        message: fault.message.clone(),
                        hint: fault.hint.clone(),
                    })
                },
                |_| Ok(&Token::Newline),
            );
        }
        Ok(self.token.as_ref().unwrap_or(&Token::Newline))
    }

    fn describe(&mut self) -> String {
        self.token
            .as_ref()
            .map_or_else(|_| "something else".to_owned(), describe)
    }

    pub(super) fn unexpected(&mut self, expected: &str) -> Fault {
        match self.peek() {
            Err(fault) => fault,
            Ok(token) => {
                let found = describe(token);
                Fault::new(self.offset, format!("expected {expected}, found {found}"))
            }
        }
    }

    pub(super) fn is(&mut self, mark: &str) -> Result<bool, Fault> {
        Ok(matches!(self.peek()?, Token::Mark(found) if *found == mark))
    }

    /// Whether the mark is there; it is behind us then.
    pub(super) fn take(&mut self, mark: &str) -> Result<bool, Fault> {
        let is_there = self.is(mark)?;
        if is_there {
            self.advance();
        }
        Ok(is_there)
    }

    pub(super) fn expect(&mut self, mark: &str) -> Result<(), Fault> {
        if self.take(mark)? {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{mark}`")))
    }

    pub(super) fn end_of_line(&mut self) -> Result<(), Fault> {
        let is_inside = self.depth > 0;
        match self.peek()? {
            Token::Newline => {
                self.advance();
                Ok(())
            }
            Token::End => Ok(()),
            Token::Mark("}") if is_inside => Ok(()),
            _ => Err(self.unexpected("the end of the line")),
        }
    }

    /// Bytes between quotes.
    pub(super) fn data(&mut self) -> Result<Vec<u8>, Fault> {
        if !matches!(self.peek()?, Token::Text(_)) {
            return Err(self.unexpected("text between quotes"));
        }
        let token = std::mem::replace(&mut self.token, Ok(Token::Newline));
        self.advance();
        match token {
            Ok(Token::Text(text)) => Ok(text),
            _ => Ok(Vec::new()),
        }
    }

    /// Text between quotes.
    pub(super) fn string(&mut self, expected: &str) -> Result<String, Fault> {
        let offset = self.offset;
        if !matches!(self.peek()?, Token::Text(_)) {
            return Err(self.unexpected(&format!("{expected} between quotes")));
        }
        String::from_utf8(self.data()?).map_err(|_| {
            Fault::new(
                offset,
                "this text must be UTF-8; only data of files may be other",
            )
        })
    }

    /// A word, or text between quotes.
    pub(super) fn value(&mut self) -> Result<String, Fault> {
        match self.peek()? {
            Token::Word(word) => {
                let word = (*word).to_owned();
                self.advance();
                Ok(word)
            }
            _ => self.string("a word, or text"),
        }
    }

    /// A word that reads as a number or the like.
    pub(super) fn parsed<V>(
        &mut self,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<V>,
    ) -> Result<V, Fault> {
        let value = match self.peek()? {
            Token::Word(word) => parse(word),
            _ => None,
        };
        match value {
            Some(value) => {
                self.advance();
                Ok(value)
            }
            None => Err(self.unexpected(expected)),
        }
    }

    pub(super) fn number<V: std::str::FromStr>(&mut self) -> Result<V, Fault> {
        self.parsed("a number", |word| word.parse().ok())
    }

    /// A mode such as `0755`.
    pub(super) fn mode(&mut self) -> Result<u32, Fault> {
        self.parsed("an octal mode such as `0755`", |word| {
            u32::from_str_radix(word, 8).ok()
        })
    }

    /// A name for a value, or a flag; none if something else comes.
    pub(super) fn key(&mut self) -> Result<Option<Key>, Fault> {
        let offset = self.offset;
        let (name, is_quoted) = match self.peek()? {
            Token::Word(word) => {
                let word = (*word).to_owned();
                self.advance();
                (word, false)
            }
            Token::Text(_) => (self.string("a name")?, true),
            _ => return Ok(None),
        };
        let has_value = self.take("=")?;
        if is_quoted && !has_value {
            let message = format!("expected a name or a flag, found the text {name:?}");
            return Err(Fault::new(offset, message));
        }
        Ok(Some(Key {
            offset,
            name,
            is_quoted,
            has_value,
        }))
    }

    /// `%name` or `%name.out1`
    pub(super) fn input_name(&mut self) -> Result<InputName<'t>, Fault> {
        let offset = self.offset;
        let Token::Name(name) = self.peek()? else {
            return Err(self.unexpected("the name of an op, such as `%name`"));
        };
        let name = *name;
        self.advance();
        let (name, index) = match output_suffix(name) {
            None => (name, 0),
            Some((name, index)) => match index.parse() {
                Ok(index) => (name, index),
                Err(_) => return Err(Fault::new(offset, "no op has so many outputs")),
            },
        };
        Ok(InputName {
            name,
            index,
            offset,
        })
    }
}

/// A mistake in a name that is one of `known`.
pub(super) fn unknown(key: &Key, what: &str, known: &[&str]) -> Fault {
    let name = &key.name;
    if known.contains(&&**name) {
        let message = if key.has_value {
            format!("`{name}` takes no value")
        } else {
            format!("expected `=` and a value after `{name}`")
        };
        return Fault::new(key.offset, message);
    }
    let fault = Fault::new(key.offset, format!("unknown {what} `{name}`"));
    match nearest(name, known.iter().copied()) {
        Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
        None => fault.hint(format!("there are: {}", known.join(", "))),
    }
}
