//! Whole projects: what is read, chosen and given to pip.

use cog_python::cog::requirement;
use cog_python::config::{Config, PythonPackages};
use cog_python::requirement::Wanted;
use cog_python::resolution::{Options, kernels};
use cog_python::tables::{Architecture, Flavour, Tables};
use serde_json::{Map, Value, json};

use super::Answer;
use super::other::absolute;
use super::project::{Project, resolution};

pub fn resolve(input: &Value) -> Answer {
    let project = Project::of(input);
    let (config, report) = project.read();
    let Some(config) = config else {
        return Project::refused(&report);
    };
    let (chosen, found) = match resolution(&config, &Options::default()) {
        Ok(found) => found,
        Err(found) => {
            // Cog looks for an image when all is chosen; what is chosen stands without one.
            let options = Options {
                cuda_base: Some(false),
                ..Options::default()
            };
            let Ok(found) = resolution(&config, &options) else {
                let mut answer = Answer::refused(&found);
                on_purpose(&config, &mut answer);
                return answer;
            };
            found
        }
    };
    let mut answer = Answer::new();
    answer.say(report.to_string()).say(found.to_string());
    let build = &config.build;
    let cuda = chosen.cuda.as_ref().map(ToString::to_string);
    let cuda = cuda.or_else(|| build.cuda.as_ref().map(|cuda| cuda.value.to_string()));
    answer
        .set("gpu", build.gpu)
        .set("cuda", cuda.unwrap_or_default())
        .set(
            "cudnn",
            chosen
                .cudnn
                .as_ref()
                .map(ToString::to_string)
                .or_else(|| build.cudnn.as_ref().map(|cudnn| cudnn.value.to_string()))
                .unwrap_or_default(),
        )
        .set("python_version", build.python_version.value.to_string())
        .set(
            "predict",
            config
                .run
                .as_ref()
                .map(|run| run.value.to_string())
                .unwrap_or_default(),
        )
        .set(
            "train",
            config
                .train
                .as_ref()
                .map(|train| train.value.to_string())
                .unwrap_or_default(),
        )
        .set_some("cuda_base_image", chosen.cuda_image.clone())
        .set("environment", environment(&config))
        .set("requirement_lines", json!(lines(&config, &project)));
    for name in ["torch", "torchvision", "torchaudio", "tensorflow"] {
        answer.set_some(name, version(&config, name));
    }
    if let Some((version, cuda)) = chosen.torch.as_ref().filter(|_| build.gpu) {
        let cuda = cuda.as_ref().map(ToString::to_string);
        answer.set("torch_wheel", json!({"version": version, "cuda": cuda}));
    }
    let is_option = |line: &&String| line.starts_with('-');
    let mut options: Vec<&String> = chosen.requirements.iter().filter(is_option).collect();
    options.sort();
    let written = lines(&config, &project);
    let packages: Vec<String> = chosen
        .requirements
        .iter()
        .filter(|line| !is_option(line))
        .map(|line| as_written(&config, line, &written))
        .collect();
    answer
        .set("pip_options", json!(options))
        .set("pip_requirements", json!(packages));

    let base = |options: Options| match resolution(&config, &options) {
        // The same image with compilers, which Cog always takes.
        Ok((chosen, _)) => match &chosen.cuda_image {
            Some(devel) if chosen.base.reference.starts_with("nvidia/") => devel.clone(),
            _ => chosen.base.reference,
        },
        Err(report) => format!("error: {report}"),
    };
    answer
        .set("base_image_nocog", base(Options::default()))
        .set(
            "base_image_nocog_nocuda",
            base(Options {
                cuda_base: Some(false),
                ..Options::default()
            }),
        )
        .set(
            "base_image_cog",
            base(Options {
                cog_base: Some(true),
                ..Options::default()
            }),
        );
    on_purpose(&config, &mut answer);
    lines_on_purpose(&written, &mut answer);
    answer
}

