//! Options of builds that are checked before a builder is asked: weights of cog.yaml in the image, several platforms,
//! agents of SSH.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::fs;

use tempfile::TempDir;

use common::run;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A model with weights from these addresses.
fn project(uris: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let weights = uris.iter().enumerate().map(|(number, uri)| {
        format!("  - {{name: w{number}, target: /weights/{number}, source: {{uri: \"{uri}\", include: [\"*.bin\"]}}}}\n")
    });
    let weights: String = weights.collect();
    let config = format!(
        "build:\n  python_version: \"3.12\"\nmodel: registry.example.com/acme/model\nrun: run.py:Runner\nweights:\n{weights}"
    );
    fs::write(folder.path().join("cog.yaml"), config).unwrap();
    fs::write(
        folder.path().join("run.py"),
        "class Runner:\n    def run(self) -> str: ...\n",
    )
    .unwrap();
    folder
}

#[test]
fn weights_are_a_part_of_the_image_when_they_are_asked_for() {
    let digest = "a".repeat(64);
    let web = format!("https://example.com/w.bin?v=1#sha256={digest}");
    let hub = format!("hf://acme/tiny@{COMMIT}");
    let folder = project(&["file://models", &web, &hub]);
    let (code, plan, stderr) = run(folder.path(), &["plan", "--include-weights"]);
    assert_eq!(code, Some(0), "{stderr}");
    for part in [
        "copy models to /weights/0 alone",
        "copy https://example.com/w.bin?v=1 to /weights/1 alone",
        &format!("copy hf://acme/tiny@{COMMIT} to /weights/2 alone  (after base)"),
    ] {
        assert!(plan.contains(part), "no {part:?} in\n{plan}");
    }
    let (_, plain, _) = run(folder.path(), &["plan"]);
    assert!(!plain.contains("/weights/0 alone"), "{plain}");
    let (_, dockerfile, _) = run(
        folder.path(),
        &["plan", "--dockerfile", "--include-weights"],
    );
    for part in [
        "COPY --exclude=** --exclude=!*.bin [\"models\",\"/weights/0/\"]",
        &format!(
            "ADD --checksum=sha256:{digest} --chmod=644 [\"https://example.com/w.bin?v=1\",\"/weights/1/\"]"
        ),
        &format!("\"acme/tiny\",\"{COMMIT}\",\"/weights/2\",\"--include\",\"*.bin\""),
        "COPY --from=weights-3 /weights/2 /weights/2",
    ] {
        assert!(dockerfile.contains(part), "no {part:?} in\n{dockerfile}");
    }
}

