//! What an image says about itself, read from the build that makes it.

use llb::gateway::{Build, Error, Result};
use llb::value::Platform;
use serde::Deserialize;
use serde_json::Value;

use super::{Complete, Made};
use crate::labels::CogBase;
use crate::layer::{self, Base, PACKAGES_FILE, StepOptions};
use crate::plan::{Action, Plan, joins_certificates};

/// What `pip freeze` prints in the image.
pub(super) async fn packages(
    build: &Build,
    plan: &Plan,
    made: &Made,
    platform: &Platform,
) -> Result<String> {
    let options = StepOptions::new(plan.network);
    let state = layer::packages(&made.environment, &plan.config.path, &options);
    let solved = build.solve_for(state, platform).await?;
    solved.read_to_string(PACKAGES_FILE).await
}

/// The same, from the wheels alone: nothing has to run on top of all packages then. Not known where a command may have
/// installed more, or where the environment sees packages of the base.
pub(super) fn known_packages(complete: &Complete) -> Option<String> {
    let (_, install) = complete.plan.wheels()?;
    let mut steps = complete.plan.steps.iter();
    let may_be_more = steps.any(|step| {
        if joins_certificates(step) {
            return false;
        }
        matches!(
            step.action,
            Action::Run { .. }
                | Action::Venv {
                    site_packages: true,
                    ..
                }
        )
    });
    if may_be_more {
        return None;
    }
    // As pip hides them: `setuptools` and `wheel` only where every environment starts with them.
    let minor = install
        .python
        .rsplit('.')
        .next()
        .and_then(|minor| minor.parse::<u32>().ok());
    let hidden: &[&str] = match minor {
        Some(12..) => &["pip"],
        _ => &["pip", "setuptools", "wheel", "distribute"],
    };
    let is_shown = |line: &&String| {
        let name = line.split("==").next().unwrap_or_default();
        !hidden.contains(&llb_helper::wheel::normalized(name).as_str())
    };
    let line = |line: &String| {
        let name = line.split("==").next().unwrap_or_default();
        let package = llb_helper::wheel::normalized(name);
        let mut wheels = install.wheels();
        let origin = wheels.find_map(|wheel| {
            let origin = wheel.direct_url.as_ref()?;
            (wheel.package == package).then(|| origin.requirement(name))
        });
        origin.unwrap_or_else(|| line.clone())
    };
    let lines = complete.distributions.iter().filter(is_shown).map(line);
    Some(lines.fold(String::new(), |text, line| text + &line + "\n"))
}

/// The OpenAPI document that the model itself told, compact; nothing where the plan has it already.
pub(super) async fn schema(
    build: &Build,
    made: &Made,
    platform: &Platform,
) -> Result<Option<String>> {
    let Some((state, path)) = &made.schema else {
        return Ok(None);
    };
    let solved = build.solve_for(state, platform).await?;
    let text = solved.read_to_string(path).await?;
    document(&text).map(Some)
}

fn document(text: &str) -> Result<String> {
    let document: Value = serde_json::from_str(text).map_err(|error| {
        Error::new(error)
            .context("the model did not answer with JSON when it was asked for its schema")
            .hint("code that is run on import must not print to standard output")
    })?;
    if !document["openapi"]
        .as_str()
        .is_some_and(|version| version.starts_with("3."))
    {
        return Err(Error::msg(
            "the model did not answer with an OpenAPI document when it was asked for its schema",
        ));
    }
    Ok(document.to_string())
}

/// The part of an image configuration that is read.
#[derive(Deserialize)]
struct ImageConfig {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Labels about Cog's base image that only the image itself can tell.
pub(super) fn cog_base(plan: &Plan, base: &Base) -> Result<Vec<(&'static str, String)>> {
    let name = plan.config.labels.get(CogBase::NAME_LABEL);
    let (Some(name), Some(config)) = (name, &base.config) else {
        return Ok(Vec::new());
    };
    let config: ImageConfig = serde_json::from_slice(config)
        .map_err(|error| Error::new(error).context("the configuration of the base image"))?;
    let base = CogBase {
        name: name.clone(),
        layers: config.rootfs.diff_ids,
    };
    Ok(base.labels().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Source, config};

    #[test]
    fn what_a_model_tells_must_be_an_openapi_document() {
        assert_eq!(
            document("{\n \"openapi\": \"3.0.2\"\n}\n").unwrap(),
            r#"{"openapi":"3.0.2"}"#
        );
        let error = document("loading...\n{}").unwrap_err().to_string();
        assert!(error.contains("must not print"), "{error}");
        assert!(document("{}").is_err());
    }

    #[test]
    fn the_last_layer_of_a_base_of_cog_is_told() {
        let files = std::collections::BTreeMap::from([("run.py".to_owned(), String::new())]);
        let text = "build:\n  python_version: \"3.12\"\nrun: run.py:Runner\n";
        let (config, _) = config::read(&Source::new("cog.yaml", text), &files, None);
        let options = Options {
            cog_base: Some(true),
            ..Options::default()
        };
        let (plan, report) = Plan::new(&config.unwrap(), &options);
        let plan = plan.unwrap_or_else(|| panic!("{report}"));
        let base = Base {
            config: Some(br#"{"rootfs":{"diff_ids":["sha256:a","sha256:b"]}}"#.to_vec()),
            ..Base::default()
        };
        let labels = cog_base(&plan, &base).unwrap();
        assert!(labels.contains(&("run.cog.cog-base-image-last-layer-sha", "sha256:b".into())));
        assert!(labels.contains(&("run.cog.cog-base-image-last-layer-idx", "1".into())));
    }
}
