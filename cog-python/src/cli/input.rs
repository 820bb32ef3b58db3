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

/// What the inputs are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A prediction.
    Prediction,
    /// A training.
    Training,
}

impl Kind {
    fn input(self) -> &'static str {
        match self {
            Self::Prediction => "Input",
            Self::Training => "TrainingInput",
        }
    }

    fn output(self) -> &'static str {
        match self {
            Self::Prediction => "Output",
            Self::Training => "TrainingOutput",
        }
    }
}

/// The inputs as JSON; `schema` is the model's OpenAPI document if it has one. A list may be given one by one.
pub(crate) fn collect(
    inputs: &[InputOption],
    schema: Option<&Value>,
    kind: Kind,
) -> Result<Value, Failure> {
    let mut object = Map::new();
    for input in inputs {
        let declared = declared(schema, kind, &input.name);
        let is_list = declared.is_some_and(|declared| declared["type"] == "array");
        let declared = match declared {
            Some(declared) if is_list => declared["items"]["type"].as_str().or(Some("any")),
            Some(declared) => declared["type"].as_str(),
            None => None,
        };
        let value = match input.value.strip_prefix('@') {
            Some(path) => Value::String(data_url(&input.name, path)?),
            None if is_list && input.value.trim_start().starts_with('[') => {
                typed(&input.value, Some("array"))
            }
            None => typed(&input.value, declared),
        };
        let value = if is_list && !value.is_array() {
            Value::Array(vec![value])
        } else {
            value
        };
        match (object.get_mut(&input.name), value) {
            (None, value) => {
                object.insert(input.name.clone(), value);
            }
            (Some(Value::Array(all)), Value::Array(more)) if is_list => all.extend(more),
            _ => {
                return Err(Failure::new(format!(
                    "input `{}` is given twice",
                    input.name
                )));
            }
        }
    }
    Ok(Value::Object(object))
}

/// Refuses inputs that the model has not, and a call without those that it needs.
pub(crate) fn check(input: &Value, schema: Option<&Value>, kind: Kind) -> Result<(), Failure> {
    let Some(schemas) = schema.map(|schema| &schema["components"]["schemas"]) else {
        return Ok(());
    };
    let declared = &schemas[kind.input()];
    if !declared.is_object() && schemas.is_object() && kind == Kind::Training {
        return Err(Failure::new("the model does not train")
            .hint("name a function in cog.yaml, such as `train: train.py:train`"));
    }
    let (Some(given), known) = (input.as_object(), &declared["properties"]) else {
        return Ok(());
    };
    let names = || known.as_object().into_iter().flat_map(|known| known.keys());
    for name in given.keys() {
        if known.get(name).is_none() {
            let failure = Failure::new(format!("the model has no input `{name}`"));
            let near = crate::suggest::nearest(name, names().map(String::as_str));
            let known: Vec<_> = names().map(|name| format!("`{name}`")).collect();
            return Err(failure.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "it has none".to_owned(),
                None => format!("it has {}", known.join(", ")),
            }));
        }
    }
    let required = declared["required"].as_array().into_iter().flatten();
    let missing: Vec<&str> = required
        .filter_map(Value::as_str)
        .filter(|name| !given.contains_key(*name))
        .collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(Failure::new(format!(
            "the model needs inputs that are not given: {}",
            missing.join(", ")
        ))
        .hint(format!("add `-i {first}=VALUE`"))),
    }
}

/// Whether the parts of an output are one text.
pub(crate) fn is_concatenated(schema: Option<&Value>, kind: Kind) -> bool {
    schema.is_some_and(|schema| {
        schema["components"]["schemas"][kind.output()]["x-cog-array-display"] == "concatenate"
    })
}

fn declared<'s>(schema: Option<&'s Value>, kind: Kind, name: &str) -> Option<&'s Value> {
    schema?["components"]["schemas"][kind.input()]["properties"].get(name)
}

fn typed(text: &str, declared: Option<&str>) -> Value {
    let string = || Value::String(text.to_owned());
    match declared {
        Some("string") => string(),
        // A list whose items have no type: read as without a schema.
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
            collect(&inputs, None, Kind::Prediction).unwrap(),
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
            collect(&inputs, Some(&schema), Kind::Prediction).unwrap(),
            json!({"a": "1", "b": 1})
        );
    }

    #[test]
    fn files_are_sent_whole_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.PNG");
        std::fs::write(&path, b"\x00\x01").unwrap();
        let inputs = inputs(&[&format!("image=@{}", path.display())]);
        let input = collect(&inputs, None, Kind::Prediction).unwrap();
        assert_eq!(input, json!({"image": "data:image/png;base64,AAE="}));
        assert_eq!(
            file_of(input["image"].as_str().unwrap()),
            Some(("png", vec![0, 1]))
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!("name".parse::<InputOption>().is_err());
        let error = collect(&inputs(&["a=1", "a=2"]), None, Kind::Prediction).unwrap_err();
        assert_eq!(error.to_string(), "error: input `a` is given twice");
        let error =
            collect(&inputs(&["a=@/nonexistent/file"]), None, Kind::Prediction).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot read `/nonexistent/file` for input `a`")
        );
    }

    #[test]
    fn lists_are_given_whole_or_one_by_one() {
        let schema = json!({"components": {"schemas": {"Input": {"properties": {
            "a": {"type": "array", "items": {"type": "integer"}},
            "b": {"type": "array", "items": {"type": "string"}}
        }}}}});
        let inputs = inputs(&["a=1", "a=2", "b=[\"x\", \"y\"]", "b=3"]);
        assert_eq!(
            collect(&inputs, Some(&schema), Kind::Prediction).unwrap(),
            json!({"a": [1, 2], "b": ["x", "y", "3"]})
        );
    }

    #[test]
    fn what_the_model_has_not_or_needs_is_named() {
        let schema = json!({"components": {"schemas": {"Input": {
            "properties": {"name": {"type": "string"}}, "required": ["name"]
        }}}});
        let check = |input: Value| check(&input, Some(&schema), Kind::Prediction);
        assert!(check(json!({"name": "x"})).is_ok());
        let error = check(json!({"nmae": "x"})).unwrap_err().to_string();
        assert!(error.contains("did you mean `name`?"), "{error}");
        let error = check(json!({})).unwrap_err().to_string();
        assert!(error.contains("not given: name"), "{error}");
    }
}
