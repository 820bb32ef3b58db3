//! The JSON schema of `cog.yaml`, for editors that check and complete while one types.

use serde_json::{Map, Value, json};

use super::keys::{Key, Mapping, ROOT, Shape};

/// Address under which editors know the schema.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema, indented, with a final line feed. It is made of the keys that [`read`](super::read()) reads.
///
/// Save it next to the project and begin `cog.yaml` with `# yaml-language-server: $schema=cog.schema.json`.
pub fn schema() -> String {
    let mut root = Map::new();
    root.insert("$schema".into(), json!(DRAFT));
    root.insert("title".into(), json!("cog.yaml"));
    root.extend(mapping(&ROOT));
    format!("{:#}\n", Value::Object(root))
}

fn mapping(of: &Mapping) -> Map<String, Value> {
    let properties: Map<String, Value> = of
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = of
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("additionalProperties".into(), json!(false));
    object.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".into(), json!(required));
    }
    object
}

fn property(key: &Key) -> Value {
    let mut object = shape(&key.shape);
    let about = match key.instead {
        Some(instead) => {
            object.insert("deprecated".into(), json!(true));
            object.insert(
                "deprecationMessage".into(),
                json!(format!("deprecated: {instead}")),
            );
            format!("{} Deprecated: {instead}.", key.about)
        }
        None => key.about.to_owned(),
    };
    object.insert("description".into(), json!(about));
    Value::Object(object)
}

fn shape(of: &Shape) -> Map<String, Value> {
    let value = match of {
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Text => json!({"type": "string"}),
        Shape::Version => json!({"type": ["string", "number"]}),
        Shape::Word(words) => json!({"enum": words}),
        Shape::Form(pattern) => json!({"type": "string", "pattern": pattern}),
        Shape::Integer(minimum) => json!({"type": "integer", "minimum": minimum}),
        Shape::List(items) => json!({"type": ["array", "null"], "items": shape(items)}),
        Shape::Mapping(of) => return mapping(of),
        Shape::Either(shapes) => json!({"anyOf": shapes.iter().map(shape).collect::<Vec<_>>()}),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_every_key() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let build = &schema["properties"]["build"];
        // `.python-version` may say it.
        assert_eq!(
            (&schema["required"], &build["required"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            build["properties"]["pre_install"]["deprecated"],
            json!(true)
        );
        assert_eq!(
            build["properties"]["python_version"]["type"],
            json!(["string", "number"])
        );
        assert_eq!(
            schema["properties"]["weights"]["items"]["properties"]["target"]["pattern"],
            json!("^/.")
        );
        insta::assert_snapshot!(super::schema());
    }
}
