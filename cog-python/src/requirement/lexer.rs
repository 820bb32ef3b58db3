//! Physical lines to logical ones, by pip's rules.

use crate::diagnostic::Span;

/// A logical line: joined, without comment, trimmed, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogicalLine {
    pub(super) text: String,
    /// Place of its first physical line.
    pub(super) span: Span,
}

/// Splits a requirements file.
pub(super) fn logical_lines(text: &str) -> Vec<LogicalLine> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    let mut physical = text.lines().enumerate().peekable();
    while let Some((index, line)) = physical.next() {
        let (number, start, mut joined) = open.take().unwrap_or_else(|| {
            (
                index + 1,
                line.chars().take_while(|c| c.is_whitespace()).count() + 1,
                String::new(),
            )
        });
        // pip joins before it drops comments, but a comment line itself never continues.
        let comment = line.trim_start().starts_with('#');
        let continued = line.strip_suffix('\\').filter(|_| !comment);
        if comment && !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(continued.unwrap_or(line));
        if continued.is_some() && physical.peek().is_some() {
            open = Some((number, start, joined));
            continue;
        }
        let content = without_comment(&joined).trim();
        if !content.is_empty() {
            let first = text.lines().nth(number - 1).unwrap_or_default();
            let length = without_comment(first).trim().chars().count().max(1);
            lines.push(LogicalLine {
                text: content.to_owned(),
                span: Span {
                    line: number,
                    column: start,
                    length,
                },
            });
        }
    }
    lines
}

/// Cuts at a `#` that starts the line or follows a blank; `#egg=…` of an URL stays.
fn without_comment(line: &str) -> &str {
    let mut blank = true;
    for (index, c) in line.char_indices() {
        if c == '#' && blank {
            return &line[..index];
        }
        blank = c.is_whitespace();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        logical_lines(text)
            .into_iter()
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn comments_and_blank_lines_go() {
        assert_eq!(
            texts("# head\r\n\r\nnumpy==2.0  # why\n  six\n\n#end"),
            ["numpy==2.0", "six"]
        );
    }

    #[test]
    fn fragments_of_urls_stay() {
        assert_eq!(
            texts("git+https://example.com/a.git#egg=a # tail"),
            ["git+https://example.com/a.git#egg=a"]
        );
    }

    #[test]
    fn backslashes_join_lines() {
        assert_eq!(
            texts("six==1.17 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nnumpy"),
            [
                "six==1.17     --hash=sha256:aa     --hash=sha256:bb",
                "numpy"
            ]
        );
        assert_eq!(texts("# no \\\nsix"), ["six"]);
        assert_eq!(texts("six \\\n# stop \\\nnumpy"), ["six", "numpy"]);
        assert_eq!(texts("six \\"), ["six"]);
    }

    #[test]
    fn places_are_those_of_the_first_line() {
        let lines = logical_lines("\n  six \\\n  ; python_version > '3'\n");
        assert_eq!(
            lines[0].span,
            Span {
                line: 2,
                column: 3,
                length: 5
            }
        );
    }
}
