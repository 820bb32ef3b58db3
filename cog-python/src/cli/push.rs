//! `push`: build, and send the image to its registry.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use super::args::PushCommand;
use super::build::{self, Target};
use super::project::{self, Project};
use super::{Failure, print};
use crate::factory::compact_date;
use crate::model::{ModelError, ModelReference, Variables, Version};

/// Runs the command.
pub(super) fn push(command: &PushCommand) -> Result<(), Failure> {
    let (mut project, mut plans) = project::load_platforms(&command.plan)?;
    let name = name(command, &project)?;
    // Two pushes of the same image are told apart by it.
    let id = uuid::Uuid::now_v7().to_string();
    for plan in plans.iter_mut().chain([&mut project.plan]) {
        let labels = &mut plan.config.labels;
        labels.insert("run.cog.push_id".to_owned(), id.clone());
        plan.image.clone_from(&name);
    }
    let target = Target {
        plans: &plans[1..],
        annotations: &command.annotation,
        ..Target::default()
    };
    let built = build::push_image(&project, &command.build, &target)?;
    if command.json {
        return print(&build::json(&built.info)?);
    }
    let digest = built
        .info
        .digest
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    print(&format!("{name}{digest}\n"))
}

/// Where the model goes: `model` and the `COG_MODEL` variables, then the argument, then `--tag` and `image`.
fn name(command: &PushCommand, project: &Project) -> Result<String, Failure> {
    let (image, model) = (
        project.names.image.as_deref(),
        project.names.model.as_deref(),
    );
    let variables = variables(command.plan.registry());
    match ModelReference::resolve(image, model, &variables) {
        Ok(reference) if command.image.is_none() => Ok(reference_name(&reference)),
        Ok(_) => Err(Failure::usage(
            "an image cannot be named where `model` of cog.yaml or COG_MODEL names the model",
        )),
        Err(ModelError::Missing) => match (&command.image, image) {
            (Some(name), _) => Ok(name.to_string()),
            (None, Some(_)) => Ok(project.plan.image.clone()),
            (None, None) if !command.plan.tag.is_empty() => Ok(project.plan.image.clone()),
            (None, None) => Err(Failure::new("nothing says where the model is pushed to")
                .hint("name the image, as in `cog-python push registry.example.com/me/model`, or set `model` or `image` in cog.yaml")),
        },
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

fn variables(registry: Option<&str>) -> Variables {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    Variables {
        model: variable("COG_MODEL"),
        registry: variable("COG_MODEL_REGISTRY"),
        repository: variable("COG_MODEL_REPO"),
        tag: variable("COG_MODEL_TAG"),
        default_registry: registry.unwrap_or_default().to_owned(),
    }
}

/// The name of an image; without a version the tag is the time of the push.
fn reference_name(reference: &ModelReference) -> String {
    let tag = match &reference.version {
        Some(Version::Tag(tag)) => tag.clone(),
        // What is pushed decides the digest, so it cannot be asked for.
        Some(Version::Digest(_)) | None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            compact_date(now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or_default()))
        }
    };
    format!("{}/{}:{tag}", reference.registry, reference.repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_without_a_tag_gets_the_time() {
        let mut reference = ModelReference {
            registry: "r8.im".into(),
            repository: "acme/m".into(),
            version: Some(Version::Tag("v1".into())),
        };
        assert_eq!(reference_name(&reference), "r8.im/acme/m:v1");
        reference.version = None;
        let name = reference_name(&reference);
        let tag = name.strip_prefix("r8.im/acme/m:").unwrap();
        assert_eq!((tag.len(), &tag[8..9], &tag[15..]), (16, "T", "Z"));
        assert!(name.parse::<crate::config::ImageName>().is_ok());
    }
}
