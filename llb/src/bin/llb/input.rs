//! Reads graphs, whichever form they are in.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use llb::Definition;

/// Reads a graph from a file, or from standard input for `-`.
pub(crate) fn read(file: &Path) -> Result<Definition, String> {
    let (name, bytes) = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        (file.display().to_string(), fs::read(file))
    };
    let bytes = bytes.map_err(|error| format!("failed to read {name}: {error}"))?;
    let definition = match text(&bytes) {
        Some(text) => Definition::from_text(text),
        None => Definition::from_bytes(&bytes),
    };
    definition.map_err(|error| {
        let problems: Vec<_> = error
            .problems()
            .iter()
            .map(|problem| format!("{name}: {problem}"))
            .collect();
        problems.join("\nerror: ")
    })
}

/// The text, if it is one. Every definition of at least one op has a control character that texts do not: the lengths
/// and tags of protobuf are bytes below the blank.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_text =
        !text.is_empty() && !text.contains(|c: char| c.is_control() && !"\n\r\t".contains(c));
    is_text.then_some(text)
}

#[cfg(test)]
mod tests {
    use llb::prelude::*;

    use super::*;

    #[test]
    fn definitions_and_texts_are_told_apart() {
        for state in [
            scratch(),
            local("x").into(),
            scratch().mkdir("/", 0),
            image("a").run(sh("b")),
        ] {
            let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
            assert_eq!(text(&definition.to_bytes()), None);
            assert!(text(definition.to_text().as_bytes()).is_some());
        }
    }
}
