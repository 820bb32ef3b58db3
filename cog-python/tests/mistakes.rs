//! A gallery of mistakes: what a user writes, and every word of the answer.
//!
//! Each case names its mistake. Its text is the `build` section below a valid Python version, or,
//! when it starts at the first column, the whole file. The project has `run.py`,
//! `requirements.txt` and whatever the case adds.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use cog_python::diagnostic::Severity;
use common::{Files, files, read};

/// Every finding as `severity line:column message | hint`.
fn findings(project: &Files) -> Vec<String> {
    let (config, report) = read(project);
    assert_eq!(
        config.is_none(),
        report.has_errors(),
        "a config exists exactly when nothing is wrong"
    );
    report
        .sorted()
        .into_iter()
        .map(|finding| {
            let mark = if finding.severity() == Severity::Error {
                ""
            } else {
                "warning "
            };
            let place = finding.place().map(|place| {
                let file = if place.file == "cog.yaml" {
                    String::new()
                } else {
                    format!("{}:", place.file)
                };
                format!("{file}{}:{} ", place.span.line, place.span.column)
            });
            let hint = finding
                .advice()
                .map(|hint| format!(" | {hint}"))
                .unwrap_or_default();
            format!(
                "{mark}{}{}{hint}",
                place.unwrap_or_default(),
                finding.message()
            )
        })
        .collect()
}

fn project(text: &str) -> Files {
    files(&[
        ("cog.yaml", text),
        ("run.py", ""),
        ("requirements.txt", "six\n"),
    ])
}

/// A whole file: checks every finding, and that it does not depend on the order of reading.
#[track_caller]
fn whole(text: &str, expected: &[&str]) {
    assert_eq!(findings(&project(text)), expected, "\n{text}");
}

/// Lines of `build`, indented by two.
#[track_caller]
fn build(lines: &str, expected: &[&str]) {
    whole(
        &format!("run: run.py:Runner\nbuild:\n  python_version: \"3.12\"\n{lines}\n"),
        expected,
    );
}

/// Lines of the top level.
#[track_caller]
fn top(lines: &str, expected: &[&str]) {
    whole(
        &format!("build:\n  python_version: \"3.12\"\n{lines}\n"),
        expected,
    );
}

/// Lines of the requirements file.
#[track_caller]
fn requirements(lines: &str, expected: &[&str]) {
    let mut project = project(
        "run: run.py:Runner\nbuild:\n  python_version: \"3.12\"\n  python_requirements: requirements.txt\n",
    );
    project.insert("requirements.txt".into(), lines.into());
    assert_eq!(findings(&project), expected, "\n{lines}");
}

#[test]
fn files_that_are_no_configuration() {
    whole(
        "",
        &[
            "warning 1:1 there is no `run`: the image has nothing to serve | add for example `run: run.py:Runner`",
            "1:1 `build.python_version` is required | add it under `build`, for example `python_version: \"3.13\"`",
        ],
    );
    whole(
        "just text",
        &["1:1 `cog.yaml` must be a mapping, found a string"],
    );
    whole("[]", &["1:1 `cog.yaml` must be a mapping, found a list"]);
    whole("build: [", &["1:8 invalid YAML: unclosed bracket '['"]);
    whole(
        "a: b: c",
        &["1:5 invalid YAML: mapping values are not allowed in this context"],
    );
    whole(
        "run: run.py:Runner\nbuild:\n\tpython_version: 3.12\n",
        &["3:2 invalid YAML: tabs disallowed within this context (block indentation)"],
    );
    whole(
        "build: {python_version: 3.12}\nrun: run.py:Runner\n---\nimage: x\n",
        &[
            "3:1 the file holds a second document, only one is read | remove the `---` line and what follows",
        ],
    );
    whole(
        "run: run.py:Runner\nbuild:\n",
        &[
            "2:1 `build.python_version` is required | add it under `build`, for example `python_version: \"3.13\"`",
        ],
    );
    whole(
        "run: run.py:Runner\nbuild: 3\n",
        &["2:8 `build` must be a mapping, found a number"],
    );
    whole(
        "run: run.py:Runner\nbuild: {python_version: 3.12}\nbuild: {}\n",
        &["3:1 key `build` is given twice | the first one is on line 2"],
    );
    whole(
        "run: run.py:Runner\nbuild: {python_version: !mine 3.12}\n",
        &["2:31 tag `!mine` is not supported | write the value without a tag"],
    );
    whole(
        "run: run.py:Runner\nbuild: {python_version: *gone}\n",
        &["2:25 invalid YAML: while parsing node, found unknown anchor"],
    );
}

