//! Outputs of models, for a person or for files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Failure, input, print};

/// Shows an output: text as it is, a file's path after writing it, everything else as JSON. Lists of texts that belong
/// together (`concatenated`) are one text. Files in lists and objects are written one by one.
pub(super) fn output(
    output: &Value,
    concatenated: bool,
    file: Option<&Path>,
) -> Result<(), Failure> {
    match output {
        Value::String(text) => match input::file_of(text) {
            Some((extension, bytes)) => {
                let path = file.map_or_else(|| named("", extension), Path::to_owned);
                write(&path, &bytes)?;
                print(&format!("{}\n", path.display()))
            }
            None => text_out(&format!("{text}\n"), file),
        },
        Value::Array(parts) if concatenated && parts.iter().all(Value::is_string) => {
            let text: String = parts.iter().filter_map(Value::as_str).collect();
            text_out(&format!("{text}\n"), file)
        }
        Value::Array(parts) if !parts.is_empty() && parts.iter().all(is_file) => {
            let mut lines = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                let path = write_part(part, &format!(".{index}"), file)?;
                lines.push(path.display().to_string());
            }
            print(&(lines.join("\n") + "\n"))
        }
        Value::Object(fields) if fields.values().any(is_file) => {
            let mut shown = fields.clone();
            for (name, value) in &mut shown {
                if is_file(value) {
                    let path = write_part(value, &format!(".{name}"), file)?;
                    *value = Value::String(path.display().to_string());
                }
            }
            print(&pretty(&Value::Object(shown))?)
        }
        other => text_out(&pretty(other)?, file),
    }
}

/// Shows the whole answer of a server as JSON.
pub(super) fn whole(answer: &Value, file: Option<&Path>) -> Result<(), Failure> {
    text_out(&pretty(answer)?, file)
}

fn is_file(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| input::file_of(text).is_some())
}

fn named(part: &str, extension: &str) -> PathBuf {
    PathBuf::from(format!("output{part}.{extension}"))
}

/// Writes one file of several; `part` makes its name another one.
fn write_part(value: &Value, part: &str, file: Option<&Path>) -> Result<PathBuf, Failure> {
    let found = value.as_str().and_then(input::file_of);
    let (extension, bytes) = found.unwrap_or(("bin", Vec::new()));
    // A field's name must not lead anywhere else.
    let part: String = part
        .chars()
        .map(|c| if c == '/' || c == '\\' { '_' } else { c })
        .collect();
    let path = match file {
        None => named(&part, extension),
        Some(file) => {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let extension = file
                .extension()
                .map_or(extension.into(), std::ffi::OsStr::to_string_lossy);
            file.with_file_name(format!("{stem}{part}.{extension}"))
        }
    };
    write(&path, &bytes)?;
    Ok(path)
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(format!("the output cannot be shown: {error}")))?;
    Ok(format!("{text}\n"))
}

fn text_out(text: &str, file: Option<&Path>) -> Result<(), Failure> {
    match file {
        Some(path) => write(path, text.as_bytes()),
        None => print(text),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes)
        .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_in_lists_and_objects_are_written_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.png");
        let url = "data:image/png;base64,AAE=";
        output(&json!([url, url]), false, Some(&file)).unwrap();
        for name in ["out.0.png", "out.1.png"] {
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), [0, 1]);
        }
        output(&json!({"../a": url, "n": 1}), false, Some(&file)).unwrap();
        assert!(folder.path().join("out..._a.png").is_file());
    }

    #[test]
    fn texts_that_belong_together_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.txt");
        output(&json!(["a", "b"]), true, Some(&file)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "ab\n");
        output(&json!(["a"]), false, Some(&file)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[\n  \"a\"\n]\n");
    }
}
