//! Kinds about single values.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use cog_python::ca;
use cog_python::cog::wheel::Wheel;
use cog_python::config::ImageName;
use cog_python::labels::{CogBase, Facts};
use cog_python::model::{ModelReference, Variables, Version};
use cog_python::secret::{SecretOption, SecretOrigin};
use cog_python::weights;
use serde_json::{Map, Value, json};

use super::project::Project;
use super::{Answer, base64};

fn text<'v>(input: &'v Value, key: &str) -> &'v str {
    input[key].as_str().unwrap_or_default()
}

pub fn environment(input: &Value) -> Answer {
    let list = json!({"build": {"python_version": "3.12"}, "environment": input["environment"]});
    // JSON is YAML.
    let project = Project::of(&json!({"cog_yaml": list.to_string()}));
    let (config, report) = project.read();
    let Some(config) = config else {
        let name = input["environment"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        // The line is not shown, since it may hold a secret.
        let entries: Vec<&str> = name
            .map(|entry| match entry.split_once('=') {
                None | Some(("", _)) => entry,
                Some((name, _)) => name,
            })
            .collect();
        return Answer::refused(&format!("{report}\n{}", entries.join(" ")));
    };
    let entries = config
        .environment
        .iter()
        .map(|entry| (entry.value.name.clone(), json!(entry.value.value)));
    let mut answer = Answer::new();
    answer.set("env", Value::Object(entries.collect::<Map<_, _>>()));
    answer
}

pub fn image_name(input: &Value) -> Answer {
    let folder = Path::new(text(input, "project_dir"))
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let mut answer = Answer::new();
    answer.set(
        "image",
        ImageName::for_folder(&folder.unwrap_or_default()).as_str(),
    );
    answer
}

pub fn sdk_wheel(input: &Value) -> Answer {
    let Some(wheel) = Wheel::parse(text(input, "value")) else {
        let mut answer = Answer::new();
        answer.set("config", Value::Null);
        return answer;
    };
    let mut answer = Answer::new();
    answer
        .set("pip_spec", wheel.requirement("cog"))
        .set("prerelease", wheel.is_prerelease());
    match &wheel {
        Wheel::Index { version, .. } => answer
            .set("source", "pypi")
            .set_some("version", version.clone()),
        Wheel::Url(url) => answer.set("source", "url").set("url", url.clone()),
        Wheel::Path(path) => answer
            .set("source", "file")
            .set("path", absolute("$CWD", path)),
    };
    if let Err(error) = wheel.check("cog") {
        answer.refuse(&error);
    }
    answer
}

pub fn model_ref(input: &Value) -> Answer {
    let env = &input["env"];
    let variables = Variables {
        model: text(env, "COG_MODEL").to_owned(),
        registry: text(env, "COG_MODEL_REGISTRY").to_owned(),
        repository: text(env, "COG_MODEL_REPO").to_owned(),
        tag: text(env, "COG_MODEL_TAG").to_owned(),
        default_registry: text(env, "COG_REGISTRY_HOST").to_owned(),
    };
    let given = |key| Some(text(input, key)).filter(|text| !text.is_empty());
    match ModelReference::resolve(given("image"), given("model"), &variables) {
        Ok(reference) => {
            let (tag, digest) = match reference.version {
                Some(Version::Tag(tag)) => (tag, String::new()),
                Some(Version::Digest(digest)) => (String::new(), digest),
                None => ("<timestamp YYYYMMDDTHHMMSSZ>".to_owned(), String::new()),
            };
            let mut answer = Answer::new();
            answer
                .set("registry", reference.registry)
                .set("repo", reference.repository)
                .set("tag", tag)
                .set("digest", digest);
            answer
        }
        Err(error) => Answer::refused(&error),
    }
}

pub fn find_weights(input: &Value) -> Answer {
    let sizes = input["file_sizes"].as_object().into_iter().flatten();
    let sizes: BTreeMap<String, u64> = sizes
        .map(|(path, size)| (path.clone(), size.as_u64().unwrap_or_default()))
        .collect();
    let found = weights::find(&sizes);
    let mut answer = Answer::new();
    answer
        .set("dirs", json!(found.folders))
        .set("root_files", json!(found.files));
    if sizes.keys().any(|path| {
        found
            .folders
            .iter()
            .any(|folder| is_code(path) && path.starts_with(folder))
    }) {
        answer.differs_because(
            &["dirs"],
            "B31: code beside a folder does not rule the folder out",
        );
    }
    answer
}

fn is_code(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "py")
}

