//! Lines of styled text that fit into a terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A line, piece by piece.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Line(Vec<(Style, String)>);

/// How a piece of text is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    Plain,
    Strong,
    Dim,
    Run,
    Good,
    Bad,
    Warn,
}

impl Style {
    /// What turns the style on: the parameters of SGR.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Run => "36",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Warn => "33",
        }
    }
}

impl Line {
    pub(super) fn push(&mut self, style: Style, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push((style, text));
        }
    }

    pub(super) fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.push(style, text);
        self
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// Puts a text at the end of the columns.
    pub(super) fn right(mut self, columns: usize, style: Style, text: &str) -> Self {
        let rest = columns.saturating_sub(self.width() + text.width());
        self.push(Style::Plain, " ".repeat(rest));
        self.with(style, text)
    }

    /// The text, with escape sequences for its styles if `colors`.
    pub(super) fn render(&self, colors: bool) -> String {
        let mut text = String::new();
        for (style, piece) in &self.0 {
            match style.code() {
                code if colors && !code.is_empty() => {
                    text.extend(["\x1b[", code, "m", piece, "\x1b[0m"]);
                }
                _ => text.push_str(piece),
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text
    }
}

/// The text in at most so many columns; where it is cut stands `cut`, which takes one.
pub(super) fn fit(text: &str, columns: usize, cut: &str) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > columns {
            break;
        }
        fitted.push(character);
    }
    if columns > 0 {
        fitted.push_str(cut);
    }
    fitted
}

/// Output of a step without what moves the cursor: escape sequences and control characters go,
/// tabs become blanks.
pub(super) fn clean(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => match characters.next() {
                // A control sequence ends with its first letter or sign from `@` on.
                Some('[') => {
                    characters.by_ref().find(|c| ('@'..='~').contains(c));
                }
                // A text for the terminal ends with BEL or ESC \.
                Some(']') => {
                    let end = characters.by_ref().find(|c| matches!(c, '\x07' | '\x1b'));
                    if end == Some('\x1b') {
                        characters.next();
                    }
                }
                _ => {}
            },
            '\t' => {
                let next = 8 - text.width() % 8;
                text.push_str(&" ".repeat(next));
            }
            // Backspaces and bells as well; and what turns the direction of text around.
            c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_columns_not_at_bytes() {
        assert_eq!(fit("naïve", 5, "…"), "naïve");
        assert_eq!(fit("日本語のログ", 6, "…"), "日本…");
        assert_eq!(fit("日本語のログ", 5, "…"), "日本…");
        assert_eq!(fit("abc", 1, "…"), "…");
        assert_eq!(fit("abc", 0, "…"), "");
    }

    #[test]
    fn output_cannot_move_the_cursor() {
        assert_eq!(clean("\x1b[1;31mred\x1b[0m \x1b[2Kx\x07"), "red x");
        assert_eq!(clean("\x1b]0;title\x07a\x1b]8;;url\x1b\\b"), "ab");
        assert_eq!(clean("a\tb\x08"), "a       b");
        assert_eq!(clean("\x1b["), "");
    }

    #[test]
    fn styles_are_codes_or_nothing() {
        let line = Line::default()
            .with(Style::Good, "ok")
            .with(Style::Plain, " done")
            .right(12, Style::Dim, "1s");
        assert_eq!(line.render(false), "ok done   1s");
        assert_eq!(
            line.render(true),
            "\x1b[32mok\x1b[0m done   \x1b[2m1s\x1b[0m"
        );
    }
}
