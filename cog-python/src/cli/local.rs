//! The image that a command runs: one that is named, or the project's environment with the project mounted into it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::Value;

use super::args::{BuildArgs, LaunchArgs, PlanArgs};
use super::project::{self, Project};
use super::store::{Local, Remote};
use super::{Failure, build};
use crate::config::ImageName;
use crate::engine::{Engine, Gpus, Launch, Task};
use crate::model::{Model, Origin, ResolveError, Resolver};
use crate::plan::megabytes;
use crate::registry::Access;
use crate::resolution::Platform;

/// An image to run, and the OpenAPI document of its model.
pub(super) struct Chosen {
    pub(super) launch: Launch,
    pub(super) schema: Option<Value>,
}

/// Finds the image, or builds it. A project must have what the task starts; `check` is given the model's OpenAPI document before anything is built or fetched.
pub(super) fn choose(
    image: Option<&str>,
    plan: &PlanArgs,
    build: &BuildArgs,
    args: &LaunchArgs,
    task: Option<Task>,
    check: impl FnOnce(Option<&Value>) -> Result<(), Failure>,
) -> Result<Chosen, Failure> {
    let (mut chosen, gpu) = match image {
        Some(image) => existing(image, plan.platform.first(), build, args, check)?,
        None => of_project(plan, build, args, task, check)?,
    };
    let wished = if gpu { Gpus::IfThere } else { Gpus::None };
    chosen.launch.gpus = args.gpus.clone().unwrap_or(wished);
    chosen.launch.environment.extend(args.env.iter().cloned());
    Ok(chosen)
}

/// A model that is there, in the engine or in its registry.
fn existing(
    image: &str,
    platform: Option<&Platform>,
    build: &BuildArgs,
    args: &LaunchArgs,
    check: impl FnOnce(Option<&Value>) -> Result<(), Failure>,
) -> Result<(Chosen, bool), Failure> {
    let host = args.docker_host.as_deref();
    build::run(async {
        let engine = Engine::connect(host).await?;
        // That of images here and of Cog's.
        let platform = platform.map_or("linux/amd64", Platform::as_str);
        let remote = Remote {
            address: build.builder.addr.as_deref(),
            engine: host,
            platform: platform
                .parse()
                .map_err(|error| Failure::new(format!("platform {platform}: {error}")))?,
            access: Access {
                certificates: build.ca_cert.as_deref(),
                only: build.ca_only,
                insecure: false,
            },
        };
        let resolver = Resolver::new(Local(&engine), remote, args.resolve.into());
        let model = resolver.resolve(image).await.map_err(|error| match error {
            ResolveError::Store(failure) => failure,
            error => Failure::new(error.to_string()),
        })?;
        check(model.schema.as_ref())?;
        if model.origin == Origin::Remote {
            tell_size(&model);
            engine.pull(&model.reference, platform).await?;
        }
        let gpu = model.gpu();
        let launch = Launch {
            image: model.reference.as_str().to_owned(),
            ..Launch::default()
        };
        let schema = model.schema;
        Ok((Chosen { launch, schema }, gpu))
    })
}

/// Says what is fetched, as far as that is known.
fn tell_size(model: &Model) {
    if let Some(size) = model.size {
        // There is nobody to tell when stderr is closed.
        let _ = writeln!(
            io::stderr().lock(),
            "fetching {}, {}",
            model.reference.as_str(),
            megabytes(size)
        );
    }
}

/// The environment of a project, with the project mounted: an edited source needs no build.
fn of_project(
    plan: &PlanArgs,
    build: &BuildArgs,
    args: &LaunchArgs,
    task: Option<Task>,
    check: impl FnOnce(Option<&Value>) -> Result<(), Failure>,
) -> Result<(Chosen, bool), Failure> {
    let plan = PlanArgs {
        no_source: true,
        ..plan.clone()
    };
    let mut project = project::load(&plan)?;
    let schema = label(&project, "run.cog.openapi_schema")?;
    let (variable, key, example) = match task {
        Some(Task::Train) => ("COG_TRAIN_TYPE_STUB", "train", "train.py:train"),
        _ => ("COG_PREDICT_TYPE_STUB", "run", "run.py:Runner"),
    };
    if task.is_some() && !project.plan.config.environment.contains_key(variable) {
        let failure = Failure::new(format!(
            "cog.yaml has no `{key}`: there is nothing to start"
        ));
        return Err(failure.hint(format!("add it, for example `{key}: {example}`")));
    }
    check(schema.as_ref())?;
    let config = label(&project, "run.cog.config")?.unwrap_or_default();
    project.plan.image = environment_name(&project.plan.image);
    build::build_for_engine(&project, build, args.docker_host.as_deref())?;
    if let Some(schema) = &schema {
        // The mount hides the one of the image.
        let path = project.root.join(".cog/openapi_schema.json");
        write_if_changed(&path, &format!("{schema}\n"))
            .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))?;
    }
    let launch = Launch {
        image: project.plan.image.clone(),
        source: Some(project.root),
        ..Launch::default()
    };
    let gpu = config["build"]["gpu"].as_bool().unwrap_or(false);
    Ok((Chosen { launch, schema }, gpu))
}

/// A label of the plan, which this program has written as JSON.
fn label(project: &Project, name: &str) -> Result<Option<Value>, Failure> {
    let text = project.plan.config.labels.get(name);
    text.map(|text| {
        serde_json::from_str(text)
            .map_err(|error| Failure::new(format!("label `{name}` is not JSON: {error}")))
    })
    .transpose()
}

/// Name of the image without the project, beside that of the whole one.
fn environment_name(image: &str) -> String {
    let tag = image.parse::<ImageName>().ok();
    match tag.as_ref().and_then(ImageName::tag) {
        Some(tag) => format!("{}-base:{tag}", &image[..image.len() - tag.len() - 1]),
        None => format!("{image}-base"),
    }
}

fn write_if_changed(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::environment_name;

    #[test]
    fn environments_have_a_name_of_their_own() {
        assert_eq!(environment_name("hello"), "hello-base");
        assert_eq!(
            environment_name("localhost:5000/a/hello:1"),
            "localhost:5000/a/hello-base:1"
        );
    }
}