#[test]
fn keys() {
    build(
        "  python_verison: 3.12",
        &["4:3 unknown key `python_verison` in `build` | did you mean `python_version`?"],
    );
    build(
        "  system-packages: [git]",
        &["4:3 unknown key `system-packages` in `build` | did you mean `system_packages`?"],
    );
    build(
        "  colour: red",
        &[
            "4:3 unknown key `colour` in `build` | known keys are `cuda`, `cudnn`, `gpu`, `pre_install`, `python_packages`, `python_requirements`, `python_version`, `run`, `sdk_version`, `system_packages`",
        ],
    );
    build(
        "  environment: [A=b]",
        &[
            "4:3 unknown key `environment` in `build` | `environment` belongs to the top level of the file",
        ],
    );
    build(
        "  cuda: \"11.8\"",
        &[
            "warning 4:9 `cuda` has no effect without `gpu: true` | add `gpu: true`, or remove the key",
        ],
    );
    build(
        "  gpu: true\n  cuda: 9.1\n  cudnn: 8.6",
        &[
            "5:9 `cuda` must be at least 11, found `9.1`",
            "6:10 `cudnn` must be a major version, found `8.6` | write \"8\"",
        ],
    );
    build(
        "  gpu: true\n  cuda: 11-2",
        &[
            "5:9 `cuda` must be one to three numbers separated by dots, such as 12.4 or 2.4.1, found `11-2`",
        ],
    );
    build("  gpu: true", &[]);
    build(
        "  cuda: \"\"\n  cudnn: \"\"\n  python_requirements: \"\"",
        &[],
    );
    build("  gpu: false", &[]);
    build(
        "  gpu: yes please",
        &["4:8 `gpu` must be a boolean, found a string"],
    );
    build(
        "  python_find_links: [x]",
        &[
            "4:3 `python_find_links` was removed from Cog | write `--find-links URL` lines into the file of `python_requirements`",
        ],
    );
    build(
        "  python_extra_index_urls: [x]",
        &[
            "4:3 `python_extra_index_urls` was removed from Cog | write `--extra-index-url URL` lines into the file of `python_requirements`",
        ],
    );
    build(
        "  fast: true",
        &["4:3 `fast` was removed from Cog | builds need no such switch any more; remove the key"],
    );
    top(
        "run: run.py:Runner\nsystem_packages: [git]",
        &[
            "4:1 unknown key `system_packages` in `cog.yaml` | `system_packages` belongs under `build`",
        ],
    );
    top(
        "run: run.py:Runner\ntrain: train.py:train\nweights: [{name: A, target: x}]\nconcurrency: {max: 0}\nmodel: x/y:1",
        &[
            "warning 5:1 weights are no part of the image unless `--include-weights` asks for it: it names them, and they are mounted when it runs | fetch them into a folder, and mount each at its `target`",
            "warning 6:1 `concurrency.max` is deprecated | decorate the async `run()` with `@cog.concurrent(max=N)`, which replaces it: `@cog.concurrent(max=...)`",
            "4:8 file `train.py` does not exist | the path is relative to the folder of cog.yaml",
            "5:11 `source` of weights is required",
            "5:18 name `A` of weights must be lowercase letters and digits with single `.`, `_` or `-` between them | it becomes part of a tag, for example `my-model-weights`",
            "5:29 `target` of weights must be an absolute path, found `x` | for example `/src/x`",
            "6:20 `concurrency.max` must be a whole number from 1 on, found `0`",
            "7:8 `model` must be a repository without a tag, found `x/y:1` | the tag is chosen when the model is pushed, by `COG_MODEL_TAG` or the time",
        ],
    );
    top(
        "run: run.py:Runner\nbase: debian",
        &["4:1 unknown key `base` in `cog.yaml` | `base` belongs under `x-cog-python`"],
    );
    top(
        "run: run.py:Runner\nx-cog-python:\n  python: conda\n  gpu_architectures: [9]\n  run:\n    - {command: ls, mounts: [{type: tmpfs}, {type: cache, target: x}], network: host}",
        &[
            "5:11 `python` must be `base` or `uv`, found `conda`",
            "6:23 `gpu_architectures` item must be a compute capability such as 9.0 or sm_90, found `9`",
            "8:37 mount type must be `bind`, `cache`, `secret` or `ssh`, found `tmpfs`",
            "8:67 `target` must be an absolute path, found `x`",
            "8:81 `network` must be `default` or `none`, found `host`",
        ],
    );
    top(
        "run: run.py:Runner\nx-cog-python:\n  run:\n    - {command: ls, mounts: [{type: bind, from: Models, target: /a}, {type: bind, from: m, source: ../x, target: /b}, {type: cache, from: m, target: /c}]}",
        &[
            "6:49 `from` is neither the name of a context nor of an image: invalid reference format: repository name (library/Models) must be lowercase (hint: write models)",
            "6:100 `source` of a bind mount must be a path of m, found `../x`",
            "6:139 a `cache` mount has no `from` | only `bind` mounts show files of a context or an image",
        ],
    );
    top(
        "run: run.py:Runner\nx-cog-python:\n  compilers: none\n  run:\n    - {command: ls, writes: kernels}\n    - {command: ls, writes: /opt/venv/lib}\n    - {command: ls, writes: /opt/a/}\n    - {command: ls, writes: /opt/a/b}\n    - {command: ls, writes: /}",
        &[
            "5:14 `compilers` must be `build` or `image`, found `none`",
            "7:29 `writes` must be an absolute path, found `kernels` | for example `/opt/kernels`",
            "8:29 `writes` `/opt/venv/lib` and `/opt/venv` lie in each other, and others write there | give the command a folder of its own, such as `/opt/kernels`",
            "10:29 `writes` `/opt/a/b` and `/opt/a` lie in each other, and others write there | give the command a folder of its own, such as `/opt/kernels`",
            "11:29 `writes` must be a folder below `/` | leave it out for a command that writes anywhere",
        ],
    );
    top(
        "run: run.py:Runner\nenviroment: [HF_TOKEN=hunter2]",
        &["4:1 unknown key `enviroment` in `cog.yaml` | did you mean `environment`?"],
    );
    top(
        "run: run.py:Runner\ntests: []",
        &["4:1 `tests` was removed from Cog | tests run outside of cog.yaml; remove the key"],
    );
}

