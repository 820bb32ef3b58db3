//! Cases, and what they are answered with.

mod base64;
mod compare;
mod dockerfile;
mod other;
mod project;
mod requirement;
mod resolve;
mod schema;
mod version;

use serde_json::{Map, Value};

pub use compare::Answer;

/// A worked case.
pub struct Case {
    /// Its name.
    pub id: String,
    /// What is asked.
    pub kind: String,
    /// What it is asked about.
    pub input: Value,
    /// Cog's answer.
    pub expect: Value,
    /// What is wrong or odd about the answer, when it is flagged.
    pub flag: Option<String>,
}

/// How a case came out.
pub enum Outcome {
    /// As recorded.
    Right,
    /// The differences.
    Wrong(Vec<String>),
    /// The recorded answer is a defect.
    Apart {
        /// Our answer.
        ours: String,
        /// Why it differs.
        why: String,
    },
}

/// Reads a file of cases.
pub fn cases(text: &str) -> Result<Vec<Case>, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let cases = file["cases"].as_array().ok_or("there is no list `cases`")?;
    cases
        .iter()
        .map(|case| {
            let text = |key: &str| {
                case[key]
                    .as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| format!("a case has no `{key}`"))
            };
            let flag = case["quirk"].as_str().map(|flag| {
                let why = case["quirk_note"]
                    .as_str()
                    .or(case["note"].as_str())
                    .unwrap_or(flag);
                format!("{flag}: {why}")
            });
            Ok(Case {
                id: text("id")?,
                kind: text("kind")?,
                input: case["input"].clone(),
                expect: case["expect"].clone(),
                flag,
            })
        })
        .collect()
}

/// Answers a case and compares.
pub fn try_case(case: &Case) -> Outcome {
    let empty = Map::new();
    let expect = case.expect.as_object().unwrap_or(&empty);
    let input = &case.input;
    let answer = match case.kind.as_str() {
        "resolve" => resolve::resolve(input),
        "gpu_check" => resolve::gpu_check(input),
        "torch_wheel" => version::torch_wheel(input),
        "cudas_from_torch" => version::cudas_from_torch(input),
        "cuda_from_tensorflow" => version::cuda_from_tensorflow(input),
        "cuda_from_index_url" => version::cuda_from_index_url(input),
        "cuda_image" => version::cuda_image(input),
        "cog_base_image_name" => version::cog_base_image_name(input),
        "version" => version::version(input),
        "requirements_file" => requirement::file(input),
        "requirement_line" => requirement::line(input),
        "dockerfile" => dockerfile::dockerfile(input),
        "frontend_options" => dockerfile::frontend_options(input),
        "temp_image" => dockerfile::temp_image(input),
        "environment" => other::environment(input),
        "image_name" => other::image_name(input),
        "sdk_wheel" => other::sdk_wheel(input),
        "model_ref" => other::model_ref(input),
        "find_weights" => other::find_weights(input),
        "secret_spec" => other::secret_spec(input),
        "ca_cert" => other::ca_cert(input),
        "labels" => other::labels(input, expect),
        "schema" => schema::schema(input),
        kind => return Outcome::Wrong(vec![format!("cases of kind `{kind}` are not known")]),
    };
    if let Some(flag) = &case.flag {
        return Outcome::Apart {
            ours: answer.summary(),
            why: flag.clone(),
        };
    }
    let differences = answer.differences(expect);
    if differences.is_empty() {
        return Outcome::Right;
    }
    match answer.on_purpose(&differences) {
        Some(why) => Outcome::Apart {
            ours: answer.summary(),
            why: why.to_owned(),
        },
        None => Outcome::Wrong(differences),
    }
}
