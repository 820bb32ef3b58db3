//! Words of a shell command line: splitting and quoting.
//!
//! Two programs read command lines in a build. BuildKit's Go client splits the text of `llb.Shlex` itself, with rules
//! that are simpler than a shell's and that never fail; [`shlex`] is that function, [`split`] the same with errors.
//! The shell inside the container is the other; [`quote`] makes one word for it out of any text, and both readers
//! agree on what it makes.

mod interpolate;

use std::borrow::Cow;
use std::fmt;

pub use interpolate::{Word, in_double_quotes, in_single_quotes, word, words};

/// Splits `line` into words exactly as BuildKit's Go client does (`github.com/google/shlex`).
///
/// * Blank, tab, carriage return and line feed separate words; nothing else does.
/// * `'…'` is literal; in `"…"` a backslash makes the next character literal.
/// * A backslash outside quotes makes the next character literal. It has no other meaning: `"\n"` is `n`.
/// * `#` starts a comment, up to the line feed, only where a word could start.
/// * Adjacent pieces join into one word; empty quotes are an empty word. Nothing is expanded.
///
/// Text that ends inside quotes or after a backslash loses the word it was in, silently. Use [`split`] to learn of it.
///
/// ```
/// use llb::value::shell::shlex;
///
/// assert_eq!(shlex("sh -c 'echo \"a b\"' # say"), ["sh", "-c", "echo \"a b\""]);
/// assert_eq!(shlex("echo one 'two three"), ["echo", "one"]);
/// ```
pub fn shlex(line: &str) -> Vec<String> {
    read_words(line).0
}

/// Splits `line` as [`shlex`] does, but reports text that ends inside quotes or after a backslash.
///
/// ```
/// use llb::value::shell::split;
///
/// assert_eq!(split("echo 'one two'")?, ["echo", "one two"]);
/// assert!(split("echo it's").is_err());
/// # Ok::<(), llb::value::shell::SplitError>(())
/// ```
pub fn split(line: &str) -> Result<Vec<String>, SplitError> {
    match read_words(line) {
        (words, None) => Ok(words),
        (_, Some(error)) => Err(error),
    }
}

/// Makes one shell word out of any text, for the shells that follow POSIX.
///
/// Text of harmless characters is returned as it is, anything else in single quotes.
///
/// ```
/// use llb::value::shell::quote;
///
/// assert_eq!(quote("torch==2.4.0"), "torch==2.4.0");
/// assert_eq!(quote("it's"), r"'it'\''s'");
/// assert_eq!(quote(""), "''");
/// ```
pub fn quote(text: &str) -> Cow<'_, str> {
    if !text.is_empty() && text.bytes().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for (index, piece) in text.split('\'').enumerate() {
        if index > 0 {
            quoted.push_str(r"'\''");
        }
        quoted.push_str(piece);
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// Joins words into a command line that a shell reads back as those words.
///
/// ```
/// use llb::value::shell::join;
///
/// assert_eq!(join(["pip", "install", "a b"]), "pip install 'a b'");
/// ```
pub fn join<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for (index, word) in words.into_iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&quote(word.as_ref()));
    }
    line
}

/// A command line that ends in the middle of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitError {
    kind: SplitErrorKind,
    offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SplitErrorKind {
    UnterminatedQuote(char),
    TrailingBackslash,
}

impl SplitError {
    /// Where the unfinished quote or the backslash stands, in bytes from the start of the line.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for SplitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SplitErrorKind::UnterminatedQuote(quote) => write!(
                formatter,
                "the quote {quote} at byte {} of the command line is not closed (hint: close it, or escape it with a backslash)",
                self.offset
            ),
            SplitErrorKind::TrailingBackslash => write!(
                formatter,
                "the backslash at byte {} ends the command line with nothing to escape (hint: remove or double it)",
                self.offset
            ),
        }
    }
}

impl std::error::Error for SplitError {}