#[test]
fn weights_that_could_be_others_tomorrow_are_refused_at_their_line() {
    let folder = project(&[
        "https://user:hunter2@example.com/w.bin",
        "hf://acme/tiny",
        "/data/w",
    ]);
    let (code, stdout, stderr) = run(folder.path(), &["plan", "--include-weights"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    for part in [
        "weights `w0` from `https://example.com/w.bin` have no digest",
        "--> cog.yaml:6:",
        "weights `w1` from `hf://acme/tiny` name no commit",
        "write `hf://acme/tiny@` and the 40 digits of a commit",
        "weights `w2` from `/data/w` are outside of the project",
    ] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
    let hint = stderr.lines().filter(|line| line.contains("hint:"));
    assert!(
        hint.clone().count() >= 3 && !hint.collect::<String>().contains("hunter2"),
        "{stderr}"
    );
}

#[test]
fn only_builds_take_several_platforms() {
    let folder = project(&["models"]);
    let several = ["--platform", "linux/amd64,linux/arm64"];
    let (code, _, stderr) = run(folder.path(), &[&["plan"], &several[..]].concat());
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("only `build` and `push` take several"),
        "{stderr}"
    );
}

#[test]
fn repositories_over_ssh_are_fetched_with_an_agent() {
    let folder = project(&["models"]);
    let requirements = "private @ git+ssh://git@git.example.com/acme/private@v1\n";
    fs::write(folder.path().join("requirements.txt"), requirements).unwrap();
    let path = folder.path().join("cog.yaml");
    let config = fs::read_to_string(&path).unwrap();
    let config = config.replace(
        "\nmodel:",
        "\n  python_requirements: requirements.txt\nmodel:",
    );
    fs::write(path, config).unwrap();
    let (_, dockerfile, stderr) = run(folder.path(), &["plan", "--dockerfile"]);
    assert!(
        dockerfile.contains("--mount=type=ssh,required=true "),
        "{dockerfile}{stderr}"
    );
    let (code, _, stderr) = run(folder.path(), &["build"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("needs an SSH agent") && stderr.contains("--ssh default"),
        "{stderr}"
    );
}

/// A lock says which wheels there are: libraries of CUDA that the base has, too, are told with their size.
#[test]
fn cuda_that_is_there_twice_is_told_at_its_line() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "cog.yaml",
        "build:\n  gpu: true\n  cuda: \"12.4\"\n  python_version: \"3.12\"\n  python_requirements: pylock.toml\nrun: run.py:Runner\n",
    );
    write("run.py", "class Runner:\n    def run(self) -> str: ...\n");
    let packages = [
        ("cog", "0.23.1", 1_000),
        ("nvidia-cublas-cu12", "12.4.5.8", 363_400_000),
        ("nvidia-cudnn-cu12", "9.1.0.70", 664_800_000),
        ("six", "1.17.0", 11_000),
    ];
    let packages = packages.map(|(name, version, size)| {
        let file = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
        let digest = "a".repeat(64);
        format!(
            "[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\nwheels = [{{ name = \"{file}\", url = \"https://files.example.com/{file}\", size = {size}, hashes = {{ sha256 = \"{digest}\" }} }}]\n"
        )
    });
    write(
        "pylock.toml",
        &format!(
            "lock-version = \"1.0\"\ncreated-by = \"test\"\n{}",
            packages.concat()
        ),
    );
    let (code, plan, stderr) = run(folder.path(), &["plan"]);
    assert_eq!(code, Some(0), "{stderr}");
    for part in [
        "warning: CUDA is in the image twice: `nvidia-cudnn-cu12`, `nvidia-cublas-cu12` (1.0 GB) bring libraries that the base nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04 has, too",
        "--> cog.yaml:5:",
        "hint: take a base without CUDA",
    ] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
    assert!(plan.contains("1.0 GB of NVIDIA's wheels"), "{plan}");
    let (code, _, stderr) = run(folder.path(), &["plan", "--use-cuda-base-image=false"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

/// A lock without a word about the C library goes with the base image that would be taken anyway, also if that is named.
#[test]
fn a_named_base_is_known_however_it_is_spelled() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("run.py", "class Runner:\n    def run(self) -> str: ...\n");
    let digest = "0".repeat(64);
    let wheels = [
        "a-1-cp312-cp312-manylinux_2_34_x86_64.whl",
        "a-1-cp312-cp312-manylinux_2_28_x86_64.whl",
    ];
    let wheel = |name: &str| {
        format!(
            "{{ name = \"{name}\", url = \"https://files.example.com/{name}\", size = 10, hashes = {{ sha256 = \"{digest}\" }} }}"
        )
    };
    let package = |name: &str, version: &str, wheels: &[&str]| {
        let wheels: Vec<String> = wheels.iter().copied().map(wheel).collect();
        format!(
            "[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\nwheels = [{}]\n",
            wheels.join(", ")
        )
    };
    write(
        "pylock.toml",
        &format!(
            "lock-version = \"1.0\"\ncreated-by = \"test\"\n{}{}",
            package("a", "1", &wheels),
            package("cog", "0.23.1", &["cog-0.23.1-py3-none-any.whl"]),
        ),
    );
    let plan = |base: &str, extension: &str| {
        write(
            "cog.yaml",
            &format!(
                "build:\n  python_version: \"3.12\"\n  python_requirements: pylock.toml\n{extension}run: run.py:Runner\n"
            ),
        );
        let base = if base.is_empty() {
            vec![]
        } else {
            vec!["--base", base]
        };
        let (code, plan, stderr) = run(
            folder.path(),
            &[&["plan", "--json"], base.as_slice()].concat(),
        );
        assert_eq!(code, Some(0), "{stderr}");
        plan
    };
    let spelled = ["python:3.12-slim", "docker.io/library/python:3.12-slim"];
    for base in spelled.into_iter().chain([""]) {
        assert!(plan(base, "").contains(wheels[0]), "--base {base}");
    }
    for base in spelled {
        let extension = format!("x-cog-python:\n  base: {base}\n");
        assert!(plan("", &extension).contains(wheels[0]), "base: {base}");
    }
    // Nothing is known of an image of one's own.
    assert!(plan("acme/python:3.12-slim", "").contains(wheels[1]));
}