#[test]
fn python_versions() {
    for (version, finding) in [
        (
            "3.9",
            "3:19 `python_version` must be at least 3.10, found `3.9`",
        ),
        (
            "3.1",
            "3:19 `python_version` must be at least 3.10, found `3.1` | if you mean 3.10, write \"3.10\" in quotes",
        ),
        (
            "3",
            "3:19 `python_version` must be a major and a minor version, such as 3.12, or a full one, such as 3.12.1, found `3`",
        ),
        (
            "3.12.x",
            "3:19 `python_version` must be a major and a minor version, such as 3.12, or a full one, such as 3.12.1, found `3.12.x`",
        ),
        (
            "\"\"",
            "3:19 `python_version` must be a major and a minor version, such as 3.12, or a full one, such as 3.12.1, found ``",
        ),
        (
            "2.7",
            "3:19 `python_version` must be a version of Python 3, at least 3.10, found `2.7`",
        ),
        (
            "true",
            "3:19 `python_version` must be a string, found a boolean | quote it if you mean the word: \"true\"",
        ),
        (
            "[3.12]",
            "3:19 `python_version` must be a string, found a list",
        ),
        (
            "",
            "3:3 `build.python_version` is required | add it under `build`, for example `python_version: \"3.13\"`",
        ),
    ] {
        whole(
            &format!("run: run.py:Runner\nbuild:\n  python_version: {version}\n"),
            &[finding],
        );
    }
    whole("run: run.py:Runner\nbuild:\n  python_version: 3.10\n", &[]);
    whole(
        "run: run.py:Runner\nbuild:\n  python_version: 3.14\n",
        &[
            "warning 3:19 Cog's runtime declares to support Python up to 3.13 | expect packages without ready-made wheels for newer versions",
        ],
    );
}

