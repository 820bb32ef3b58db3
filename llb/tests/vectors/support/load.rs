//! Reads the vectors.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// One vector: what the Go client made of a program.
pub(crate) struct Vector {
    json: Value,
}

impl Vector {
    pub(crate) fn load(name: &str) -> Self {
        let path = folder().join(format!("{name}.json"));
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("vector {name}: {error}"));
        Self {
            json: serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("vector {name}: {error}")),
        }
    }

    /// The Go program.
    pub(crate) fn program(&self) -> &str {
        self.json["go"]
            .as_str()
            .expect("every vector has a program")
    }

    /// The message of the error that marshal gives, if it fails.
    pub(crate) fn error(&self) -> Option<&str> {
        self.json["error"].as_str()
    }

    /// What accessors returned, if the vector is about those.
    pub(crate) fn values(&self) -> Option<&Value> {
        self.json.get("values")
    }

    /// The bytes of the definition, with sorted maps.
    pub(crate) fn definition(&self) -> Vec<u8> {
        decode_base64(
            self.json["definition"]
                .as_str()
                .expect("a vector without error has a definition"),
        )
    }

    /// The digest of the op whose result the definition is; empty for scratch.
    pub(crate) fn head(&self) -> &str {
        self.json["head"].as_str().unwrap_or_default()
    }

    /// Bytes and digest of each op, in order.
    pub(crate) fn ops(&self) -> Vec<(Vec<u8>, &str)> {
        let ops = self.json["def"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let text = |value: &'_ Value| {
            value
                .as_str()
                .expect("ops have bytes and a digest")
                .to_owned()
        };
        ops.iter()
            .map(|op| {
                (
                    decode_base64(&text(&op["bytes"])),
                    op["digest"].as_str().unwrap_or_default(),
                )
            })
            .collect()
    }
}

/// The names of all vectors, sorted.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder of the vectors is there");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut names: Vec<String> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            path.file_stem()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort_unstable();
    names
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", "data"]
        .iter()
        .collect()
}

fn decode_base64(text: &str) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{byte} is no base64"),
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, &byte| bits << 6 | u32::from(sextet(byte)))
            << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
