//! Defects of Cog that are not to be here: one test each, by the number under which `cargo xtask cog-cases` names them.
//!
//! Others are pinned where they would arise: B5 and B6 in `tables`, B7, B8 and B13 also in `requirement`, B24 also in
//! `cog::dockerfile`, B29 in `secret`, B31 in `weights`, and in `live` B28, B38, B39 and B40 by builds, B30 and B37 by `registries`, B32 by `weights`.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use cog_python::layer::{Joining, lock_of};
use cog_python::plan::{Action, LockPackages, Mount};
use cog_python::schema::Schema;
use cog_python::{Options, Plan};
use common::{Files, around, example, files, image, read};

/// Lines of `build` below a Python version.
fn build(lines: &str) -> Files {
    files(&[
        (
            "cog.yaml",
            &format!("run: run.py:R\nbuild:\n  python_version: \"3.12\"\n{lines}\n"),
        ),
        ("run.py", ""),
    ])
}

/// The plan of a project, or what is wrong, and everything that was found.
fn plan_with(files: &Files, options: &Options) -> (Option<Plan>, String) {
    let (config, mut report) = read(files);
    let Some(config) = config else {
        return (None, report.to_string());
    };
    let (plan, found) = Plan::new(&config, options);
    report.extend(found);
    (plan, report.to_string())
}

fn plan(lines: &str) -> (Plan, String) {
    let (plan, report) = plan_with(&build(lines), &Options::default());
    (plan.unwrap_or_else(|| panic!("{report}")), report)
}

fn refused(files: &Files) -> String {
    let (plan, report) = plan_with(files, &Options::default());
    assert!(plan.is_none(), "{report}");
    report
}

fn pip(plan: &Plan) -> &LockPackages {
    plan.lock().unwrap().1
}

fn choice<'p>(plan: &'p Plan, subject: &str) -> Option<&'p str> {
    let decision = plan
        .decisions
        .iter()
        .find(|decision| decision.subject == subject);
    decision.map(|decision| decision.choice.as_str())
}

fn text(plan: &Plan) -> String {
    let lock = lock_of(plan, &around(Joining::Merge)).unwrap();
    format!("{}{}", lock.unwrap().to_text(), image(plan).to_text())
}

#[test]
fn b01_a_missing_python_version_is_an_error() {
    assert!(refused(&files(&[("cog.yaml", "")])).contains("`build.python_version` is required"));
    assert!(
        refused(&files(&[("cog.yaml", "build: {gpu: true}")]))
            .contains("`build.python_version` is required")
    );
}