#[test]
fn python_packages_and_requirements() {
    build(
        "  python_packages: [six]",
        &[
            "warning 4:3 `python_packages` is deprecated | list the packages in a file and name it with `python_requirements`",
        ],
    );
    build(
        "  python_packages: [six, ./local]\n  python_requirements: requirements.txt",
        &[
            "warning 4:3 `python_packages` is deprecated | list the packages in a file and name it with `python_requirements`",
            "4:20 `python_packages` and `python_requirements` cannot both be set | move the packages into the requirements file",
            "4:26 `./local` is neither a wheel or archive nor a folder with a pyproject.toml or setup.py | a path is relative to the file that names it; a package of an index has no `/`",
        ],
    );
    build(
        "  python_packages: six",
        &[
            "warning 4:3 `python_packages` is deprecated | list the packages in a file and name it with `python_requirements`",
            "4:20 `build.python_packages` must be a list, found a string",
        ],
    );
    build(
        "  python_packages: []",
        &[
            "warning 4:3 `python_packages` is deprecated | list the packages in a file and name it with `python_requirements`",
        ],
    );
    build(
        "  python_requirements: gone.txt",
        &[
            "4:24 requirements file `gone.txt` does not exist | the path is relative to the folder of cog.yaml",
        ],
    );
    build(
        "  python_requirements: [requirements.txt]",
        &["4:24 `python_requirements` must be a string, found a list"],
    );
    requirements(
        "six\ncog==0.9\n",
        &[
            "warning requirements.txt:2:1 `cog` is installed by the builder, as `cog==0.23.1`; this line is left out | choose the version with `build.sdk_version` or `--sdk-version`",
        ],
    );
    requirements(
        "--index-url https://me:hunter2@example.com/simple\n",
        &[
            "requirements.txt:1:1 an URL holds a user name with a password or a token | write `${NAME}` in its place and give the value with `--secret id=NAME,env=NAME`",
        ],
    );
    requirements(
        "-e .\n",
        &[
            "warning requirements.txt:1:1 the project is not installed: it is copied to /src, where its modules are found | to install what it depends on, name its pyproject.toml with `python_requirements`",
        ],
    );
    requirements(
        "# first\n  ./wheels/a.whl\nnumpy @ file:///x\n--find-links wheels\n",
        &[
            "requirements.txt:2:3 file `./wheels/a.whl` does not exist | the path is relative to the file that names it",
            "requirements.txt:3:1 `file:///x` is outside of the project, which is all that the builder is given | copy it into the project and name it by a path relative to this file",
        ],
    );
    requirements(
        "-r more.txt\n-c requirements.txt\n",
        &[
            "requirements.txt:1:1 file `more.txt` does not exist",
            "requirements.txt:2:1 `requirements.txt` includes itself",
        ],
    );
    requirements(
        "-e git+https://example.com/a.git#egg=a\nhttps://example.com/a.whl\n",
        &[],
    );
    requirements(
        "--index-url https://${USER}:${TOKEN}@example.com/simple\n",
        &[],
    );
}