/// A file of the project as its line names it: Cog puts the path in its place later.
fn as_written(config: &Config, line: &str, written: &[String]) -> String {
    let PythonPackages::File(file) = &config.build.python else {
        return line.to_owned();
    };
    let folder = file.value.rsplit_once('/').map_or("", |(folder, _)| folder);
    let names = |written: &&String| {
        let path = requirement::local_artifact(written).ok().flatten();
        path.is_some_and(|path| {
            let path = absolute(&format!("{LOCAL_FOLDER}/{folder}"), path);
            path == line
        })
    };
    written
        .iter()
        .find(names)
        .map_or_else(|| line.to_owned(), Clone::clone)
}

/// Where projects are while packages are installed.
const LOCAL_FOLDER: &str = "/run/cog-python/project";

/// Defects of Cog that single lines show.
pub fn lines_on_purpose(lines: &[String], answer: &mut Answer) {
    for line in lines {
        let name = requirement::package_name(line);
        let normal = requirement::normalized_name(name);
        let framework = ["torch", "torchvision", "tensorflow"].contains(&normal.as_str());
        if framework && name != normal {
            answer.differs_because(&[], "B7: case and extras of a name do not hide it");
        } else if framework && line.contains("==") && requirement::pinned(line).is_none() {
            answer.differs_because(&[], "B8: a pin is one with blanks, too");
        } else if framework && line.contains("===") {
            answer.differs_because(&[], "B8: a pin is one with `===`, too");
        }
        if requirement::pinned(line).is_some() && (line.contains(';') || line.contains("--hash")) {
            answer.differs_because(
                &["pip_options", "pip_requirements"],
                "B13: a marker and hashes are kept",
            );
        }
        if matches!(normal.as_str(), "cog" | "coglet") {
            answer.differs_because(
                &["pip_requirements"],
                "the builder installs it; Cog leaves the line out later",
            );
        }
        if requirement::local_artifact(line).is_err() && !line.starts_with('-') {
            answer.differs_because(
                &["generator_error"],
                "extras, a marker and hashes of a wheel of the project are given to pip",
            );
        }
    }
}

/// Defects of Cog that show in the answer about a project.
fn on_purpose(config: &Config, answer: &mut Answer) {
    let build = &config.build;
    let tables = Tables::built_in();
    for package in &build.requirements.packages {
        let pin = package.pin().map(ToString::to_string);
        match (package.name.as_str(), pin) {
            ("torch", Some(pin))
                if pin
                    .parse()
                    .is_ok_and(|release| tables.torch.is_newer(&release)) =>
            {
                answer.differs_because(
                    &[],
                    "a torch that is newer than the tables is taken to be built for their newest CUDA",
                );
            }
            ("torch", Some(pin))
                if !build.gpu && (pin.matches('.').count() <= 1 || pin.ends_with("+cpu")) =>
            {
                answer.differs_because(
                    &["pip_options", "pip_requirements"],
                    "B11: on CPU, `torch==2.3` means a wheel for CPU, too",
                );
            }
            ("torch", Some(pin)) if build.gpu && pin.contains('+') => {
                answer.differs_because(
                    &["pip_options", "pip_requirements", "torch_wheel"],
                    "B6: a local tag of torch names the build that is wanted, and it is taken",
                );
            }
            ("torchvision", Some(pin)) if pin.contains('+') => {
                answer.differs_because(
                    &["console", "pip_options"],
                    "B6: a torchvision with a local tag is known, so its index is, and there is nothing to warn about",
                );
            }
            ("tensorflow", Some(pin)) if build.gpu => {
                match tables.tensorflow.release(&pin) {
                    None => {
                        answer.differs_because(
                            &["pip_requirements"],
                            "B12: a TensorFlow that is not known stays in the requirements",
                        );
                    }
                    Some(row) => {
                        let line = row.cuda.line().parse().ok();
                        let cudnn = row.cudnn.major().to_string();
                        let given = build.cuda.as_ref().map(|cuda| cuda.value.clone());
                        let image = given
                            .or(line)
                            .and_then(|line| tables.cuda.image(&line, &cudnn, Flavour::Devel));
                        if image.is_none() {
                            answer.differs_because(&[], "B10: a CUDA without an image for TensorFlow's cuDNN cannot be built");
                        }
                        if build
                            .cuda
                            .as_ref()
                            .is_some_and(|cuda| cuda.value.same_line(&row.cuda))
                        {
                            answer.differs_because(
                            &["console"],
                            "B9: Cog warns about the CUDA that TensorFlow is made for, not about others",
                        );
                        } else if build.cuda.is_some() {
                            answer.differs_because(
                                &["pip_requirements"],
                                "B12: a TensorFlow for another CUDA stays in the requirements",
                            );
                        }
                    }
                }
            }
            ("torch" | "torchvision" | "torchaudio" | "tensorflow", None)
                if !package.is_unbound() =>
            {
                answer.differs_because(&[], "B8: a range is not its first version");
            }
            ("tensorflow", None) if build.gpu => {
                answer.differs_because(
                    &[],
                    "B8: a TensorFlow without version is the newest, and has its CUDA",
                );
            }
            _ => {}
        }
    }
    if let Some(cudnn) = &build.cudnn
        && build.gpu
        && build.cuda.is_none()
    {
        let cudnn = cudnn.value.major().to_string();
        if tables.cuda.with_cudnn(&cudnn).is_empty()
            || !build
                .requirements
                .packages
                .iter()
                .any(|p| p.name == "tensorflow")
        {
            answer.differs_because(
                &[],
                "B10: a CUDA without an image for the cuDNN that is named cannot be built",
            );
        }
    }
    if build.cuda.is_some() && !build.gpu {
        answer.differs_because(
            &["base_image_cog"],
            "B15: CUDA without `gpu` has no effect on the base image",
        );
    }
}

