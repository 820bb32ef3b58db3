//! Draws lines over the lines drawn before.

use std::io::{self, Write};

use super::text::Line;

/// The part of a terminal that is drawn again and again. Its cursor rests below the last line.
#[derive(Debug)]
pub(super) struct Screen<W> {
    writer: W,
    colors: bool,
    /// Widths of the lines that were drawn last.
    drawn: Vec<usize>,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(writer: W, colors: bool) -> Self {
        Self {
            writer,
            colors,
            drawn: Vec::new(),
        }
    }

    /// Draws lines in the place of those drawn before, in a terminal of so many columns.
    pub(super) fn draw(&mut self, lines: &[Line], columns: usize) -> io::Result<()> {
        // A terminal that has become narrower has folded what it had.
        let folded = |width: &usize| width.div_ceil(columns.max(1)).max(1);
        let up: usize = self.drawn.iter().map(folded).sum();
        let mut text = String::new();
        // One frame at once, without folding, where the terminal knows how.
        text.push_str("\x1b[?2026h\x1b[?7l");
        if up > 0 {
            text.extend(["\x1b[", &up.to_string(), "F"]);
        }
        for line in lines {
            text.push_str(&line.render(self.colors));
            text.push_str("\x1b[K\r\n");
        }
        text.push_str("\x1b[J\x1b[?7h\x1b[?2026l");
        self.drawn = lines.iter().map(Line::width).collect();
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }

    /// Leaves what was drawn to stay: the next lines come below it.
    pub(super) fn leave(&mut self) {
        self.drawn.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::text::Style;

    fn line(text: &str) -> Line {
        Line::default().with(Style::Plain, text)
    }

    #[test]
    fn a_frame_takes_the_place_of_the_one_before() {
        let mut screen = Screen::new(Vec::new(), false);
        screen.draw(&[line("one"), line("two")], 80).unwrap();
        screen.draw(&[line("three")], 80).unwrap();
        let text = String::from_utf8(screen.writer).unwrap();
        assert_eq!(
            text.replace("\x1b[?2026h\x1b[?7l", "<")
                .replace("\x1b[J\x1b[?7h\x1b[?2026l", ">"),
            "<one\x1b[K\r\ntwo\x1b[K\r\n><\x1b[2Fthree\x1b[K\r\n>"
        );
    }

    #[test]
    fn what_is_left_stays() {
        let mut screen = Screen::new(Vec::new(), false);
        screen.draw(&[line("one")], 80).unwrap();
        screen.leave();
        screen.draw(&[line("two")], 80).unwrap();
        let text = String::from_utf8(screen.writer).unwrap();
        assert!(!text.contains("\x1b[1F"), "{text:?}");
    }

    #[test]
    fn folded_lines_are_counted() {
        let mut screen = Screen::new(Vec::new(), false);
        screen.draw(&[line("0123456789"), line("")], 80).unwrap();
        screen.draw(&[], 4).unwrap();
        let text = String::from_utf8(screen.writer).unwrap();
        assert!(text.contains("\x1b[4F"), "{text:?}");
    }
}