#[test]
fn system_packages() {
    build(
        "  system_packages: [git curl]",
        &[
            "4:21 a system package must be one name, found `git curl` | write each package as its own list item",
        ],
    );
    build(
        "  system_packages: [Git, -y, '$(reboot)', true, [a]]",
        &[
            "4:21 `build.system_packages` item must be a package name of lowercase letters, digits and `+-.`, optionally with `:architecture`, `=version` or `/release`, found `Git`",
            "4:26 `build.system_packages` item must be a package name of lowercase letters, digits and `+-.`, optionally with `:architecture`, `=version` or `/release`, found `-y`",
            "4:30 `build.system_packages` item must be a package name of lowercase letters, digits and `+-.`, optionally with `:architecture`, `=version` or `/release`, found `$(reboot)`",
            "4:43 `build.system_packages` item must be a string, found a boolean | quote it if you mean the word: \"true\"",
            "4:49 `build.system_packages` item must be a string, found a list",
        ],
    );
    build(
        "  system_packages: git",
        &["4:20 `build.system_packages` must be a list, found a string"],
    );
    build("  system_packages:", &[]);
}

#[test]
fn commands() {
    build("  run: [\"\"]", &["4:9 a command must not be empty"]);
    build(
        "  run: make",
        &["4:8 `build.run` must be a list, found a string"],
    );
    build(
        "  run: [[a]]",
        &["4:9 `build.run` item must be a string or a mapping with `command`, found a list"],
    );
    build("  run: [{}]", &["4:9 `command` is required"]);
    build(
        "  run: [{command: x, mount: []}]",
        &["4:22 unknown key `mount` in `build.run` | did you mean `mounts`?"],
    );
    build(
        "  run: [{command: x, mounts: [{type: cache, id: a, target: /a}]}]",
        &["4:38 mount type must be `secret`, found `cache`"],
    );
    build(
        "  run: [{command: x, mounts: [{type: secret, id: a, target: a}]}]",
        &[
            "4:61 `target` must be the absolute path of a file, found `a` | for example `/run/secrets/a`",
        ],
    );
    build(
        "  run: [{command: x, mounts: [{id: a}]}]",
        &["4:31 `type` is required", "4:31 `target` is required"],
    );
    build(
        "  run: [{command: x, mounts: [{type: secret, id: 'a,b', target: /a}]}]",
        &["4:50 `id` must be a name without `,` and `=`"],
    );
    build(
        "  pre_install: [make]",
        &[
            "warning 4:3 `pre_install` is deprecated; in spite of its name it runs after Python packages are installed and after `run` | move the commands to the end of `run`",
        ],
    );
}

#[test]
fn sdk_versions() {
    build(
        "  sdk_version: 0.15.0",
        &["4:16 `sdk_version` must be at least 0.16.0, found `0.15.0`"],
    );
    build(
        "  sdk_version: newest",
        &["4:16 `sdk_version` must be a version such as 0.23.1, or `prerelease`, found `newest`"],
    );
    build(
        "  sdk_version: prerelease",
        &[
            "warning 4:16 `sdk_version: prerelease` installs whatever is newest on the day of the build | name a version to get the same image again",
        ],
    );
}

#[test]
fn environment() {
    top(
        "run: run.py:Runner\nenvironment: {A: hunter2}",
        &[
            "4:14 `environment` must be a list, found a mapping | write each variable as an item: `- NAME=value`",
        ],
    );
    top(
        "run: run.py:Runner\nenvironment: [A: hunter2]",
        &["4:15 `environment` item must be a string, found a mapping | write it as `- NAME=value`"],
    );
    top(
        "run: run.py:Runner\nenvironment: [A, 1A=x, PATH=x, CUDA_HOME=x, B=1, B=2]",
        &[
            "4:15 an environment variable must be written as NAME=value | names are letters, digits and `_`",
            "4:18 an environment variable must be written as NAME=value | names are letters, digits and `_`",
            "4:24 environment variable `PATH` is reserved for the runtime",
            "4:32 environment variable `CUDA_HOME` is reserved for the runtime",
            "4:50 environment variable `B` is given twice",
        ],
    );
    top(
        "run: run.py:Runner\nenvironment: [HF_TOKEN=hunter2]",
        &[
            "warning 4:15 `HF_TOKEN` sounds like a secret, and everyone who has the image can read it | give it to the container when it starts, or to a `build.run` command as a secret mount",
        ],
    );
    top(
        "run: run.py:Runner\nenvironment: A=b",
        &["4:14 `environment` must be a list, found a string"],
    );
}

