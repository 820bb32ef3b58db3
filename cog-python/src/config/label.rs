//! The configuration as Cog writes it into the label `run.cog.config`.

use serde_json::{Map, Value, json};

use super::{Config, PythonPackages, RunCommand};
use crate::sdk::SdkVersion;

/// Compact JSON of a configuration, keys in Cog's order, empty ones left out.
///
/// Readers of the label know the entry point as `predict` and commands as objects; `run` and
/// plain strings are the newer way to write the same.
pub fn label(config: &Config) -> String {
    let mut build = Map::new();
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
    if let Some(version) = &config.build.sdk_version {
        let version: &SdkVersion = &version.value;
        build.insert("sdk_version".into(), json!(version.to_string()));
    }
    let mut root = Map::new();
    root.insert("build".into(), Value::Object(build));
    if let Some(image) = &config.image {
        root.insert("image".into(), json!(image.value.as_str()));
    }
    if let Some(run) = &config.run {
        root.insert("predict".into(), json!(run.value.to_string()));
    }
    let environment: Vec<_> = config
        .environment
        .iter()
        .map(|entry| format!("{}={}", entry.value.name, entry.value.value))
        .collect();
    insert_list(&mut root, "environment", &environment);
    Value::Object(root).to_string()
}

fn insert_list<T: serde::Serialize>(map: &mut Map<String, Value>, key: &str, items: &[T]) {
    if !items.is_empty() {
        map.insert(key.into(), json!(items));
    }
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