/// The words up to the first unfinished one, and what is wrong with that.
fn read_words(line: &str) -> (Vec<String>, Option<SplitError>) {
    let mut words = Vec::new();
    let mut characters = line.char_indices();
    'words: loop {
        let first = loop {
            match characters.next() {
                None => return (words, None),
                Some((_, ' ' | '\t' | '\r' | '\n')) => {}
                Some((_, '#')) => {
                    if !characters.any(|(_, character)| character == '\n') {
                        return (words, None);
                    }
                }
                Some(first) => break first,
            }
        };
        let mut word = String::new();
        let mut current = first;
        loop {
            let (offset, character) = current;
            match character {
                ' ' | '\t' | '\r' | '\n' => {
                    words.push(word);
                    continue 'words;
                }
                '\'' | '"' => {
                    if let Err(kind) = read_quoted(character, &mut characters, &mut word) {
                        return (words, Some(SplitError { kind, offset }));
                    }
                }
                '\\' => {
                    let Some((_, literal)) = characters.next() else {
                        let kind = SplitErrorKind::TrailingBackslash;
                        return (words, Some(SplitError { kind, offset }));
                    };
                    word.push(literal);
                }
                character => word.push(character),
            }
            let Some(next) = characters.next() else {
                words.push(word);
                return (words, None);
            };
            current = next;
        }
    }
}

fn read_quoted(
    quote: char,
    characters: &mut std::str::CharIndices<'_>,
    word: &mut String,
) -> Result<(), SplitErrorKind> {
    let unterminated = SplitErrorKind::UnterminatedQuote(quote);
    loop {
        match characters.next().ok_or(unterminated)?.1 {
            character if character == quote => return Ok(()),
            '\\' if quote == '"' => word.push(characters.next().ok_or(unterminated)?.1),
            character => word.push(character),
        }
    }
}

fn is_harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"@%+=:,./-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_go_client() {
        let cases: [(&str, &[&str]); 12] = [
            (
                r#"sh -c 'a "b" c' "d 'e' f" g'h'"i"j"#,
                &["sh", "-c", "a \"b\" c", "d 'e' f", "ghij"],
            ),
            (
                r#"a\ b \"c\" "d\n\"\\\$e" 'f\n' \# \\"#,
                &["a b", "\"c\"", "dn\"\\$e", "f\\n", "#", "\\"],
            ),
            (
                "a#b c # comment 'x\nd \"#e\" '#f'#g",
                &["a#b", "c", "d", "#e", "#f#g"],
            ),
            (
                " a\tb\r\nc\u{b}d\u{c}e\u{a0}f ",
                &["a", "b", "c\u{b}d\u{c}e\u{a0}f"],
            ),
            ("a '' \"\" b''", &["a", "", "", "b"]),
            ("echo one 'two three", &["echo", "one"]),
            ("echo one two\\", &["echo", "one"]),
            ("  # just a comment", &[]),
            ("", &[]),
            ("a\\\nb", &["a\nb"]),
            ("#x\n#y\nz", &["z"]),
            ("ä'ö ü'", &["äö ü"]),
        ];
        for (line, expected) in cases {
            assert_eq!(shlex(line), expected, "{line:?}");
        }
    }

    #[test]
    fn unfinished_words_are_reported_where_they_start() {
        for (line, offset, part) in [
            ("echo one 'two three", 9, "quote '"),
            ("echo \"a\\", 5, "quote \""),
            ("x \"it's", 2, "quote \""),
            ("echo one two\\", 12, "backslash"),
        ] {
            let error = split(line).unwrap_err();
            assert_eq!(error.offset(), offset, "{line:?}");
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(split("a # it's").unwrap(), ["a"]);
    }

    #[test]
    fn quoted_text_is_read_back_as_one_word() {
        let texts = [
            "", " ", "a", "it's", "'", "''", "a\\", "\"$x\"", "#", "a\nb", "~", "*", "é", "a=b;c",
            "-n", "\\'",
        ];
        for text in texts {
            assert_eq!(split(&quote(text)).unwrap(), [text], "{text:?}");
        }
        assert_eq!(split(&join(texts)).unwrap(), texts);
    }
}
