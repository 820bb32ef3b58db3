//! The tokens of the text form.

use super::words::{begins_word, is_word_byte};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// `%name`, without the `%`.
    Name(&'t str),
    /// What stands between quotes.
    Text(Vec<u8>),
    Word(&'t str),
    /// `#1`: an action of a file op.
    Action(&'t str),
    /// `@1`: an input by its number.
    Input(&'t str),
    /// One of `= { } [ ] , $ !`, `->` and `=>`.
    Mark(&'static str),
    Newline,
    End,
}

/// A mistake in a text.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where in the text, in bytes.
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

pub(super) struct Lexer<'t> {
    text: &'t str,
    offset: usize,
}

const MARKS: &[&str] = &["->", "=>", "=", "{", "}", "[", "]", ",", "$", "!"];

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, offset: 0 }
    }

    /// The next token and where it begins. After a mistake the rest of the line is skipped.
    pub(super) fn next(&mut self) -> (usize, Result<Token<'t>, Fault>) {
        let rest = &self.text[self.offset..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
        self.offset += blanks;
        if self.text[self.offset..].starts_with(';') {
            self.skip_line();
        }
        let start = self.offset;
        let token = self.token();
        if token.is_err() {
            self.skip_line();
        }
        (start, token)
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.offset..];
        self.offset += rest.find('\n').unwrap_or(rest.len());
    }

    fn token(&mut self) -> Result<Token<'t>, Fault> {
        let rest = &self.text[self.offset..];
        let Some(&first) = rest.as_bytes().first() else {
            return Ok(Token::End);
        };
        for mark in MARKS {
            if rest.starts_with(mark) {
                self.offset += mark.len();
                return Ok(Token::Mark(mark));
            }
        }
        match first {
            b'\n' => {
                self.offset += 1;
                Ok(Token::Newline)
            }
            b'"' => {
                self.offset += 1;
                self.string().map(Token::Text)
            }
            b'%' => {
                self.offset += 1;
                let name = self.run(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
                if name.is_empty() {
                    return Err(Fault::new(
                        self.offset,
                        "expected the name of an op after `%`",
                    ));
                }
                Ok(Token::Name(name))
            }
            b'#' => {
                self.offset += 1;
                Ok(Token::Action(self.run(is_number_byte)))
            }
            b'@' => {
                self.offset += 1;
                Ok(Token::Input(self.run(is_number_byte)))
            }
            first if begins_word(first) => Ok(Token::Word(self.run(is_word_byte))),
            _ => {
                let character = rest.chars().next().unwrap_or_default();
                Err(
                    Fault::new(self.offset, format!("unexpected character {character:?}"))
                        .hint("put text with other characters than letters, digits and `/._-:+~@%` between quotes"),
                )
            }
        }
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'t str {
        let rest = &self.text[self.offset..];
        let end = rest.bytes().position(|byte| !belongs(byte));
        let run = &rest[..end.unwrap_or(rest.len())];
        self.offset += run.len();
        run
    }

    /// What stands between quotes, the first of which is behind us.
    fn string(&mut self) -> Result<Vec<u8>, Fault> {
        let start = self.offset - 1;
        let mut value = Vec::new();
        loop {
            let plain = self.run(|byte| !matches!(byte, b'"' | b'\\' | b'\n'));
            value.extend_from_slice(plain.as_bytes());
            match self.text.as_bytes().get(self.offset) {
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(value);
                }
                Some(b'\\') => self.escape(&mut value)?,
                _ => {
                    let fault = Fault::new(start, "this text has no closing quote on its line");
                    return Err(fault.hint("write a line break as `\\n`, and end a line with `\\` to go on in the next one"));
                }
            }
        }
    }

    fn escape(&mut self, value: &mut Vec<u8>) -> Result<(), Fault> {
        let start = self.offset;
        self.offset += 1;
        let Some(character) = self.text[self.offset..].chars().next() else {
            return Err(Fault::new(start, "the text ends in an escape"));
        };
        self.offset += character.len_utf8();
        match character {
            'n' => value.push(b'\n'),
            'r' => value.push(b'\r'),
            't' => value.push(b'\t'),
            '"' | '\\' | ' ' => value.extend_from_slice(character.to_string().as_bytes()),
            '\n' => _ = self.run(|byte| matches!(byte, b' ' | b'\t')),
            'x' => {
                let digits = self.text.get(self.offset..self.offset + 2);
                let byte = digits.filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
                let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let message = "expected two hexadecimal digits after `\\x`";
                value.push(byte.ok_or_else(|| Fault::new(start, message))?);
                self.offset += 2;
            }
            'u' => {
                let rest = &self.text[self.offset..];
                let digits = rest
                    .strip_prefix('{')
                    .and_then(|rest| rest.get(..rest.find('}').filter(|end| *end <= 6)?));
                let character = digits
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                    .and_then(char::from_u32);
                let (Some(digits), Some(character)) = (digits, character) else {
                    let message = "expected a character such as `\\u{e9}`";
                    return Err(Fault::new(start, message));
                };
                self.offset += digits.len() + 2;
                value.extend_from_slice(character.to_string().as_bytes());
            }
            other => {
                let message = format!("unknown escape `\\{}`", other.escape_default());
                let hint =
                    "write a backslash as `\\\\`; there are \\n \\r \\t \\\" \\xNN and \\u{NN}";
                return Err(Fault::new(start, message).hint(hint));
            }
        }
        Ok(())
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

/// How an error calls a token.
pub(super) fn describe(token: &Token<'_>) -> String {
    match token {
        Token::Name(name) => format!("`%{name}`"),
        Token::Text(text) => {
            let text = String::from_utf8_lossy(text);
            match text.char_indices().nth(40) {
                Some((end, _)) => format!("the text {:?}…", &text[..end]),
                None => format!("the text {text:?}"),
            }
        }
        Token::Word(word) => format!("`{word}`"),
        Token::Action(number) => format!("`#{number}`"),
        Token::Input(number) => format!("`@{number}`"),
        Token::Mark(mark) => format!("`{mark}`"),
        Token::Newline => "the end of the line".to_owned(),
        Token::End => "the end of the text".to_owned(),
    }
}
