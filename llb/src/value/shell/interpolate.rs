//! Values inside command lines: what [`sh!`](crate::sh) puts in the place of its braces.

use std::fmt::Display;
use std::fmt::Write as _;

use super::quote;

/// What can stand for a word of a command line: everything that implements [`Display`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand for a word of a command line",
    label = "expected a value that implements `Display`",
    note = "several words are written with dots: `{{values...}}`",
    note = "a path is written with `{{path.display()}}`"
)]
pub trait Word: Display {}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> Word for T {}

/// A value as one word, quoted if need be: [`quote`] of its text.
///
/// ```
/// assert_eq!(llb::value::shell::word("torch>=2"), "'torch>=2'");
/// ```
pub fn word<W: Word + ?Sized>(value: &W) -> String {
    quote(&value.to_string()).into_owned()
}

/// Values as one word each, with blanks between them; nothing if there are none.
///
/// ```
/// assert_eq!(llb::value::shell::words(["a b", "c"]), "'a b' c");
/// ```
pub fn words<W: Word>(values: impl IntoIterator<Item = W>) -> String {
    let mut text = String::new();
    for value in values {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word(&value));
    }
    text
}

/// A value for a place between double quotes, where it stands for itself.
///
/// ```
/// assert_eq!(llb::value::shell::in_double_quotes("$5"), r"\$5");
/// ```
pub fn in_double_quotes<W: Word + ?Sized>(value: &W) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if matches!(character, '\\' | '"' | '$' | '`') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// A value for a place between single quotes, where it stands for itself.
///
/// ```
/// assert_eq!(llb::value::shell::in_single_quotes("it's"), r"it'\''s");
/// ```
pub fn in_single_quotes<W: Word + ?Sized>(value: &W) -> String {
    let mut text = String::new();
    for (index, piece) in value.to_string().split('\'').enumerate() {
        let separator = if index > 0 { r"'\''" } else { "" };
        write!(text, "{separator}{piece}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::shell::split;

    #[test]
    fn values_are_read_back_wherever_they_stand() {
        let values = [
            "", "a", "it's", "\"$x\"", "`x`", "a\\", "\\$", "a b\nc", "#", "{}",
        ];
        for value in values {
            assert_eq!(split(&format!("x {}", word(value))).unwrap(), ["x", value]);
            assert_eq!(
                split(&format!("'{}'", in_single_quotes(value))).unwrap(),
                [value]
            );
            assert_eq!(
                split(&format!("\"{}\"", in_double_quotes(value))).unwrap(),
                [value]
            );
        }
        assert_eq!(split(&words(values)).unwrap(), values);
        assert_eq!(words::<&str>([]), "");
    }
}
