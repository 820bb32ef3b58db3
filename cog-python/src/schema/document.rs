//! The OpenAPI document around inputs and outputs.

use serde_json::{Map, Value, json};

use super::{Mode, Part};

const SCHEMAS: &str = "#/components/schemas/";

/// Names of one mode.
struct Names {
    endpoint: &'static str,
    operation: &'static str,
    summary: &'static str,
    description: &'static str,
    parameter: &'static str,
    cancel_operation: &'static str,
    input: &'static str,
    output: &'static str,
    request: &'static str,
    response: &'static str,
}

impl Mode {
    fn names(self) -> Names {
        match self {
            Self::Predict => Names {
                endpoint: "/predictions",
                operation: "predict_predictions_post",
                summary: "Predict",
                description: "Run a single prediction on the model",
                parameter: "prediction_id",
                cancel_operation: "cancel_predictions__prediction_id__cancel_post",
                input: "Input",
                output: "Output",
                request: "PredictionRequest",
                response: "PredictionResponse",
            },
            Self::Train => Names {
                endpoint: "/trainings",
                operation: "train_trainings_post",
                summary: "Train",
                description: "Run a single training on the model",
                parameter: "training_id",
                cancel_operation: "cancel_trainings__training_id__cancel_post",
                input: "TrainingInput",
                output: "TrainingOutput",
                request: "TrainingRequest",
                response: "TrainingResponse",
            },
        }
    }
}

/// The document of a model that predicts, trains, or both.
pub(super) fn document(parts: &[Part], version: &str) -> Value {
    let (mut schemas, mut paths) = (Map::new(), Map::new());
    paths.insert("/".into(), json!({"get": get("Root", "root__get")}));
    paths.insert(
        "/health-check".into(),
        json!({"get": get("Healthcheck", "healthcheck_health_check_get")}),
    );
    for part in parts {
        let names = part.mode.names();
        let mut input = part.input.clone();
        input.insert("title".into(), json!(names.input));
        for (name, choices) in &part.enums {
            // An input of the same name that predictions have may have other choices.
            let mut own = name.clone();
            if schemas.get(name).is_some_and(|other| other != choices) {
                own = format!("{}.{name}", names.input);
                input["properties"][name]["allOf"] = json!([reference(&own)]);
            }
            schemas.insert(own, choices.clone());
        }
        schemas.insert(names.input.into(), Value::Object(input));
        schemas.insert(names.output.into(), part.output.clone());
        exchange(&mut schemas, &names);
        operations(
            &mut paths,
            &names,
            part.mode == Mode::Predict && part.streaming,
        );
    }
    common(&mut schemas);
    json!({
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("{SCHEMAS}{name}")})
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn success(schema: &Value) -> Value {
    json!({"description": "Successful Response", "content": content(schema)})
}

fn invalid() -> Value {
    json!({"description": "Validation Error", "content": content(&reference("HTTPValidationError"))})
}

fn get(summary: &str, operation: &str) -> Value {
    json!({"summary": summary, "operationId": operation, "responses": {"200": success(&json!({}))}})
}

/// Request and response.
fn exchange(schemas: &mut Map<String, Value>, names: &Names) {
    let text = |title: &str| json!({"title": title, "type": "string"});
    let time = |title: &str| json!({"title": title, "type": "string", "format": "date-time"});
    schemas.insert(
        names.request.into(),
        json!({
            "title": names.request,
            "type": "object",
            "properties": {"id": text("Id"), "input": reference(names.input)},
        }),
    );
    schemas.insert(
        names.response.into(),
        json!({
            "title": names.response,
            "type": "object",
            "properties": {
                "input": reference(names.input),
                "output": reference(names.output),
                "id": text("Id"),
                "version": text("Version"),
                "created_at": time("Created At"),
                "started_at": time("Started At"),
                "completed_at": time("Completed At"),
                "status": text("Status"),
                "error": text("Error"),
                "logs": text("Logs"),
                "metrics": {"title": "Metrics", "type": "object"},
            },
        }),
    );
}

fn operations(paths: &mut Map<String, Value>, names: &Names, streaming: bool) {
    let mut post = json!({
        "summary": names.summary,
        "description": names.description,
        "operationId": names.operation,
        "requestBody": {"content": content(&reference(names.request))},
        "responses": {"200": success(&reference(names.response)), "422": invalid()},
    });
    if streaming {
        post["x-cog-streaming"] = json!(true);
    }
    paths.insert(names.endpoint.into(), json!({"post": post}));
    let cancel = json!({
        "summary": "Cancel",
        "operationId": names.cancel_operation,
        "parameters": [{
            "required": true,
            "schema": {"title": super::input::title(names.parameter), "type": "string"},
            "name": names.parameter,
            "in": "path",
        }],
        "responses": {"200": success(&json!({})), "422": invalid()},
    });
    paths.insert(
        format!("{}/{{{}}}/cancel", names.endpoint, names.parameter),
        json!({"post": cancel}),
    );
}

/// Schemas of every document.
fn common(schemas: &mut Map<String, Value>) {
    schemas.insert(
        "Status".into(),
        json!({
            "title": "Status",
            "description": "An enumeration.",
            "enum": ["starting", "processing", "succeeded", "canceled", "failed"],
            "type": "string",
        }),
    );
    schemas.insert(
        "HTTPValidationError".into(),
        json!({
            "title": "HTTPValidationError",
            "type": "object",
            "properties": {"detail": {"title": "Detail", "type": "array", "items": reference("ValidationError")}},
        }),
    );
    schemas.insert(
        "ValidationError".into(),
        json!({
            "title": "ValidationError",
            "required": ["loc", "msg", "type"],
            "type": "object",
            "properties": {
                "loc": {"title": "Location", "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                "msg": {"title": "Message", "type": "string"},
                "type": {"title": "Error Type", "type": "string"},
            },
        }),
    );
}
