//! The OpenAPI schema of a model.

use serde_json::Value;

use super::Answer;

pub fn schema(_input: &Value) -> Answer {
    Answer::refused("not answered yet")
}
