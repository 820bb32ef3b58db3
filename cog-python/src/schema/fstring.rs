//! Python files whose f-strings are written as Python 3.12 allows.
//!
//! Since 3.12 the fields of an f-string hold any expression, with the quotes of the string itself and with line ends;
//! the parser knows the rule before. No signature depends on the text of an f-string, so a file that is refused is read
//! once more with that text left blank. Nothing moves, so what is said about the file names the right place.

use rustpython_parser::{Parse, ParseError, ast};

/// How deep f-strings may lie in each other.
const DEPTH: usize = 32;

/// Reads a Python file.
pub(crate) fn parse(text: &str, path: &str) -> Result<ast::Suite, ParseError> {
    let parsed = ast::Suite::parse(text, path);
    let Err(error) = parsed else { return parsed };
    match without_text(text) {
        Some(blank) => ast::Suite::parse(&blank, path).map_err(|_| error),
        None => Err(error),
    }
}

/// The file with the text of its f-strings left blank; nothing if a string does not end.
fn without_text(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut blank = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        match token(bytes, at) {
            Token::Text(literal) => {
                let end = literal.end(bytes, 0)?;
                if literal.formatted {
                    let inside = literal.start..end - literal.quote.len();
                    for byte in &mut blank[inside] {
                        if literal.quote.len() == 1 || *byte != b'\n' {
                            *byte = b' ';
                        }
                    }
                }
                at = end;
            }
            Token::Other(end) => at = end,
        }
    }
    String::from_utf8(blank).ok()
}

/// What begins at a place.
pub(super) enum Token<'t> {
    Text(Literal<'t>),
    /// Anything else, with its end.
    Other(usize),
}

/// A string, after its prefix and quotes.
pub(super) struct Literal<'t> {
    pub(super) start: usize,
    quote: &'t [u8],
    pub(super) formatted: bool,
}

pub(super) fn token(bytes: &[u8], at: usize) -> Token<'_> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    let length = |is: &dyn Fn(&u8) -> bool| bytes[at..].iter().take_while(|byte| is(byte)).count();
    if bytes[at] == b'#' {
        return Token::Other(at + length(&|byte| *byte != b'\n'));
    }
    let word = &bytes[at..at + length(&is_word)];
    let quote_at = at + word.len();
    let is_prefix = word.len() <= 2 && word.iter().all(|byte| b"rRbBuUfFtT".contains(byte));
    match bytes.get(quote_at) {
        Some(b'"' | b'\'') if is_prefix => {
            let one = &bytes[quote_at..=quote_at];
            let three = bytes.get(quote_at..quote_at + 3);
            let quote = three
                .filter(|three| three.iter().all(|byte| *byte == one[0]))
                .unwrap_or(one);
            Token::Text(Literal {
                start: quote_at + quote.len(),
                quote,
                formatted: word.iter().any(|byte| b"fFtT".contains(byte)),
            })
        }
        _ => Token::Other(at + word.len().max(1)),
    }
}

impl Literal<'_> {
    /// The end of the string, its quotes included.
    pub(super) fn end(&self, bytes: &[u8], depth: usize) -> Option<usize> {
        let mut at = self.start;
        loop {
            let rest = bytes.get(at..)?;
            if rest.starts_with(self.quote) {
                return Some(at + self.quote.len());
            }
            at = match rest {
                [b'\\', ..] => at + 2,
                [b'\n', ..] if self.quote.len() == 1 => return None,
                [b'{', b'{', ..] if self.formatted => at + 2,
                [b'{', ..] if self.formatted => field(bytes, at + 1, depth + 1)?,
                [_, ..] => at + 1,
                [] => return None,
            };
        }
    }
}

/// The end of a field that begins at a place, its brace included.
pub(super) fn field(bytes: &[u8], start: usize, depth: usize) -> Option<usize> {
    if depth > DEPTH {
        return None;
    }
    let (mut at, mut brackets) = (start, 0_usize);
    loop {
        match bytes.get(at)? {
            b'}' if brackets == 0 => return Some(at + 1),
            b':' if brackets == 0 => return format(bytes, at + 1, depth),
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.checked_sub(1)?,
            _ => {
                at = match token(bytes, at) {
                    Token::Text(literal) => literal.end(bytes, depth)?,
                    Token::Other(end) => end,
                };
                continue;
            }
        }
        at += 1;
    }
}

/// The end of a field whose format begins at a place.
fn format(bytes: &[u8], start: usize, depth: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at = match bytes.get(at)? {
            b'}' => return Some(at + 1),
            b'{' => field(bytes, at + 1, depth + 1)?,
            _ => at + 1,
        };
    }
}
