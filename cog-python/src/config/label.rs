//! The configuration as Cog writes it into the label `run.cog.config`.

use serde_json::{Map, Value, json};

use super::{Config, PythonPackages, RunCommand, Weight};
use crate::sdk::SdkVersion;
use crate::tables::Release;

/// Compact JSON of a configuration, keys in Cog's order, empty ones left out.
///
/// Readers of the label know the entry point as `predict` and commands as objects; `run` and
/// plain strings are the newer way to write the same.
///
/// CUDA and cuDNN are those that were resolved.
pub fn label(config: &Config, cuda: Option<&Release>, cudnn: Option<&Release>) -> String {
    let mut build = Map::new();
    if config.build.gpu {
        build.insert("gpu".into(), json!(true));
    }
    build.insert(
        "python_version".into(),
        json!(config.build.python_version.value.to_string()),
    );
    match &config.build.python {
        PythonPackages::None => {}
        PythonPackages::File(path) => {
            build.insert("python_requirements".into(), json!(path.value));
        }
        PythonPackages::List(packages) => {
            let packages: Vec<_> = packages.iter().map(|package| &package.value).collect();
            insert_list(&mut build, "python_packages", &packages);
        }
    }
    insert_list(
        &mut build,
        "run",
        &config.build.run.iter().map(command).collect::<Vec<_>>(),
    );
    let packages: Vec<_> = config
        .build
        .system_packages
        .iter()
        .map(|package| package.value.as_str())
        .collect();
    insert_list(&mut build, "system_packages", &packages);
    let pre_install: Vec<_> = config
        .build
        .pre_install
        .iter()
        .map(|run| run.command.as_str())
        .collect();
    insert_list(&mut build, "pre_install", &pre_install);
    let given = |release: &Option<crate::diagnostic::Spanned<Release>>| {
        release.as_ref().map(|given| given.value.to_string())
    };
    let cuda = cuda
        .map(ToString::to_string)
        .or_else(|| given(&config.build.cuda));
    let cudnn = cudnn
        .map(ToString::to_string)
        .or_else(|| given(&config.build.cudnn));
    for (key, value) in [("cuda", cuda), ("cudnn", cudnn)] {
        if let Some(value) = value {
            build.insert(key.into(), json!(value));
        }
    }
    if let Some(version) = &config.build.sdk_version {
        let version: &SdkVersion = &version.value;
        build.insert("sdk_version".into(), json!(version.to_string()));
    }
    let mut root = Map::new();
    root.insert("build".into(), Value::Object(build));
    if let Some(image) = &config.image {
        root.insert("image".into(), json!(image.value.as_str()));
    }
    if let Some(model) = &config.model {
        root.insert("model".into(), json!(model.value.as_str()));
    }
    if let Some(run) = &config.run {
        root.insert("predict".into(), json!(run.value.to_string()));
    }
    if let Some(train) = &config.train {
        root.insert("train".into(), json!(train.value.to_string()));
    }
    if let Some(concurrency) = &config.concurrency {
        root.insert("concurrency".into(), json!({"max": concurrency.value}));
    }
    let environment: Vec<_> = config
        .environment
        .iter()
        .map(|entry| format!("{}={}", entry.value.name, entry.value.value))
        .collect();
    insert_list(&mut root, "environment", &environment);
    let weights: Vec<_> = config.weights.iter().map(weight).collect();
    insert_list(&mut root, "weights", &weights);
    Value::Object(root).to_string()
}

fn insert_list<T: serde::Serialize>(map: &mut Map<String, Value>, key: &str, items: &[T]) {
    if !items.is_empty() {
        map.insert(key.into(), json!(items));
    }
}

/// One place as an object, several as a list.
fn weight(weight: &Weight) -> Value {
    let source = match weight.sources.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    json!({"name": weight.name, "target": weight.target, "source": source})
}

fn command(run: &RunCommand) -> Value {
    let mut object = Map::new();
    object.insert("command".into(), json!(run.command));
    let mounts: Vec<_> = run
        .mounts
        .iter()
        .map(|mount| json!({"type": "secret", "id": mount.id, "target": mount.target}))
        .collect();
    insert_list(&mut object, "mounts", &mounts);
    Value::Object(object)
}