#[test]
fn images() {
    top(
        "run: run.py:Runner\nimage: Hello",
        &["4:8 `image` must have a lowercase repository, found `Hello`"],
    );
    top(
        "run: run.py:Runner\nimage: a b",
        &["4:8 `image` must have the form `[host[:port]/]name[:tag]`, found `a b`"],
    );
    top(
        "run: run.py:Runner\nimage: a@sha256:00",
        &[
            "4:8 `image` must not hold a digest: the digest is known after the build, found `a@sha256:00`",
        ],
    );
    top(
        "run: run.py:Runner\nimage: \"\"",
        &["4:8 `image` must not be empty, found ``"],
    );
}

#[test]
fn run_references() {
    top(
        "",
        &[
            "warning 1:1 there is no `run`: the image has nothing to serve | add for example `run: run.py:Runner`",
        ],
    );
    top(
        "run: gone.py:Runner",
        &["3:6 file `gone.py` does not exist | the path is relative to the folder of cog.yaml"],
    );
    top(
        "run: run.py",
        &[
            "3:6 `run` must have the form `run.py:Runner`: a Python file, a colon and a class or function, found `run.py`",
        ],
    );
    top(
        "run: ../run.py:Runner",
        &[
            "3:6 `run` must name a file inside the project, as a path relative to it, found `../run.py:Runner`",
        ],
    );
    top(
        "predict: run.py:Runner",
        &["warning 3:1 `predict` is deprecated | call it `run`"],
    );
    top(
        "run: run.py:Runner\npredict: run.py:Runner",
        &["4:1 `run` and its old name `predict` cannot both be set | remove `predict`"],
    );
    top(
        "run: [run.py:Runner]",
        &["3:6 `run` must be a string, found a list"],
    );
}

#[test]
fn many_mistakes_are_reported_together_and_in_order() {
    whole(
        "build:\n  python_version: 3.9\n  python_requirements: gone.txt\n  cuda: 12\nimage: Hello\nrun: gone.py:X\n",
        &[
            "2:19 `python_version` must be at least 3.10, found `3.9`",
            "3:24 requirements file `gone.txt` does not exist | the path is relative to the folder of cog.yaml",
            "4:9 `cuda` must have a major and a minor version, found `12` | write for example \"12.4\"",
            "5:8 `image` must have a lowercase repository, found `Hello`",
            "6:6 file `gone.py` does not exist | the path is relative to the folder of cog.yaml",
        ],
    );
}

#[test]
fn no_message_holds_a_secret() {
    for text in [
        "build:\n  python_version: 3.12\nenvironment:\n  - HF_TOKEN=hunter2\n  - PATH=hunter2\n",
        "build:\n  python_version: 3.12\nenvironment:\n  HF_TOKEN: hunter2\n",
        "build:\n  python_version: 3.12\nenvironment:\n  - A: hunter2\n",
        "build:\n  python_version: 3.12\nenvironment: [A=hunter2, A=hunter2]\n",
        "environmnt: [API_KEY=hunter2]\n",
        "environment:\n  - A=\"hunter2\" b\n  - \"A=hunter2\" b: c\n",
        "build:\n  python_version: 3.12\n  python_packages: [\"--index-url https://x:hunter2@h/\"]\n",
    ] {
        let (_, report) = read(&project(text));
        assert!(!report.to_string().contains("hunter2"), "{report}");
    }
}
