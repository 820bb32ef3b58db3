//! `-i name=value`: inputs of a prediction.
//!
//! A value is a file (`@path`, sent as a data URL) or text. Where the image holds the model's
//! schema, the declared type decides how text is read; otherwise numbers, `true`, `false`,
//! `null`, lists, mappings and quoted strings are read as JSON and everything else is a string.

use std::path::Path;

use serde_json::{Map, Value};

use super::Failure;
use crate::base64;

/// Media types by file name extension; others are sent as plain bytes.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("csv", "text/csv"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("zip", "application/zip"),
];

/// An input as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputOption {
    name: String,
    value: String,
}

impl std::str::FromStr for InputOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("must be `name=value`, or `name=@file`".to_owned()),
        }
    }
}

/// The input of a prediction as JSON; `schema` is the model's OpenAPI document if it has one.
pub(crate) fn collect(inputs: &[InputOption], schema: Option<&Value>) -> Result<Value, Failure> {
    let mut object = Map::new();
    for input in inputs {
        let value = match input.value.strip_prefix('@') {
            Some(path) => Value::String(data_url(&input.name, path)?),
            None => typed(&input.value, declared_type(schema, &input.name)),
        };
        if object.insert(input.name.clone(), value).is_some() {
            return Err(Failure::new(format!(
                "input `{}` is given twice",
                input.name
            )));
        }
    }
    Ok(Value::Object(object))
}

fn declared_type<'s>(schema: Option<&'s Value>, name: &str) -> Option<&'s str> {
    let properties = &schema?["components"]["schemas"]["Input"]["properties"];
    properties[name]["type"].as_str()
}

fn typed(text: &str, declared: Option<&str>) -> Value {
    let string = || Value::String(text.to_owned());
    match declared {
        Some("string") => string(),
        Some(_) => serde_json::from_str(text).unwrap_or_else(|_| string()),
        None => match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) => string(),
        },
    }
}

fn data_url(name: &str, path: &str) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::new(format!("cannot read `{path}` for input `{name}`: {error}"))
    })?;
    let extension = Path::new(path)
        .extension()
        .and_then(|extension| extension.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let media = MEDIA_TYPES
        .iter()
        .find(|(known, _)| *known == extension)
        .map_or("application/octet-stream", |(_, media)| media);
    Ok(format!("data:{media};base64,{}", base64::encode(&bytes)))
}

/// Takes a data URL apart: file name extension and bytes.
pub(crate) fn file_of(url: &str) -> Option<(&'static str, Vec<u8>)> {
    let (media, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    let media = media.split(';').next().unwrap_or_default();
    let extension = MEDIA_TYPES
        .iter()
        .find(|(_, known)| *known == media)
        .map(|(name, _)| *name);
    Some((extension.unwrap_or("bin"), base64::decode(data)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inputs(texts: &[&str]) -> Vec<InputOption> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn without_a_schema_json_is_read_and_the_rest_is_text() {
        let inputs = inputs(&[
            "a=1", "b=1,2", "c=true", "d=\"1\"", "e=", "f=[1]", "g=a=b", "h=007",
        ]);
        assert_eq!(
            collect(&inputs, None).unwrap(),
            json!({"a": 1, "b": "1,2", "c": true, "d": "1", "e": "", "f": [1], "g": "a=b", "h": "007"})
        );
    }

    #[test]
    fn a_schema_decides_about_numbers() {
        let schema = json!({"components": {"schemas": {"Input": {"properties": {
            "a": {"type": "string"}, "b": {"type": "integer"}
        }}}}});
        let inputs = inputs(&["a=1", "b=1"]);
        assert_eq!(
            collect(&inputs, Some(&schema)).unwrap(),
            json!({"a": "1", "b": 1})
        );
    }

    #[test]
    fn files_are_sent_whole_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.PNG");
        std::fs::write(&path, b"\x00\x01").unwrap();
        let inputs = inputs(&[&format!("image=@{}", path.display())]);
        let input = collect(&inputs, None).unwrap();
        assert_eq!(input, json!({"image": "data:image/png;base64,AAE="}));
        assert_eq!(
            file_of(input["image"].as_str().unwrap()),
            Some(("png", vec![0, 1]))
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!("name".parse::<InputOption>().is_err());
        let error = collect(&inputs(&["a=1", "a=2"]), None).unwrap_err();
        assert_eq!(error.to_string(), "error: input `a` is given twice");
        let error = collect(&inputs(&["a=@/nonexistent/file"]), None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot read `/nonexistent/file` for input `a`")
        );
    }
}
