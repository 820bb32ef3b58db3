//! The gallery of projects: what is planned for each, in every form.
//!
//! A folder of `tests/projects` is a project; its plan is a snapshot. Both backends are made of the plan, so what holds for
//! their steps is checked on every project.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cog_python::layer::{Base, Joining, lock_of};
use cog_python::plan::Action;
use cog_python::schema::Schema;
use cog_python::{Options, Plan, Source, config};
use common::{Files, around, image, image_on, locked};
use llb::MarshalOptions;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects")
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 25, "{names:?}");
    names
}

fn read(path: &Path, below: &Path, files: &mut Files) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, below, files);
        } else {
            let name = path
                .strip_prefix(below)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The plan of a project, after the warnings about it.
fn project(name: &str) -> (Plan, String) {
    let mut files = BTreeMap::new();
    let root = folder().join(name);
    read(&root, &root, &mut files);
    let (config, mut report) = config::read(
        &Source::new("cog.yaml", files["cog.yaml"].clone()),
        &files,
        None,
    );
    let config = config.unwrap_or_else(|| panic!("{name}: {report}"));
    let run = config.run.as_ref().map(|run| &run.value);
    let train = config.train.as_ref().map(|train| &train.value);
    let schema = Schema::read(run, train, &files, "0.23.1")
        .unwrap_or_else(|report| panic!("{name}: {report}"));
    let options = Options {
        folder: name.to_owned(),
        ignore: files.get(".dockerignore").cloned(),
        schema: Some(schema.document.to_string()),
        ..Options::default()
    };
    let (plan, findings) = Plan::new(&config, &options);
    report.extend(findings);
    (
        plan.unwrap_or_else(|| panic!("{name}: {report}")),
        report.to_string(),
    )
}

/// The plan as people read it. The schema is in the image of every project and always looks alike.
fn shown(plan: &Plan, report: &str) -> String {
    let mut plan = plan.clone();
    plan.config.labels.shift_remove("run.cog.openapi_schema");
    let report = if report.is_empty() {
        String::new()
    } else {
        format!("{report}\n\n")
    };
    format!("{report}{plan:#}")
}

#[test]
fn plans() {
    for name in names() {
        let (plan, report) = project(&name);
        insta::with_settings!({
            snapshot_path => folder().join(&name),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!("plan", shown(&plan, &report));
        });
    }
}

#[test]
fn every_plan_is_read_back_as_it_was_written() {
    for name in names() {
        let (plan, _) = project(&name);
        for plan in [locked(&plan), plan] {
            assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan, "{name}");
        }
    }
}

#[test]
fn every_plan_gives_a_graph_on_both_kinds_of_engines() {
    for name in names() {
        let (plan, _) = project(&name);
        for joining in [Joining::Merge, Joining::Copy] {
            let lock = lock_of(&plan, &around(joining)).unwrap();
            for state in lock
                .into_iter()
                .chain([image_on(&plan, &Base::default(), joining)])
            {
                state.marshal(&MarshalOptions::linux_amd64()).unwrap();
            }
        }
    }
}

/// Every step is a stage of the Dockerfile, comes after the same steps and does what the graph does.
#[test]
fn both_backends_have_the_same_steps() {
    for name in names() {
        let (plan, _) = project(&name);
        let dockerfile = plan.to_dockerfile();
        let stages: Vec<&str> = dockerfile
            .lines()
            .filter(|line| line.starts_with("FROM "))
            .filter_map(|line| line.rsplit_once(" AS ").map(|(_, stage)| stage))
            .filter(|stage| !["apt-settings", "uv-wheel"].contains(stage))
            .collect();
        // Wheels are installed in one stage, which also chooses them.
        let steps = plan
            .steps
            .iter()
            .filter(|step| !matches!(step.action, Action::Lock(_)));
        let steps: Vec<&str> = steps.map(|step| step.name.as_str()).collect();
        assert_eq!(stages, steps, "{name}");
        let lock = lock_of(&plan, &around(Joining::Merge)).unwrap();
        let bytes = lock.into_iter().chain([image(&plan)]).map(|state| {
            let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
            definition.to_bytes()
        });
        let bytes: Vec<u8> = bytes.flatten().collect();
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        for step in &plan.steps {
            match &step.action {
                Action::Lock(lock) => {
                    for line in &lock.requirements {
                        assert!(dockerfile.contains(line), "{name}: {line}");
                        assert!(holds(line), "{name}: {line}");
                    }
                }
                Action::Run { command, .. } => {
                    let json = serde_json::Value::String(command.clone()).to_string();
                    assert!(dockerfile.contains(&json), "{name}: {command}");
                    assert!(holds(command), "{name}: {command}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_dockerfile() {
    let (mut plan, _) = project("commands");
    shorten(&mut plan);
    insta::assert_snapshot!(plan.to_dockerfile());
}

#[test]
fn pictures() {
    let (plan, _) = project("commands");
    insta::assert_snapshot!("picture_for_graphviz", plan.to_dot());
    insta::assert_snapshot!("picture_as_svg", plan.to_svg());
}

/// Without the schema, which is long.
fn shorten(plan: &mut Plan) {
    plan.config.labels.shift_remove("run.cog.openapi_schema");
    for step in &mut plan.steps {
        if let Action::Write { text, .. } = &mut step.action {
            "{}".clone_into(text);
        }
    }
}
