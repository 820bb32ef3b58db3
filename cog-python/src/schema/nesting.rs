//! How deep expressions lie in each other, told before they are read.
//!
//! Each level is a call of the parser's functions and of ours, so that a file with very many would end the program. Python
//! itself refuses brackets in each other from 200 on.

use std::ops::Range;

use super::fstring::{Token, field, token};

/// So many operators and brackets may lie in each other. What is counted is an upper bound: all of an expression that no
/// comma parts.
const MOST: usize = 1000;
/// So many `elif` may be in a file: each is a branch of the one before.
const MOST_BRANCHES: usize = 1000;

/// Words that make an expression of others.
const OPERATORS: [&[u8]; 9] = [
    b"and", b"await", b"else", b"for", b"if", b"lambda", b"not", b"or", b"yield",
];

/// Place in a Python text from which on it is nested too deeply to be read.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    scan(text.as_bytes(), 0..text.len(), 0)
}

/// What is open at a place between two brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    /// Functions without a name, whose parameters have commas too.
    lambdas: usize,
}

/// The expression that is open at a place.
struct Open {
    levels: Vec<Level>,
    /// Operators of all levels.
    depth: usize,
}

impl Open {
    fn operator(&mut self) {
        self.depth += 1;
        if let Some(level) = self.levels.last_mut() {
            level.operators += 1;
        }
    }

    fn open(&mut self) {
        self.operator();
        self.levels.push(Level::default());
    }

    fn close(&mut self) {
        if self.levels.len() > 1 {
            self.depth -= self.levels.pop().map_or(0, |level| level.operators);
        }
    }

    fn comma(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            self.depth -= level.operators - level.lambdas;
            level.operators = level.lambdas;
        }
    }

    /// A statement ends, unless a bracket is open.
    fn line(&mut self) {
        if let [level] = self.levels.as_mut_slice() {
            self.depth -= level.operators;
            *level = Level::default();
        }
    }

    fn word(&mut self, word: &[u8]) {
        if OPERATORS.contains(&word) {
            self.operator();
        }
        if word == b"lambda"
            && let Some(level) = self.levels.last_mut()
        {
            level.lambdas += 1;
        }
    }
}

fn scan(bytes: &[u8], range: Range<usize>, outside: usize) -> Option<usize> {
    let mut open = Open {
        levels: vec![Level::default()],
        depth: outside,
    };
    let mut branches = 0;
    let mut at = range.start;
    while at < range.end {
        let end = match token(bytes, at) {
            Token::Text(literal) => {
                // The parser tells what does not end.
                let end = literal.end(bytes, 0)?;
                if literal.formatted
                    && let Some(found) = fields(bytes, literal.start..end, open.depth)
                {
                    return Some(found);
                }
                end
            }
            Token::Other(end) => end,
        };
        match &bytes[at..end] {
            b"(" | b"[" | b"{" => open.open(),
            b")" | b"]" | b"}" => open.close(),
            b"," => open.comma(),
            b";" => open.line(),
            b"\n" if !is_continued(&bytes[range.start..at]) => open.line(),
            b"elif" => branches += 1,
            [byte] if byte.is_ascii_punctuation() && !b"_#\\\"'".contains(byte) => open.operator(),
            word => open.word(word),
        }
        if open.depth > MOST || branches > MOST_BRANCHES {
            return Some(at);
        }
        at = end;
    }
    None
}

/// Whether a line goes on behind its end.
fn is_continued(before: &[u8]) -> bool {
    let before = before.strip_suffix(b"\r").unwrap_or(before);
    before.ends_with(b"\\")
}

/// The same for the fields of an f-string.
fn fields(bytes: &[u8], range: Range<usize>, outside: usize) -> Option<usize> {
    let mut at = range.start;
    while at < range.end {
        at = match &bytes[at..] {
            [b'\\', ..] | [b'{', b'{', ..] => at + 2,
            [b'{', ..] => {
                let end = field(bytes, at + 1, 1)?;
                if let Some(found) = scan(bytes, at + 1..end, outside) {
                    return Some(found);
                }
                end
            }
            _ => at + 1,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_is_counted_and_what_is_listed_is_not() {
        let list = |item: &str| format!("x = [{}]\n", vec![item; 2000].join(", "));
        for text in [
            list("1.5"),
            list("{'a': f(-1), 'b': not c}"),
            list("f'{a.b}'"),
            "x = a.b + c\n".repeat(2000),
            "f(a)(b); ".repeat(2000),
            format!("'''{}'''", "(".repeat(2000)),
            format!("# {}", "(".repeat(2000)),
            format!("x = f'{}'", "-(".repeat(2000)),
            format!("x = {}1{}", "(".repeat(900), ")".repeat(900)),
            "if a:\n  pass\n".to_owned() + &"elif a:\n  pass\n".repeat(900),
        ] {
            assert_eq!(too_deep(&text), None, "{}", &text[..30.min(text.len())]);
        }
        for text in [
            "(".repeat(2000),
            "x = [1, ".to_owned() + &"[2, ".repeat(2000),
            "-".repeat(2000),
            "not ".repeat(2000),
            "a + ".repeat(2000),
            "a + \\\n".repeat(2000),
            "a + \\\r\n".repeat(2000),
            "lambda a, b: ".repeat(2000),
            "f".to_owned() + &"()".repeat(2000),
            "f".to_owned() + &"(1, 2)".repeat(2000),
            "a".to_owned() + &".b".repeat(2000),
            "a if b else ".repeat(2000),
            format!("f'{{{}1}}'", "-".repeat(2000)),
            "if a:\n  pass\n".to_owned() + &"elif a:\n  pass\n".repeat(2000),
        ] {
            assert!(too_deep(&text).is_some(), "{}", &text[..30]);
        }
    }
}
