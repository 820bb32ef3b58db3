//! An op in parts that are compared one by one: each word of its line, and each line of its block.

use super::print::Printer;
use super::print_op::OpPrinter;
use crate::inspect::canonical;
use crate::proto::pb;

/// What an op says, with the names of its inputs as given. Nothing of what travels beside it.
pub(crate) fn facts(op: &pb::Op, names: &[String]) -> Vec<String> {
    let mut printer = Printer::new(false);
    let bytes = canonical::encode(op);
    OpPrinter::new(&mut printer, op, &bytes, names).print("", |_| {});
    let mut lines = logical_lines(&printer.text).into_iter();
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("% = ").unwrap_or(&first).to_owned();
    let rest = lines.map(|line| line.trim().to_owned());
    let rest = rest.filter(|line| !matches!(line.as_str(), "" | "{" | "}"));
    words(first.strip_suffix(" {").unwrap_or(&first))
        .into_iter()
        .chain(rest)
        .collect()
}

/// Lines, with those that a backslash at the end of a quoted text goes on in put together.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let part = line.strip_suffix('\\');
        match lines.last_mut() {
            Some(last) if goes_on => last.push_str(part.unwrap_or(line).trim_start()),
            _ => lines.push(part.unwrap_or(line).to_owned()),
        }
        goes_on = part.is_some();
    }
    lines
}

/// Words of a line; a quoted text is one, with its blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for character in line.chars() {
        if character == ' ' && !is_quoted {
            words.push(String::new());
            continue;
        }
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_one_word() {
        assert_eq!(
            words(r#"exec "a b" "c \" d" cwd=/"#),
            ["exec", r#""a b""#, r#""c \" d""#, "cwd=/"]
        );
        assert_eq!(logical_lines("a \"x\\\n  y\"\nb"), ["a \"xy\"", "b"]);
    }
}
