//! The Dockerfile of Cog's shape, and how Cog has it built.

use std::collections::BTreeMap;
use std::path::Path;

use cog_python::cog::dockerfile::{self, Shape, Weights};
use cog_python::cog::wheel::Wheel;
use cog_python::config::Config;
use cog_python::resolution::{Options, Resolution};
use cog_python::tables::{Flavour, Tables};
use cog_python::{Report, weights};
use serde_json::{Map, Value, json};

use super::Answer;
use super::other::ca_cert;
use super::project::{Project, resolution};
use super::resolve::{lines, lines_on_purpose};

pub fn dockerfile(input: &Value) -> Answer {
    let project = Project::of(input);
    let (config, report) = project.read();
    let Some(config) = config else {
        return Project::refused(&report);
    };
    let available: Vec<&str> = input["available_base_images"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut answer = Answer::new();
    answer.say(report.to_string());
    let (chosen, found) = match base(
        &config,
        input["use_cog_base_image"].as_bool(),
        &available,
        &mut answer,
    ) {
        Ok(found) => found,
        Err(report) => {
            let mut answer = Answer::refused(&report);
            on_purpose(&config, &mut answer);
            return answer;
        }
    };
    answer.say(found.to_string());
    let env = |name: &str| input["env"][name].as_str().unwrap_or_default();
    let sdk = wheel(&project, "cog", env("COG_SDK_WHEEL"));
    let coglet = wheel(&project, "coglet", env("COGLET_WHEEL"));
    let (sdk, coglet) = match (sdk, coglet) {
        (Ok(sdk), Ok(coglet)) => (sdk, coglet),
        (Err(error), _) | (_, Err(error)) => return Answer::refused(&error),
    };
    if !env("COG_CA_CERT").is_empty() {
        let certificate = ca_cert(input);
        if certificate.is_refusal() {
            return certificate;
        }
    }
    let flag = |name: &str| input[name].as_bool().unwrap_or_default();
    let found_weights = flag("separate_weights").then(|| weights::find(&sizes(input)));
    let paths: Vec<String> = found_weights
        .iter()
        .flat_map(weights::Weights::paths)
        .cloned()
        .collect();
    let shape = Shape {
        exclude_source: flag("exclude_source"),
        strip: flag("strip"),
        precompile: flag("precompile"),
        sdk,
        coglet,
        certificate: !env("COG_CA_CERT").is_empty(),
        weights: found_weights.as_ref().map(|_| Weights {
            image: input["image_name"].as_str().unwrap_or_default().to_owned(),
            paths: paths.clone(),
        }),
    };
    let file = match dockerfile::dockerfile(&config, &chosen, &shape) {
        Ok(file) => file,
        Err(error) => return Answer::refused(&error),
    };
    let (options, packages): (Vec<_>, Vec<_>) = file
        .requirements
        .iter()
        .cloned()
        .partition(|line| line.starts_with('-'));
    let mut options: Vec<String> = options;
    options.sort();
    answer
        .set("dockerfile", json!(file.lines))
        .set(
            "using_cog_base_image",
            chosen.base.reference.contains("/cog-base:"),
        )
        .set("requirements_txt_options", json!(options))
        .set("requirements_txt_packages", json!(packages))
        .set(
            "staged_files",
            json!(
                file.staged
                    .iter()
                    .map(|name| format!("{name} 0644"))
                    .collect::<Vec<_>>()
            ),
        );
    for note in &file.notes {
        answer.say(note);
    }
    if let Some(found) = &found_weights {
        answer.set(
            "weights_dockerfile",
            json!(dockerfile::weights_dockerfile(&paths)),
        );
        let mut exclude: Vec<String> = found
            .folders
            .iter()
            .flat_map(|folder| [folder.clone(), format!("{folder}/**/*")])
            .collect();
        exclude.extend(found.files.clone());
        answer.set("weights_exclude", json!(exclude));
    }
    on_purpose(&config, &mut answer);
    lines_on_purpose(&lines(&config, &project), &mut answer);
    answer
}

/// A wheel of the environment: a folder stands for the one wheel in it.
fn wheel(project: &Project, package: &str, value: &str) -> Result<Option<Wheel>, String> {
    let Some(Wheel::Path(path)) = Wheel::parse(value) else {
        return Ok(Wheel::parse(value));
    };
    let name = path.trim_start_matches("$PROJECT/").trim_end_matches('/');
    if project.files.contains_key(name) {
        return Ok(Some(Wheel::Path(path)));
    }
    let start = format!("{name}/{package}-");
    let mut wheels = project.files.keys().filter(|file| {
        let is_wheel = Path::new(file).extension().is_some_and(|end| end == "whl");
        file.starts_with(&start) && is_wheel
    });
    match (wheels.next(), wheels.next()) {
        (Some(found), None) => Ok(Some(Wheel::Path(found.clone()))),
        _ => Err(format!(
            "{value} is not a wheel of {package}, or a folder with one"
        )),
    }
}

/// The base image as Cog looks for it: its own, if the registry has it.
fn base(
    config: &Config,
    use_cog: Option<bool>,
    available: &[&str],
    answer: &mut Answer,
) -> Result<(Resolution, Report), Report> {
    let plain = || resolution(config, &Options::default());
    if use_cog == Some(false) {
        return plain();
    }
    let cog = resolution(
        config,
        &Options {
            cog_base: Some(true),
            ..Options::default()
        },
    );
    let missing = match cog {
        Ok((chosen, report)) if available.contains(&chosen.base.reference.as_str()) => {
            return Ok((chosen, report));
        }
        Ok((chosen, _)) => format!("the registry has no {}", chosen.base.reference),
        Err(report) => report.to_string(),
    };
    if use_cog == Some(true) {
        let mut report = Report::new();
        report.push(cog_python::diagnostic::Diagnostic::without_place(missing));
        return Err(report);
    }
    answer.say(missing);
    plain()
}

fn on_purpose(config: &Config, answer: &mut Answer) {
    let build = &config.build;
    let pin = |name: &str| {
        let package = build
            .requirements
            .packages
            .iter()
            .find(|package| package.name == name);
        package
            .and_then(|package| package.pin())
            .map(ToString::to_string)
    };
    if !build.gpu && pin("torch").is_some_and(|pin| pin.matches('.').count() == 1) {
        answer.differs_because(
            &["requirements_txt_options", "requirements_txt_packages"],
            "B11: on CPU, `torch==2.3` means a wheel for CPU, too",
        );
    }
    if config
        .environment
        .iter()
        .any(|entry| entry.value.value.contains([' ', '$', '"', '\'', '\\']))
    {
        answer.differs_because(&["dockerfile"], "B24: values of variables are quoted");
    }
    if build.requirements.packages.iter().any(|package| {
        ["torch", "torchvision", "tensorflow"].contains(&package.name.as_str())
            && package.pin().is_none()
    }) {
        answer.differs_because(&[], "B8: a range is not its first version");
    }
    if !build.system_packages.is_empty() {
        answer.differs_because(
            &["dockerfile"],
            "B20: nothing is installed where the base image has it all",
        );
    }
    let tables = Tables::built_in();
    if let Some(row) = pin("tensorflow")
        .and_then(|pin| tables.tensorflow.release(&pin))
        .filter(|_| build.gpu)
    {
        let line = row.cuda.line().parse().ok();
        let cudnn = row.cudnn.major().to_string();
        if line
            .and_then(|line| tables.cuda.image(&line, &cudnn, Flavour::Devel))
            .is_none()
        {
            answer.differs_because(
                &[],
                "B10: a CUDA without an image for TensorFlow's cuDNN cannot be built, so the nearest one is taken",
            );
        }
    }
}

fn sizes(input: &Value) -> BTreeMap<String, u64> {
    let sizes = input["file_sizes"].as_object().into_iter().flatten();
    sizes
        .map(|(path, size)| (path.clone(), size.as_u64().unwrap_or_default()))
        .collect()
}

pub fn frontend_options(input: &Value) -> Answer {
    let labels = input["labels"].as_object().into_iter().flatten();
    let labels: Vec<(String, String)> = labels
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let solve = dockerfile::Solve {
        image: input["image"].as_str().unwrap_or_default().to_owned(),
        labels,
        no_cache: input["no_cache"].as_bool().unwrap_or_default(),
        epoch: input["epoch"].as_u64(),
    };
    let map = |pairs: Vec<(String, String)>| {
        Value::Object(
            pairs
                .into_iter()
                .map(|(key, value)| (key, json!(value)))
                .collect::<Map<_, _>>(),
        )
    };
    let mut answer = Answer::new();
    answer
        .set("frontend", dockerfile::FRONTEND)
        .set("attrs", map(solve.attributes()))
        .set("exporter", map(solve.exporter()))
        .set("cache_export", dockerfile::CACHE_EXPORT);
    answer
}

pub fn temp_image(input: &Value) -> Answer {
    let mut answer = Answer::new();
    answer.set(
        "temp_tag",
        dockerfile::temporary_name(input["image"].as_str().unwrap_or_default()),
    );
    answer
}
