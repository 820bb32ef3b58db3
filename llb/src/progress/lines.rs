//! Bytes of output as lines.

use std::collections::VecDeque;

/// Longest line kept in one piece, in bytes. Longer ones are cut: output without line ends must not
/// fill the memory.
const LONGEST: usize = 64 << 10;

/// Cuts bytes into lines as they come.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineBuffer {
    rest: Vec<u8>,
}

/// The last lines of some output.
#[derive(Clone, Debug)]
pub(crate) struct LastLines {
    buffer: LineBuffer,
    lines: VecDeque<String>,
    count: usize,
}

impl LineBuffer {
    /// Takes bytes, gives the lines that are complete.
    pub(crate) fn push(&mut self, data: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") || self.rest.len() >= LONGEST {
                lines.extend(self.flush());
            }
        }
        lines
    }

    /// What is left without a line end.
    pub(crate) fn flush(&mut self) -> Option<String> {
        if self.rest.is_empty() {
            return None;
        }
        let line = String::from_utf8_lossy(&self.rest);
        let line = line.trim_end_matches(['\n', '\r']);
        // What follows a carriage return overwrites the line on a terminal.
        let line = line.rsplit('\r').next().unwrap_or(line).to_owned();
        self.rest.clear();
        Some(line)
    }
}

impl LastLines {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            buffer: LineBuffer::default(),
            lines: VecDeque::new(),
            count,
        }
    }

    pub(crate) fn push(&mut self, data: &[u8]) {
        for line in self.buffer.push(data) {
            self.keep(line);
        }
    }

    /// The last lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut all = self.clone();
        if let Some(line) = all.buffer.flush() {
            all.keep(line);
        }
        all.lines.into()
    }

    fn keep(&mut self, line: String) {
        if self.lines.len() == self.count {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_across_pieces() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(b"one\r\ntw"), ["one"]);
        assert_eq!(buffer.push(b"o\n\nthree"), ["two", ""]);
        assert_eq!(buffer.flush().as_deref(), Some("three"));
        assert_eq!(buffer.flush(), None);
    }

    #[test]
    fn what_is_overwritten_is_not_shown() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(b"10%\r50%\r100%\n"), ["100%"]);
    }

    #[test]
    fn characters_cut_in_two_are_whole_again() {
        let mut buffer = LineBuffer::default();
        assert!(buffer.push(b"caf\xc3").is_empty());
        assert_eq!(buffer.push(b"\xa9\n"), ["café"]);
    }

    #[test]
    fn the_last_lines_are_kept() {
        let mut last = LastLines::new(2);
        last.push(b"a\nb\nc\nd");
        assert_eq!(last.lines(), ["c", "d"]);
    }

    #[test]
    fn endless_lines_are_cut() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(&vec![b'x'; LONGEST]).len(), 1);
    }
}