pub fn secret_spec(input: &Value) -> Answer {
    let spec = text(input, "spec");
    let secret = match spec.parse::<SecretOption>() {
        Ok(secret) => secret,
        // Errors do not repeat the text, which may be the secret itself.
        Err(error) => return Answer::refused(&format!("{error} ({spec})")),
    };
    let (file, env) = match &secret.origin {
        SecretOrigin::File(path) => (absolute("/proj", &path.to_string_lossy()), String::new()),
        SecretOrigin::Variable(name) => (String::new(), name.clone()),
    };
    let mut answer = Answer::new();
    answer
        .set("id", secret.id.clone())
        .set("file", file)
        .set("env", env);
    if !spec.contains("src") && !spec.contains("source") && !spec.contains("env=") {
        answer.differs_because(
            &["env", "file"],
            "a secret without origin is the variable of its name, as BuildKit has it",
        );
    }
    if spec.contains("type=env") {
        answer.differs_because(
            &["env", "file"],
            "B29: `type=env,src=NAME` means the variable, not a path",
        );
    }
    answer
}

/// A path below a folder, unless it is absolute, without `.` and `..`.
pub fn absolute(folder: &str, path: &str) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if joined.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// A host whose files are those of a case.
struct CaseHost<'a> {
    files: &'a Map<String, Value>,
    value: Option<String>,
}

impl ca::Host for CaseHost<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.value.clone().filter(|_| name == "COG_CA_CERT")
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let text = path
            .strip_prefix("$PROJECT/")
            .and_then(|name| self.files.get(&name.replace("//", "/")))
            .and_then(Value::as_str);
        text.map(str::to_owned)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&self, path: &str) -> Option<Vec<String>> {
        let folder = path.strip_prefix("$PROJECT/")?.trim_end_matches('/');
        let start = format!("{folder}/");
        let names: Vec<String> = self
            .files
            .keys()
            .filter_map(|name| name.strip_prefix(&start))
            .filter(|name| !name.contains('/'))
            .map(str::to_owned)
            .collect();
        (!names.is_empty()).then_some(names)
    }
}

/// What cases write in the place of a certificate.
const PLACEHOLDER: &str = "MIIB";
/// Structures that can be read as certificates: one that comes twice is kept once.
const CERTIFICATES: [&str; 4] = ["MAMCAQE=", "MAMCAQI=", "MAMCAQM=", "MAMCAQQ="];

pub fn ca_cert(input: &Value) -> Answer {
    let empty = Map::new();
    let mut used = 0;
    let mut real = |text: &str| {
        let mut text = text.to_owned();
        while text.contains(PLACEHOLDER) {
            used += 1;
            text = text.replacen(PLACEHOLDER, CERTIFICATES[used % CERTIFICATES.len()], 1);
        }
        text
    };
    let files = input["files"].as_object().unwrap_or(&empty);
    let files: Map<String, Value> = files
        .iter()
        .map(|(name, text)| (name.clone(), json!(real(text.as_str().unwrap_or_default()))))
        .collect();
    let host = CaseHost {
        files: &files,
        value: input["env"]["COG_CA_CERT"].as_str().map(|value| {
            match base64::decode(value.trim()) {
                Some(text) => base64::encode(&real(&text)),
                None => real(value),
            }
        }),
    };
    let given = host.value.clone().filter(|value| !value.is_empty());
    let mut answer = Answer::new();
    match ca::find(&host, given.as_deref(), true) {
        Ok(found) => {
            let pem = found
                .bundle
                .map(|bundle| bundle.pem().to_owned())
                .unwrap_or_default();
            let pem = CERTIFICATES
                .iter()
                .fold(pem, |pem, real| pem.replace(real, PLACEHOLDER));
            answer.set("pem", pem);
            answer
        }
        Err(error) => Answer::refused(&format!("COG_CA_CERT: {error}")),
    }
}

pub fn labels(input: &Value, expect: &Map<String, Value>) -> Answer {
    let git = &input["git"];
    let env = |name: &str| input["env"][name].as_str().map(str::to_owned);
    let layers =
        usize::try_from(input["base_layers"].as_u64().unwrap_or_default()).unwrap_or_default();
    let facts = Facts {
        version: "0.22.0".into(),
        config: "{}".into(),
        schema: Some("{}".into()),
        pip_freeze: Some("six==1.17.0\n".into()),
        cog_base: input["cog_base_image"].as_str().map(|name| CogBase {
            name: name.to_owned(),
            layers: (0..layers).map(|layer| format!("sha256:{layer}")).collect(),
        }),
        revision: env("GITHUB_SHA").or_else(|| git["head"].as_str().map(str::to_owned)),
        release: env("GITHUB_REF_NAME").or_else(|| git["describe"].as_str().map(str::to_owned)),
        has_init: true,
        push: text(input, "command")
            .contains("push")
            .then(|| "<uuid v7>".to_owned()),
    };
    let labels = facts.labels();
    let mut answer = Answer::new();
    answer.set("keys", json!(labels.keys().collect::<Vec<_>>()));
    if expect.contains_key("extra_keys") {
        let extra: Vec<&String> = labels
            .keys()
            .filter(|key| *key == "run.cog.push_id")
            .collect();
        answer.set("extra_keys", json!(extra));
    }
    for (key, value) in &labels {
        answer.set(key, value.as_str());
    }
    answer
}
