//! Graphs of plans: their text, and what a change of the project leaves as it was.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::collections::BTreeSet;

use cog_python::layer::{Base, Circumstances, GraphError, Joining, graph, lock_of};
use cog_python::plan::{Network, PythonProvider};
use cog_python::{Options, Plan};
use common::{Files, around, example, example_files, files, image, image_on, locked, on, plan_of};
use llb::{Definition, MarshalOptions};

fn definition(plan: &Plan, joining: Joining) -> Definition {
    let state = image_on(plan, &Base::default(), joining);
    state.marshal(&MarshalOptions::linux_amd64()).unwrap()
}

/// The bytes of the helper say nothing here.
fn without_helper(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.split_once("mkfile \"/llb-helper\"") {
            Some((start, _)) => format!("{start}mkfile \"/llb-helper\" ..."),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Digests of all ops.
fn digests(plan: &Plan) -> BTreeSet<String> {
    definition(plan, Joining::Merge)
        .ops()
        .iter()
        .map(|op| op.digest().to_string())
        .collect()
}

/// Names of the ops that one project has and another has not.
fn changed(before: &Files, after: &Files) -> Vec<String> {
    let old = digests(&plan_of(before, &Options::default()));
    let new = definition(&plan_of(after, &Options::default()), Joining::Merge);
    new.ops()
        .iter()
        .filter(|op| !old.contains(&op.digest().to_string()))
        .filter_map(|op| {
            new.metadata(op.digest())?
                .description
                .get("llb.customname")
                .cloned()
        })
        .collect()
}

fn edited(name: &str, from: &str, to: &str) -> (Files, Files) {
    let before = example_files();
    let mut after = before.clone();
    let text = after.get_mut(name).unwrap();
    assert!(text.contains(from), "{from} is not in {name}");
    *text = text.replace(from, to);
    (before, after)
}

#[test]
fn the_example_as_a_graph() {
    let plan = example();
    let lock = lock_of(&plan, &around(Joining::Merge)).unwrap();
    let text = format!("{}\n{}", lock.unwrap().to_text(), image(&plan).to_text());
    insta::assert_snapshot!(without_helper(&text));
}

#[test]
fn without_merge_op_trees_are_copied() {
    let state = image_on(&example(), &Base::default(), Joining::Copy);
    let text = state.to_text();
    assert!(!text.contains("= merge "), "{text}");
    let copies: Vec<_> = text
        .lines()
        .filter(|line| line.contains("  copy %"))
        .collect();
    insta::assert_snapshot!(copies.join("\n"));
}

#[test]
fn uv_brings_python_as_a_tree_of_its_own() {
    let options = Options {
        python_provider: Some(PythonProvider::Uv),
        ..Options::default()
    };
    let plan = plan_of(&example_files(), &options);
    insta::assert_snapshot!(without_helper(&image(&plan).to_text()));
}

#[test]
fn a_definition_is_the_same_every_time() {
    let bytes = || definition(&example(), Joining::Merge).to_bytes();
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_plan_read_back_gives_the_same_definition() {
    let plan = example();
    let read = Plan::from_json(&plan.to_json()).unwrap();
    assert_eq!(read, plan);
    let bytes = |plan: &Plan| definition(plan, Joining::Merge).to_bytes();
    assert_eq!(bytes(&read), bytes(&plan));
}

#[test]
fn editing_a_comment_of_the_requirements_changes_nothing() {
    let (before, after) = edited("requirements.txt", "# The compiled one.", "# Another word.");
    assert_eq!(changed(&before, &after), Vec::<String>::new());
}

#[test]
fn another_system_package_leaves_python_alone() {
    let (before, after) = edited("cog.yaml", "- fortune-mod", "- fortune-mod\n    - ffmpeg");
    let changed = changed(&before, &after);
    assert!(
        changed.iter().any(|name| name.starts_with("apt: ")),
        "{changed:?}"
    );
    assert!(
        !changed.iter().any(|name| name.starts_with("wheels: ")),
        "{changed:?}"
    );
}

#[test]
fn another_requirement_leaves_system_packages_and_the_environment_alone() {
    let (before, after) = edited("requirements.txt", "humanize==4.17.0", "humanize==4.16.0");
    let changed = changed(&before, &after);
    assert!(
        changed
            .iter()
            .any(|name| name.starts_with("wheels: humanize")),
        "{changed:?}"
    );
    let kept = |name: &String| {
        name.starts_with("apt: ")
            || name.starts_with("venv ")
            || (name.starts_with("wheels: ") && name != "wheels: humanize")
    };
    assert!(!changed.iter().any(kept), "{changed:?}");
}

#[test]
fn a_compiler_makes_packages_wait_for_apt() {
    let (_, after) = edited("cog.yaml", "- fortune-mod", "- build-essential");
    let plan = plan_of(&after, &Options::default());
    assert_eq!(plan.step("lock").unwrap().after, ["apt"]);
    assert_eq!(example().step("lock").unwrap().after, ["base"]);
}

#[test]
fn the_image_takes_over_the_base_and_adds_its_own() {
    let base = Base {
        pinned: Some(format!("python:3.11-slim@sha256:{}", "0".repeat(64))),
        state: None,
        proxy: None,
        config: Some(
            br#"{"config":{"Env":["PATH=/usr/local/bin:/bin","LANG=C.UTF-8"],"Cmd":["python3"]}}"#
                .to_vec(),
        ),
    };
    let state = image_on(&example(), &base, Joining::Merge);
    let config = state
        .image_config()
        .to_json(&llb::value::Platform::LINUX_AMD64);
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap());
    assert!(state.to_text().contains("python:3.11-slim@sha256:0000"));
}

#[test]
fn failed_steps_are_reported_at_their_line_without_the_text_of_the_file() {
    let definition = definition(&example(), Joining::Merge);
    let infos = definition.source_infos();
    assert_eq!(infos.len(), 1);
    assert_eq!(infos[0].filename(), "cog.yaml");
}

#[test]
fn network_modes_reach_the_steps_that_fetch() {
    let options = Options {
        network: Network::Host,
        ..Options::default()
    };
    let plan = plan_of(&example_files(), &options);
    let lock = lock_of(&plan, &around(Joining::Merge)).unwrap();
    let lock = lock.unwrap().to_text();
    assert_eq!(lock.matches("network=host").count(), 1, "{lock}");
    let text = image(&plan).to_text();
    // apt and the command; the environment and wheels are made without a network in any case.
    assert_eq!(text.matches("network=host").count(), 2, "{text}");
    let (_, install) = locked(&plan)
        .wheels()
        .map(|(step, install)| (step.clone(), install.clone()))
        .unwrap();
    let groups = install.groups.unwrap().len();
    assert_eq!(text.matches("network=none").count(), 1 + groups, "{text}");
}

/// Another base image, such as a newer one of the same name, touches no wheel.
#[test]
fn wheels_do_not_depend_on_the_base() {
    let base = |digit: &str| Base {
        pinned: Some(format!("python:3.11-slim@sha256:{}", digit.repeat(64))),
        ..Base::default()
    };
    let wheels = |digit: &str| {
        let state = image_on(&example(), &base(digit), Joining::Merge);
        let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
        let named = definition.ops().iter().filter(|op| {
            let metadata = definition.metadata(op.digest());
            let name = metadata.and_then(|metadata| metadata.description.get("llb.customname"));
            name.is_some_and(|name| name.starts_with("wheels: "))
        });
        named.map(|op| op.digest().to_string()).collect::<Vec<_>>()
    };
    let first = wheels("1");
    assert!(first.len() >= 3, "{first:?}");
    assert_eq!(first, wheels("2"));
}

#[test]
fn a_plan_without_a_lock_gives_no_image_yet() {
    let error = graph(&example(), &around(Joining::Merge)).unwrap_err();
    assert!(matches!(error, GraphError::NotLocked(_)), "{error}");
    let error = graph(&locked(&example()), &Circumstances::default()).unwrap_err();
    assert!(matches!(error, GraphError::NoHelper), "{error}");
}

#[test]
fn an_image_of_too_many_layers_is_refused() {
    let layers = vec!["sha256:0"; 123];
    let config = serde_json::json!({"rootfs": {"type": "layers", "diff_ids": layers}});
    let base = Base {
        config: Some(config.to_string().into_bytes()),
        ..Base::default()
    };
    let error = graph(&locked(&example()), &on(&base, Joining::Merge)).unwrap_err();
    assert!(matches!(error, GraphError::Layers(126..)), "{error}");
}

#[test]
fn hashed_requirements_decide_which_file_is_taken() {
    let (_, after) = edited(
        "requirements.txt",
        "humanize==4.17.0",
        "humanize==4.17.0 --hash=sha256:00",
    );
    let plan = plan_of(&after, &Options::default());
    let (_, install) = plan.wheels().unwrap();
    assert_eq!(install.hashes["humanize"], ["00"]);
    assert!(
        image(&plan)
            .to_text()
            .contains("http.checksum=\"sha256:00\"")
    );
}

#[test]
fn secrets_of_requirements_are_named_and_never_valued() {
    let (_, after) = edited(
        "requirements.txt",
        "# The pure one.",
        "--extra-index-url https://${INDEX_USER}:${INDEX_TOKEN}@example.com/simple",
    );
    let plan = plan_of(&after, &Options::default());
    assert_eq!(plan.required_secrets(), ["INDEX_TOKEN", "INDEX_USER"]);
    // A frontend cannot make it of the others.
    let header = ("authorization.example.com".to_owned(), true);
    assert!(plan.secrets().contains(&header));
    let lock = lock_of(&plan, &around(Joining::Merge)).unwrap();
    let text = lock.unwrap().to_text();
    assert!(
        text.contains("$INDEX_TOKEN = secret \"INDEX_TOKEN\"\n"),
        "{text}"
    );
}

#[test]
fn a_plan_written_by_hand_is_checked() {
    let mut plan = example();
    plan.steps.retain(|step| step.name != "venv");
    let error = graph(&locked(&plan), &around(Joining::Merge)).unwrap_err();
    assert!(matches!(error, GraphError::Order { .. }), "{error}");
    let mut plan = example();
    plan.steps.pop();
    let error = graph(&locked(&plan), &around(Joining::Merge)).unwrap_err();
    assert!(matches!(error, GraphError::NoImage), "{error}");
    let text = example()
        .to_json()
        .replace("\"version\": 3", "\"version\": 9");
    let error = Plan::from_json(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plan has version 9, this program reads version 3"
    );
}

/// What takes the place of an image takes it wherever the plan names the image.
#[test]
fn other_images_are_replaced_too() {
    let options = Options {
        uv_image: Some("example.com/uv:1".into()),
        ..Options::default()
    };
    let config = "build:\n  gpu: true\n  python_version: \"3.12\"\nx-cog-python:\n  run:\n    - {command: make, writes: /opt/made}\nrun: run.py:Runner\n";
    let project = files(&[("cog.yaml", config), ("run.py", "")]);
    let plan = plan_of(&project, &options);
    let devel = plan.other_bases()[0].to_owned();
    assert_eq!(plan.sources(), ["example.com/uv:1"]);
    let replaced = [
        (devel.clone(), llb::image("mirror.example/devel:1")),
        ("example.com/uv:1".into(), llb::image("mirror.example/uv:1")),
    ];
    let of = |state: llb::State| Base {
        state: Some(state),
        ..Base::default()
    };
    let circumstances = Circumstances {
        images: replaced.map(|(name, state)| (name, of(state))).into(),
        ..around(Joining::Merge)
    };
    let plain = graph(&locked(&plan), &around(Joining::Merge)).unwrap();
    let state = graph(&locked(&plan), &circumstances).unwrap();
    let has = |state: &llb::State, name: &str| state.to_text().contains(name);
    for (own, other) in [
        (devel.as_str(), "mirror.example/devel:1"),
        ("example.com/uv:1", "mirror.example/uv:1"),
    ] {
        assert!(has(&plain, own) && !has(&plain, other), "{own}");
        assert!(has(&state, other) && !has(&state, own), "{own}");
    }
}

/// Images of a lock are taken by its digests, wherever the plan names them, unless something takes their place.
#[test]
fn images_of_a_lock_are_taken_by_their_digests() {
    let options = Options {
        uv_image: Some("example.com/uv:1".into()),
        ..Options::default()
    };
    let config = "build:\n  gpu: true\n  python_version: \"3.12\"\nx-cog-python:\n  run:\n    - command: make\n      writes: /opt/made\n      mounts: [{type: bind, from: \"example.com/tools:1\", target: /tools}]\nrun: run.py:Runner\n";
    let project = files(&[("cog.yaml", config), ("run.py", "")]);
    let mut plan = plan_of(&project, &options);
    let names: Vec<String> = plan.images().into_iter().map(str::to_owned).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let digest = format!("sha256:{}", "1".repeat(64));
    let pinned = names.iter().map(|name| (name.clone(), digest.clone()));
    plan.digests = pinned.collect();
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
    let dockerfile = plan.to_dockerfile();
    let text = image(&plan).to_text();
    for name in &names {
        let pinned = format!("{name}@{digest}");
        assert!(text.contains(&pinned), "no {pinned} in\n{text}");
        assert!(dockerfile.contains(&pinned), "no {pinned} in\n{dockerfile}");
    }
    let base = plan.base().unwrap().to_owned();
    let circumstances = Circumstances {
        base: Base {
            state: Some(llb::image("mirror.example/base:1")),
            ..Base::default()
        },
        ..around(Joining::Merge)
    };
    let state = graph(&locked(&plan), &circumstances).unwrap();
    let text = state.to_text();
    assert!(!text.contains(&format!("{base}@")), "{text}");
}
