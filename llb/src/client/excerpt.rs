//! A place in one of the author's files, with the lines around it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Lines shown before and after the ones that are meant.
const CONTEXT: usize = 2;
/// Most lines shown of one range.
const LONGEST: usize = 12;
/// Most characters shown of one line.
const WIDTH: usize = 120;

/// A place in one of the author's files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SourceExcerpt {
    /// Name of the file, as the author gave it.
    pub filename: String,
    /// Language of the file; may be empty.
    pub language: String,
    /// Text of the file; empty if it was neither sent with the graph nor found on this machine.
    pub text: String,
    /// First and last line of each range, counted from 1.
    pub ranges: Vec<(u32, u32)>,
}

impl SourceExcerpt {
    /// The lines that are meant, marked and with two lines around them:
    ///
    /// ```text
    ///  --> build.rs:42
    ///    |
    /// 41 | let base = image("debian");
    /// 42 > let built = base.run(sh("make"));
    /// 43 | built.marshal(&options)
    /// ```
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for &(first, last) in &self.ranges {
            self.range(&mut text, first, last.max(first));
        }
        if self.ranges.is_empty() {
            text = format!(" --> {}\n", self.filename);
        }
        text
    }

    fn range(&self, text: &mut String, first: u32, last: u32) {
        // Writing to a string does not fail.
        let _ = writeln!(text, " --> {}:{first}", self.filename);
        let (first, last) = (first as usize, last as usize);
        let lines: Vec<_> = self.text.lines().collect();
        if first == 0 || first > lines.len() {
            return;
        }
        let shown = last.min(lines.len()).min(first + LONGEST);
        let from = first.saturating_sub(CONTEXT).max(1);
        let until = (shown + CONTEXT).min(lines.len());
        let width = until.to_string().len();
        let _ = writeln!(text, " {:width$} |", "");
        for number in from..=until {
            let sign = if (first..=shown).contains(&number) {
                '>'
            } else {
                '|'
            };
            let line = lines[number - 1];
            let line = match line.char_indices().nth(WIDTH) {
                Some((end, _)) => format!("{}…", &line[..end]),
                None => line.to_owned(),
            };
            let line = format!(" {number:width$} {sign} {line}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }

    /// Reads the text from a file of this machine, if the graph did not bring it.
    ///
    /// The name is as the author's compiler or program gave it, so it is tried from the working
    /// directory and from those above it.
    pub(super) fn find_text(&mut self) {
        let last = self
            .ranges
            .iter()
            .map(|(first, last)| *first.max(last))
            .max();
        let last = last.unwrap_or(0) as usize;
        if !self.text.is_empty() || self.filename.is_empty() {
            return;
        }
        let Ok(directory) = std::env::current_dir() else {
            return;
        };
        let found = directory
            .ancestors()
            .find_map(|above| read(&above.join(&self.filename)));
        if let Some(text) = found.filter(|text| text.lines().count() >= last) {
            self.text = text;
        }
    }
}

fn read(path: &Path) -> Option<String> {
    const LARGEST: u64 = 4 << 20;
    let metadata = fs::metadata(path).ok()?;
    let readable = metadata.is_file() && metadata.len() <= LARGEST;
    readable.then(|| fs::read_to_string(path).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(ranges: &[(u32, u32)]) -> SourceExcerpt {
        let lines: Vec<_> = (1..=11).map(|line| format!("line {line}")).collect();
        SourceExcerpt {
            filename: "build.rs".into(),
            text: lines.join("\n"),
            ranges: ranges.to_vec(),
            ..SourceExcerpt::default()
        }
    }

    #[test]
    fn lines_are_marked_and_have_context() {
        insta::assert_snapshot!(excerpt(&[(9, 10), (1, 1)]).to_text(), @"
        --> build.rs:9
           |
         7 | line 7
         8 | line 8
         9 > line 9
        10 > line 10
        11 | line 11
        --> build.rs:1
          |
        1 > line 1
        2 | line 2
        3 | line 3
        ");
    }

    #[test]
    fn places_that_are_not_in_the_text_are_named_only() {
        for ranges in [&[(12, 13)][..], &[(0, 0)], &[(u32::MAX, u32::MAX)]] {
            let text = excerpt(ranges).to_text();
            assert_eq!(text, format!(" --> build.rs:{}\n", ranges[0].0));
        }
        assert_eq!(excerpt(&[]).to_text(), " --> build.rs\n");
    }

    #[test]
    fn a_text_that_was_not_sent_is_looked_for() {
        let mut found = SourceExcerpt {
            filename: "llb/src/client/excerpt.rs".into(),
            ranges: vec![(1, 1)],
            ..SourceExcerpt::default()
        };
        found.find_text();
        assert!(
            found.to_text().contains("1 > //! A place in one of"),
            "{found:?}"
        );
        found.text.clear();
        found.ranges = vec![(100_000, 100_000)];
        found.find_text();
        assert!(found.text.is_empty(), "it is another file");
    }
}
