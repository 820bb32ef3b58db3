//! The OpenAPI schema of a model.

use cog_python::schema::Schema;
use serde_json::{Value, json};

use super::Answer;
use super::project::Project;

/// Version of Cog that answered the cases.
const VERSION: &str = "0.22.0";

pub fn schema(input: &Value) -> Answer {
    let project = Project::of(input);
    let (config, report) = project.read();
    let Some(config) = config else {
        return Project::refused(&report);
    };
    let run = config.run.as_ref().map(|run| &run.value);
    let train = config.train.as_ref().map(|train| &train.value);
    let document = match Schema::read(run, train, &project.files, VERSION) {
        Ok(schema) => schema.document,
        Err(report) => return Answer::refused(&report),
    };
    let mut answer = Answer::new();
    let schemas = &document["components"]["schemas"];
    for name in ["Input", "Output", "TrainingInput", "TrainingOutput"] {
        answer.set_some(name, schemas.get(name).cloned());
    }
    let sorted = |object: &Value| {
        let mut names: Vec<String> = object
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        json!(names)
    };
    answer
        .set("openapi", document["openapi"].clone())
        .set("info", document["info"].clone())
        .set("paths", sorted(&document["paths"]))
        .set("schema_names", sorted(schemas));
    answer
}
