//! The JSON text of a list of strings, as Go's `encoding/json` writes it.
//!
//! Local sources carry their patterns as JSON text inside the op, so this text enters the digest and must have Go's
//! escapes, which are more than JSON asks for: `<`, `>` and `&` (safe inside HTML) and U+2028 and U+2029 (safe inside
//! JavaScript) are escaped, everything else beyond ASCII is not.

use std::fmt::Write as _;

/// Writes `items` as a JSON array of strings, without blanks.
///
/// ```
/// use llb::value::json::string_array;
///
/// assert_eq!(string_array(&["src/**", "a&b"]), r#"["src/**","a\u0026b"]"#);
/// assert_eq!(string_array::<&str>(&[]), "[]");
/// ```
pub fn string_array<S: AsRef<str>>(items: &[S]) -> String {
    let length: usize = items.iter().map(|item| item.as_ref().len() + 3).sum();
    let mut text = String::with_capacity(length + 2);
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_string(&mut text, item.as_ref());
    }
    text.push(']');
    text
}

fn push_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write!(text, "\\u{:04x}", u32::from(character))
                    .expect("writing to a string cannot fail");
            }
            character => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        let items = [
            "<a>&b",
            "q\"\\/",
            "tab\tnl\ncr\r",
            "\u{8}\u{c}\u{1}\u{1f}\u{7f}",
            "é€😀",
            "\u{2028}\u{2029}\u{a0}",
            "",
        ];
        assert_eq!(
            string_array(&items),
            "[\"\\u003ca\\u003e\\u0026b\",\"q\\\"\\\\/\",\"tab\\tnl\\ncr\\r\",\"\\b\\f\\u0001\\u001f\u{7f}\",\"é€😀\",\
             \"\\u2028\\u2029\u{a0}\",\"\"]"
        );
    }
}