fn environment(config: &Config) -> Value {
    let entries = config
        .environment
        .iter()
        .map(|entry| (entry.value.name.clone(), json!(entry.value.value)));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// The lines as Cog reads them.
pub fn lines(config: &Config, project: &Project) -> Vec<String> {
    match &config.build.python {
        PythonPackages::None => Vec::new(),
        PythonPackages::File(path) => {
            let text = project.files.get(path.value.trim_start_matches("./"));
            text.map(|text| requirement::lines(text))
                .unwrap_or_default()
        }
        PythonPackages::List(packages) => packages
            .iter()
            .map(|package| package.value.clone())
            .collect(),
    }
}

/// The version that is wanted of a package; empty when it is left open, nothing when it is not wanted.
fn version(config: &Config, name: &str) -> Option<String> {
    let package = config
        .build
        .requirements
        .packages
        .iter()
        .find(|package| package.name == name)?;
    Some(match (&package.wanted, package.pin()) {
        (_, Some(pin)) => pin.to_string(),
        (Wanted::Location(location), None) => location.clone(),
        (Wanted::Versions(versions), None) => versions.to_string(),
    })
}

pub fn gpu_check(input: &Value) -> Answer {
    let project = Project::of(input);
    let (config, report) = project.read();
    let Some(config) = config else {
        return Answer::refused(&report);
    };
    let chosen = match resolution(&config, &Options::default()) {
        Ok((chosen, _)) => chosen,
        Err(report) => return Answer::refused(&report),
    };
    let pinned = config
        .build
        .requirements
        .packages
        .iter()
        .any(|package| package.name == "torch" && package.pin().is_some());
    let architectures =
        Architecture::of_smi(input["nvidia_smi_compute_cap"].as_str().unwrap_or_default());
    let mut answer = Answer::new();
    let mut findings = Vec::new();
    if let Some((torch, cuda)) = chosen.torch.filter(|_| pinned && config.build.gpu) {
        for missing in kernels(Tables::built_in(), &torch, cuda.as_ref(), &architectures) {
            answer.say(format!(
                "{} \"no kernel image is available for execution on the device\"\n{}",
                missing.message, missing.hint
            ));
            findings.push(json!({"message": missing.message, "remediation": missing.hint, "severity": "warning"}));
        }
    }
    answer.set("findings", json!(findings));
    answer
}
