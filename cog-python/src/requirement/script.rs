//! Metadata in a script (PEP 723): the comments of a Python file that name its packages.

use serde::Deserialize;
use toml::Spanned;

use super::lock::{LockError, LockLine, Tool, read, requirements};

/// How the block begins and ends.
const START: &str = "# /// script";
const END: &str = "# ///";

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    dependencies: Vec<Spanned<String>>,
    #[serde(default)]
    tool: Tool,
}

/// The packages and indexes that a script names.
pub(super) fn lines(text: &str) -> Result<Vec<LockLine>, LockError> {
    let metadata: Metadata = read(&block(text)?)?;
    Ok(requirements(metadata.dependencies, metadata.tool))
}

/// The text of the block, with all around it left blank: every byte stays where it is.
pub(super) fn block(text: &str) -> Result<String, LockError> {
    let error = |message: &str, offset: usize| {
        Err(LockError {
            message: message.to_owned(),
            offset,
        })
    };
    let mut lines = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        lines.push((offset, line.trim_end_matches(['\r', '\n']), line));
        offset += line.len();
    }
    let mut starts = lines
        .iter()
        .enumerate()
        .filter(|(_, (_, line, _))| *line == START);
    let Some((start, (offset, ..))) = starts.next() else {
        return error(
            "a script names its packages in a block that begins with `# /// script`",
            0,
        );
    };
    // The last line of the comment that can be the end is: the block may hold others that look like it.
    let length = lines[start + 1..]
        .iter()
        .take_while(|(_, line, _)| *line == "#" || line.starts_with("# "))
        .count();
    let comment = &lines[start + 1..=start + length];
    let Some(end) = comment.iter().rposition(|(_, line, _)| *line == END) else {
        return error("the block has no end, a line `# ///`", *offset);
    };
    let end = start + 1 + end;
    if let Some((_, (second, ..))) = starts.find(|(index, _)| *index > end) {
        return error("a script has one block `# /// script`", *second);
    }
    let mut blank = String::with_capacity(text.len());
    for (index, (_, line, whole)) in lines.iter().enumerate() {
        if start < index && index < end {
            let mark = line.len().min(2);
            blank.push_str(&" ".repeat(mark));
            blank.push_str(&whole[mark..]);
        } else {
            blank.push_str(&" ".repeat(line.len()));
            blank.push_str(&whole[line.len()..]);
        }
    }
    Ok(blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
#!/usr/bin/env python3
# é
# /// script
# requires-python = \">=3.11\"
# dependencies = [
#   \"six>=1\",
#
#   \"numpy ; python_version > '3'\",
# ]
# [[tool.uv.index]]
# url = \"https://a/simple\"
# ///
# more
import six
";

    #[test]
    fn packages_and_indexes_are_where_they_were_written() {
        for text in [SCRIPT.to_owned(), SCRIPT.replace('\n', "\r\n")] {
            let lines = lines(&text).unwrap();
            let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
            let expected = [
                "--extra-index-url https://a/simple",
                "six>=1",
                "numpy ; python_version > '3'",
            ];
            assert_eq!(texts, expected);
            for line in &lines[1..] {
                assert!(text[line.offset + 1..].starts_with(&line.text));
            }
        }
    }

    #[test]
    fn blocks_that_are_none_say_why() {
        let twice = format!("{SCRIPT}{SCRIPT}");
        let open = SCRIPT.replace("# ///\n", "");
        let wrong = SCRIPT.replace("\"six>=1\",", "six,");
        for (text, message, offset) in [
            ("import six\n", "begins with `# /// script`", 0),
            (&open, "no end", SCRIPT.find(START).unwrap()),
            (
                &twice,
                "one block",
                SCRIPT.len() + SCRIPT.find(START).unwrap(),
            ),
            (&wrong, "", SCRIPT.find("\"six").unwrap()),
        ] {
            let error = lines(text).unwrap_err();
            assert!(error.message.contains(message), "{}", error.message);
            assert_eq!(error.offset, offset, "{}", error.message);
        }
    }

    #[test]
    fn the_last_end_of_a_comment_ends_the_block() {
        let text = "# /// script\n# dependencies = [\n# # ///\n# ]\n# ///\n";
        assert_eq!(lines(text).unwrap(), []);
    }
}