#[test]
fn b02_pre_install_says_when_it_runs_and_runs_then() {
    let (plan, report) = plan("  run: [echo one]\n  pre_install: [echo two]");
    assert!(report.contains("runs after Python packages"), "{report}");
    let commands: Vec<&str> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Run { command, .. } => Some(command.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(commands, ["echo one", "echo two"]);
}

#[test]
fn b03_unknown_keys_are_refused_with_the_nearest_known_one() {
    assert!(refused(&build("  system_package: [git]")).contains("did you mean `system_packages`?"));
}

#[test]
fn b04_a_wrong_cuda_is_refused_where_it_is_written_with_and_without_gpu() {
    for gpu in ["", "  gpu: true\n"] {
        let report = refused(&build(&format!("{gpu}  cuda: \"11.A\"")));
        assert!(
            report.contains("`cuda` must be one to three numbers"),
            "{report}"
        );
    }
}

#[test]
fn b05_every_cudnn_is_named_once() {
    let report = refused(&build("  gpu: true\n  cuda: \"11.8\"\n  cudnn: \"9\""));
    assert!(report.contains("CUDA 11.8 goes with cuDNN 8;"), "{report}");
}

#[test]
fn b07_extras_and_case_do_not_hide_torch() {
    for line in ["torch[opt]==2.4.1", "Torch==2.4.1", "torch == 2.4.1"] {
        let (plan, _) = plan(&format!("  gpu: true\n  python_packages: [\"{line}\"]"));
        assert_eq!(choice(&plan, "cuda"), Some("12.4"), "{line}");
        assert!(pip(&plan).requirements[0].ends_with("/cu124/"), "{line}");
    }
}

#[test]
fn b08_a_range_is_not_its_bound() {
    let (plan, _) = plan("  gpu: true\n  python_packages: [\"torch<2.7.0\"]");
    assert!(
        pip(&plan).requirements.contains(&"torch==2.6.0".to_owned()),
        "{:?}",
        pip(&plan).requirements
    );
    assert_eq!(choice(&plan, "cuda"), Some("12.6"));
}

#[test]
fn b08_a_tensorflow_that_is_left_open_is_pinned_or_refused() {
    for (lines, range, pinned, cuda) in [
        ("", "<2.19,>=2.16", "tensorflow==2.18.0", "12.5"),
        ("  cuda: \"12.2\"\n", "<2.18", "tensorflow==2.17.0", "12.2"),
    ] {
        let packages = format!("  python_packages: [\"tensorflow{range}\"]");
        let (plan, _) = plan(&format!("  gpu: true\n{lines}{packages}"));
        let requirements = &pip(&plan).requirements;
        assert!(
            requirements.contains(&pinned.to_owned()),
            "{requirements:?}"
        );
        assert_eq!(choice(&plan, "cuda"), Some(cuda));
    }
    let report = refused(&build("  gpu: true\n  python_packages: [tensorflow]"));
    assert!(
        report.contains("tensorflow needs a version in a GPU build"),
        "{report}"
    );
    let (plan, report) = plan("  gpu: true\n  cuda: \"12.5\"\n  python_packages: [tensorflow]");
    assert_eq!(choice(&plan, "cuda"), Some("12.5"));
    assert!(
        report.contains("the version of tensorflow is not known"),
        "{report}"
    );
}

#[test]
fn b21_a_configuration_of_another_name_and_folder_is_copied_as_cog_yaml() {
    let mut project = build("");
    let config = project.remove("cog.yaml").unwrap();
    let source = cog_python::Source::new("model.yaml", config);
    let (config, report) = cog_python::config::read(&source, &project, None);
    let config = config.unwrap_or_else(|| panic!("{report}"));
    let (plan, report) = Plan::new(&config, &Options::default());
    let text = text(&plan.unwrap_or_else(|| panic!("{report}")));
    let copied = "\"/model.yaml\" => \"/src/cog.yaml\"";
    assert!(text.contains(copied), "{text}");
}

#[test]
fn b09_the_warning_about_tensorflow_is_about_another_cuda_than_its_own() {
    let (_, report) =
        plan("  gpu: true\n  cuda: \"12.5\"\n  python_packages: [tensorflow==2.18.0]");
    assert!(!report.contains("TensorFlow"), "{report}");
    let (_, report) =
        plan("  gpu: true\n  cuda: \"12.6\"\n  python_packages: [tensorflow==2.18.0]");
    assert!(
        report.contains("TensorFlow 2.18.0 is built with CUDA 12.5"),
        "{report}"
    );
}

#[test]
fn b10_cuda_and_cudnn_of_tensorflow_have_an_image() {
    let (plan, _) = plan("  gpu: true\n  python_packages: [tensorflow==2.16.1]");
    assert_eq!(
        (choice(&plan, "cuda"), choice(&plan, "cudnn")),
        (Some("12.2"), Some("8"))
    );
    let report = refused(&build(
        "  gpu: true\n  cuda: \"12.3\"\n  python_packages: [tensorflow==2.16.1]",
    ));
    assert!(report.contains("set `cuda` to \"12.2\""), "{report}");
}

#[test]
fn b11_a_line_of_torch_on_cpu_is_the_wheel_for_cpu() {
    let (plan, _) = plan("  python_packages: [torch==2.3]");
    assert_eq!(
        pip(&plan).requirements[..2],
        [
            "--extra-index-url https://download.pytorch.org/whl/cpu/",
            "torch==2.3.1"
        ]
    );
}

#[test]
fn b12_an_unknown_tensorflow_stays() {
    let (plan, report) =
        plan("  gpu: true\n  cuda: \"11.8\"\n  python_packages: [tensorflow==0.4.1]");
    assert!(
        pip(&plan)
            .requirements
            .contains(&"tensorflow==0.4.1".to_owned())
    );
    assert!(report.contains("TensorFlow 0.4.1 is not known"), "{report}");
}

#[test]
fn b13_markers_are_kept() {
    let (plan, _) =
        plan("  gpu: true\n  python_packages: [\"torch==2.4.1; python_version >= '3.10'\"]");
    assert!(
        pip(&plan)
            .requirements
            .contains(&"torch==2.4.1 ; python_version >= '3.10'".to_owned()),
        "{:?}",
        pip(&plan).requirements
    );
}

#[test]
fn b14_options_have_one_order() {
    let lines = "  gpu: true\n  python_packages:\n    - torch==2.4.1\n    - a==1 --extra-index-url=https://z\n    - b==1 --extra-index-url=https://a --find-links=https://f";
    let (first, _) = plan(lines);
    let options: Vec<&String> = pip(&first)
        .requirements
        .iter()
        .filter(|line| line.starts_with('-'))
        .collect();
    assert_eq!(
        options,
        [
            "--extra-index-url https://z",
            "--extra-index-url https://a",
            "--extra-index-url https://download.pytorch.org/whl/cu124/",
            "--find-links https://f",
        ]
    );
    assert_eq!(plan(lines).0, first);
}

#[test]
fn b15_cuda_without_gpu_does_nothing_and_says_so() {
    let (plan, report) = plan("  cuda: \"11.8\"\n  python_packages: [torch==2.0.1]");
    assert!(
        report.contains("`cuda` has no effect without `gpu: true`"),
        "{report}"
    );
    assert_eq!(choice(&plan, "base image"), Some("python:3.12-slim"));
}

#[test]
fn b16_fragments_of_urls_are_no_comments() {
    let line = "git+https://example.com/a.git#egg=a";
    let (plan, _) = plan(&format!("  python_packages: [\"{line}\"]"));
    assert!(pip(&plan).requirements.contains(&line.to_owned()));
}

#[test]
fn b17_local_constraints_reach_pip() {
    let mut project = build("  python_requirements: r.txt");
    project.insert("r.txt".into(), "numpy\n-c c.txt\n".into());
    project.insert("c.txt".into(), "numpy<3\n".into());
    let (plan, report) = plan_with(&project, &Options::default());
    assert_eq!(
        pip(&plan.unwrap_or_else(|| panic!("{report}"))).constraints,
        ["numpy<3"]
    );
}

#[test]
fn b18_what_is_cached_is_used() {
    let text = text(&example());
    assert!(text.contains("cog-python-uv"), "{text}");
    assert!(!text.contains("no-cache"), "{text}");
}

#[test]
fn b19_no_compiler_flags_are_set() {
    assert!(!text(&example()).contains("CFLAGS"));
    assert!(!example().config.environment.contains_key("CFLAGS"));
}

#[test]
fn b20_there_is_no_apt_step_without_packages() {
    let options = Options {
        cog_base: Some(true),
        ..Options::default()
    };
    let (plan, report) = plan_with(&build("  system_packages: [git, curl]"), &options);
    let plan = plan.unwrap_or_else(|| panic!("{report}"));
    assert!(plan.step("apt").is_none());
    assert!(!text(&plan).is_empty());
}

#[test]
fn b22_the_search_path_of_libraries_is_left_alone() {
    assert!(!text(&example()).contains("LD_LIBRARY_PATH"));
}

#[test]
fn b23_nothing_is_downloaded_without_a_check() {
    // The init program comes from the package archive, whose signatures apt checks.
    let text = text(&example());
    assert!(!text.contains("curl ") && !text.contains("wget "), "{text}");
    assert!(text.contains("tini"), "{text}");
}

#[test]
fn b24_values_of_variables_are_exact() {
    let mut project = build("");
    project.insert(
        "cog.yaml".into(),
        "build: {python_version: \"3.12\"}\nrun: run.py:R\nenvironment: [\"A=hello $B world\"]\n"
            .into(),
    );
    let (plan, report) = plan_with(&project, &Options::default());
    let plan = plan.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(plan.config.environment["A"], "hello $B world");
    assert!(plan.to_dockerfile().contains("ENV A=\"hello \\$B world\""));
}

#[test]
fn b25_secrets_are_required_and_have_an_absolute_path() {
    let mount = |target: &str| {
        format!("  run: [{{command: ls, mounts: [{{type: secret, id: a, target: {target}}}]}}]")
    };
    let (plan, _) = plan(&mount("/run/a"));
    let required = plan.steps.iter().any(|step| {
        matches!(&step.action, Action::Run { mounts, .. } if matches!(mounts[0], Mount::Secret { required: true, .. }))
    });
    assert!(required);
    assert_eq!(plan.required_secrets(), ["a"]);
    assert!(refused(&build(&mount("a"))).contains("must be the absolute path of a file"));
}

#[test]
fn b26_the_runtime_is_pinned() {
    assert!(
        pip(&example())
            .requirements
            .iter()
            .any(|line| line.starts_with("cog=="))
    );
}

#[test]
fn b27_the_history_of_the_project_stays_out() {
    let excluded = example().steps.iter().any(|step| {
        matches!(&step.action, Action::Source(source) if source.exclude.contains(&".git".to_owned()))
    });
    assert!(excluded);
}

#[test]
fn b33_to_b35_every_mistake_of_a_signature_is_reported_with_its_place() {
    let code = "from typing import Literal\nclass R:\n    def run(self, a, b: Literal['x'], c: int = f()):\n        ...\n";
    let project = files(&[("run.py", code)]);
    let report = Schema::read(Some(&"run.py:R".parse().unwrap()), None, &project, "1")
        .unwrap_err()
        .to_string();
    assert_eq!(report.matches("error: ").count(), 4, "{report}");
    for place in ["run.py:3:19", "run.py:3:22", "run.py:3:39"] {
        assert!(report.contains(place), "{place}\n{report}");
    }
}

#[test]
fn b36_the_image_has_the_init_program_that_its_label_names() {
    let plan = example();
    assert_eq!(plan.config.labels["run.cog.has_init"], "true");
    assert!(plan.config.entrypoint[0].ends_with("tini"));
}
