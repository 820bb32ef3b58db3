//! `RECORD`: which files an installed distribution has.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The lines of a `RECORD`, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The lines.
    pub lines: Vec<RecordLine>,
}

/// One line of a `RECORD`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordLine {
    /// Relative to `site-packages`, with `/`.
    pub path: String,
    /// Such as `sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU`; empty for the record itself.
    pub hash: String,
    /// In bytes; empty for the record itself.
    pub size: String,
}

impl RecordLine {
    /// The line of a file with this content.
    pub fn of(path: impl Into<String>, content: &[u8]) -> Self {
        Self::new(path.into(), &Sha256::digest(content), content.len() as u64)
    }

    /// The line of a file, from its start.
    pub(super) fn of_file(path: &str, file: &File) -> io::Result<Self> {
        let (mut digest, mut size) = (Sha256::new(), 0);
        let mut buffer = vec![0; 1 << 17];
        loop {
            let read = file.read_at(&mut buffer, size)?;
            if read == 0 {
                return Ok(Self::new(path.to_owned(), &digest.finalize(), size));
            }
            digest.update(&buffer[..read]);
            size += read as u64;
        }
    }

    fn new(path: String, digest: &[u8], size: u64) -> Self {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(digest);
        Self {
            path,
            hash: format!("sha256={digest}"),
            size: size.to_string(),
        }
    }
}

impl Record {
    /// Reads comma separated values as RFC 4180 has them, three a line. Fields that a line lacks are empty.
    pub fn parse(text: &str) -> Self {
        let mut lines = Vec::new();
        let mut fields = vec![String::new()];
        let mut characters = text.chars().peekable();
        let mut quoted = false;
        let mut finish = |fields: &mut Vec<String>| {
            let mut taken = std::mem::replace(fields, vec![String::new()]).into_iter();
            let mut next = || taken.next().unwrap_or_default();
            let line = RecordLine {
                path: next(),
                hash: next(),
                size: next(),
            };
            if !line.path.is_empty() {
                lines.push(line);
            }
        };
        while let Some(character) = characters.next() {
            let last = fields.len() - 1;
            match character {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    fields[last].push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                '\n' if !quoted => finish(&mut fields),
                '\r' if !quoted && characters.peek() == Some(&'\n') => {}
                _ => fields[last].push(character),
            }
        }
        finish(&mut fields);
        Self { lines }
    }

    /// The text, sorted by path.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<&RecordLine> = self.lines.iter().collect();
        lines.sort();
        let mut text = String::new();
        for line in lines {
            for (field, end) in [(&line.path, ','), (&line.hash, ','), (&line.size, '\n')] {
                if field.contains(['"', ',', '\n', '\r']) {
                    text.push('"');
                    text.push_str(&field.replace('"', "\"\""));
                    text.push('"');
                } else {
                    text.push_str(field);
                }
                text.push(end);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_paths_survive() {
        let text = "\"a, b.py\",sha256=x,1\n\"q\"\"u.py\",sha256=y,2\nz/RECORD,,\n";
        let record = Record::parse(text);
        assert_eq!(record.lines[0].path, "a, b.py");
        assert_eq!(record.lines[1].path, "q\"u.py");
        assert_eq!(record.to_text(), text);
    }

    #[test]
    fn windows_line_ends_and_a_missing_last_one_are_read() {
        let record = Record::parse("b.py,h,1\r\na.py,h,2");
        assert_eq!(record.to_text(), "a.py,h,2\nb.py,h,1\n");
    }
}
