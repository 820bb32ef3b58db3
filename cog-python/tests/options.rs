//! Options of builds that are checked before a builder is asked: weights of cog.yaml in the image, several platforms,
//! agents of SSH, where Cog's package comes from, days of apt; and what `plan` prints besides.
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

/// A model with this `cog.yaml`.
fn model(config: &str, files: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("cog.yaml", config);
    write("run.py", "class Runner:\n    def run(self) -> str: ...\n");
    for file in files {
        write(file, "");
    }
    folder
}

const SMALL: &str = "build:\n  python_version: \"3.12\"\nrun: run.py:Runner\n";

#[test]
fn all_mistakes_are_told_at_once_wherever_they_are() {
    let folder = model(
        "build:\n  gpu: true\n  cuda: \"11.8\"\n  cudnn: \"9\"\n  python_version: \"3.9\"\nenvironment: [PATH=/x]\nrun: run.py:Runner\n",
        &[],
    );
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "run.py",
        "class Runner:\n    def run(self, a) -> str: ...\n",
    );
    let (code, stdout, stderr) = run(folder.path(), &["plan"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    for part in [
        "CUDA 11.8 and cuDNN 9 do not go together",
        " --> cog.yaml:4:10",
        "must be at least 3.10",
        " --> cog.yaml:5:19",
        "`PATH` is reserved",
        " --> run.py:2:19",
        "4 errors: nothing was built",
    ] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
    // The same when the file itself is right.
    write(
        "cog.yaml",
        "build:\n  gpu: true\n  python_version: \"3.12\"\n  python_packages: [torch]\nrun: run.py:Runner\n",
    );
    let (_, _, stderr) = run(folder.path(), &["plan"]);
    for part in [
        "torch needs a version",
        " --> run.py:2:19",
        "2 errors: nothing was built",
    ] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
}

#[test]
fn the_package_of_cog_comes_from_where_it_is_said() {
    let wheel = "cog-0.24.0rc1-py3-none-any.whl";
    let folder = model(SMALL, &[wheel]);
    fs::create_dir(folder.path().join("dist")).unwrap();
    fs::write(folder.path().join("dist").join(wheel), "").unwrap();
    let address = format!("https://example.com/{wheel}");
    let of_project = |path: &str| format!("cog @ file:///run/cog-python/project/{path}");
    for (origin, requirement, version) in [
        ("pypi", "cog==0.23.1".to_owned(), "0.23.1"),
        ("pypi:0.22.0", "cog==0.22.0".to_owned(), "0.22.0"),
        (wheel, of_project(wheel), "0.24.0rc1"),
        ("dist", of_project(&format!("dist/{wheel}")), "0.24.0rc1"),
        (&address, format!("cog @ {address}"), "0.24.0rc1"),
    ] {
        let (code, plan, stderr) = run(folder.path(), &["plan", "--sdk-wheel", origin]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            plan.contains(&format!("            {requirement}\n")),
            "{plan}"
        );
        let label = format!("run.cog.version={version}\n");
        assert!(plan.contains(&label), "{plan}");
    }
    let other = model(SMALL, &[wheel]);
    let outside = other.path().join(wheel).display().to_string();
    for (origin, expected) in [
        (outside.as_str(), "is outside of the project"),
        ("cog-0.1.0-py3-none-any.whl", "must be at least 0.16.0"),
        ("cog-0.24.0-py3-none-any.whl", "does not exist"),
        ("other-1.0-py3-none-any.whl", "must be `pypi`"),
    ] {
        let (code, _, stderr) = run(folder.path(), &["plan", "--sdk-wheel", origin]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(expected), "no {expected:?} in\n{stderr}");
    }
}

#[test]
fn system_packages_of_a_day_are_asked_for() {
    let config = format!("{SMALL}x-cog-python:\n  apt_snapshot: 2025-08-01\n");
    let folder = model(&config, &[]);
    let (_, plan, stderr) = run(folder.path(), &["plan"]);
    assert!(
        plan.contains("tini, and what they recommend, as of 20250801T000000Z"),
        "{plan}{stderr}"
    );
    let (_, dockerfile, _) = run(
        folder.path(),
        &["plan", "--dockerfile", "--apt-snapshot", "2025-09-01"],
    );
    for part in ["\"APT_SNAPSHOT=20250901T000000Z\"", "snapshot.debian.org"] {
        assert!(dockerfile.contains(part), "no {part:?} in\n{dockerfile}");
    }
    let (_, graph, _) = run(folder.path(), &["plan", "--llb"]);
    for part in ["APT_SNAPSHOT", "20250801T000000Z"] {
        assert!(graph.contains(part), "no {part:?} in\n{graph}");
    }
    fs::write(
        folder.path().join("cog.yaml"),
        config.replace("2025-08-01", "yesterday"),
    )
    .unwrap();
    let (code, _, stderr) = run(folder.path(), &["plan"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("`apt_snapshot` must be a day such as 2025-08-01"),
        "{stderr}"
    );
}

#[test]
fn the_graph_of_a_plan_is_printed() {
    let folder = model(SMALL, &[]);
    let (code, text, stderr) = run(folder.path(), &["plan", "--llb"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        text.contains("docker-image://docker.io/library/python:3.12-slim"),
        "{text}"
    );
    assert!(
        stderr.contains("packages are chosen in the middle of the build"),
        "{stderr}"
    );
    let (_, dot, _) = run(folder.path(), &["plan", "--llb=dot"]);
    assert!(dot.starts_with("digraph"), "{dot}");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cog-python"))
        .args(["plan", "--llb=protobuf"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let definition = llb::Definition::from_bytes(&output.stdout).unwrap();
    assert_eq!(definition.to_text(), text);
}

#[test]
fn pip_is_what_the_project_says() {
    let plan = |pip: &str, packages: &str| {
        let config = format!(
            "build:\n  python_version: \"3.12\"\n  python_packages: [{packages}]\nrun: run.py:Runner\nx-cog-python:\n  pip: {pip}\n"
        );
        let folder = model(&config, &[]);
        let (_, plan, stderr) = run(folder.path(), &["plan"]);
        let (_, dockerfile, _) = run(folder.path(), &["plan", "--dockerfile"]);
        (plan, dockerfile, stderr)
    };
    let program = "/opt/venv/lib/python3.12/site-packages/pip";
    let (text, dockerfile, _) = plan("shim", "six");
    assert!(
        text.contains(&format!("write {program}/__main__.py")),
        "{text}"
    );
    let copied = format!("COPY --from=pip {program} {program}");
    assert!(dockerfile.contains(&copied), "{dockerfile}");
    let (text, ..) = plan("real", "six");
    assert!(text.contains("            pip\n"), "{text}");
    let (text, _, stderr) = plan("shim", "pip==25.0");
    assert!(!text.contains(program), "{text}");
    assert!(stderr.contains("a requirement names pip"), "{stderr}");
    let (_, _, stderr) = plan("fake", "six");
    assert!(
        stderr.contains("`pip` must be `none`, `real` or `shim`"),
        "{stderr}"
    );
}

/// A project with a lock that has its packages, and digests of these images.
fn locked_images(images: &[(&str, &str)]) -> TempDir {
    let images: Vec<String> = images
        .iter()
        .map(|(name, digest)| format!("\"{name}\" = \"{digest}\"\n"))
        .collect();
    let images = images.concat();
    let file = "cog-0.23.1-py3-none-any.whl";
    let lock = format!(
        "lock-version = \"1.0\"\n[[packages]]\nname = \"cog\"\nversion = \"0.23.1\"\nwheels = [{{ name = \"{file}\", url = \"https://files.example.com/{file}\", size = 10, hashes = {{ sha256 = \"{}\" }} }}]\n[tool.cog-python.images]\n{images}",
        "a".repeat(64)
    );
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("pylock.toml", &lock);
    write("run.py", "class Runner:\n    def run(self) -> str: ...\n");
    write(
        "cog.yaml",
        "build:\n  python_version: \"3.12\"\n  python_requirements: pylock.toml\nx-cog-python:\n  run:\n    - command: cp /tools/a /usr/bin/a\n      mounts:\n        - type: bind\n          from: acme/tools:1\n          target: /tools\nrun: run.py:Runner\n",
    );
    folder
}

/// A tag of a lock is what it was when the lock was made, in every form of a plan.
#[test]
fn a_lock_says_what_the_tags_of_images_stand_for() {
    let [base, tools, other] = ["1", "2", "3"].map(|digit| format!("sha256:{}", digit.repeat(64)));
    // However the names are spelled.
    let folder = locked_images(&[
        ("docker.io/library/python:3.12-slim", &base),
        ("acme/tools:1", &tools),
        ("acme/unused:1", &other),
    ]);
    let pinned = [
        format!("python:3.12-slim@{base}"),
        format!("acme/tools:1@{tools}"),
    ];
    let plan = |arguments: &[&str]| {
        let (code, plan, stderr) = run(folder.path(), &[&["plan"], arguments].concat());
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(!plan.contains(&other), "{plan}");
        plan
    };
    let text = plan(&[]);
    assert!(text.contains(&format!("  {}\n", pinned[0])), "{text}");
    let decision = format!("{}, {}\n", pinned[1], pinned[0]);
    assert!(text.contains(&decision), "{text}");
    assert!(text.contains("because `pylock.toml` has them"), "{text}");
    let dockerfile = plan(&["--dockerfile"]);
    for image in &pinned {
        assert!(dockerfile.contains(image), "no {image} in\n{dockerfile}");
    }
    let json: serde_json::Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    assert_eq!(json["digests"]["python:3.12-slim"], base);
    assert_eq!(json["digests"]["acme/tools:1"], tools);
}

/// The lock of another image pins nothing, and says so; a digest that the user names needs none.
#[test]
fn a_lock_of_other_images_is_told() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let folder = locked_images(&[("python:3.12-slim", &digest), ("acme/tools:1", &digest)]);
    let (code, plan, stderr) = run(folder.path(), &["plan", "--base", "python:3.12"]);
    assert_eq!(code, Some(0), "{stderr}");
    for part in [
        "warning: `pylock.toml` has no digest of the image `docker.io/library/python:3.12`, only of `acme/tools:1`, `python:3.12-slim`",
        "--> cog.yaml:3:",
        "`cog-python lock --pin-images`",
    ] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
    assert!(!plan.contains("python:3.12@"), "{plan}");
    let named = format!("python:3.12@{digest}");
    let (code, _, stderr) = run(folder.path(), &["plan", "--base", &named]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn digests_of_a_lock_must_be_some() {
    let folder = locked_images(&[("python:3.12-slim", "sha256:12")]);
    let (code, _, stderr) = run(folder.path(), &["plan"]);
    assert_eq!(code, Some(1), "{stderr}");
    for part in [
        "`sha256:12` is no digest of the image `python:3.12-slim`",
        "--> pylock.toml:7:",
    ] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
}

/// Certificates of the project, and of the command line, are files of the image; programs find them by variables.
#[test]
fn certificates_in_the_image_are_asked_for() {
    let pem =
        |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    let config = |extension: &str| {
        format!("build:\n  python_version: \"3.12\"\nrun: run.py:Runner\n{extension}")
    };
    let plan = |folder: &TempDir, arguments: &[&str]| {
        let (code, plan, stderr) = run(folder.path(), &[&["plan"], arguments].concat());
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        plan
    };
    let plain = model(&config(""), &[]);
    assert!(!plan(&plain, &[]).contains("ca-bundle"));

    let folder = model(&config("x-cog-python:\n  ca_cert: company.pem\n"), &[]);
    let write = |text: &str| fs::write(folder.path().join("company.pem"), text).unwrap();
    write(&format!("of the company\n{}", pem("MAMCAQE=")));
    let text = plan(&folder, &[]);
    for part in [
        "install ca-certificates tini",
        "write /usr/local/share/ca-certificates/cog-python.crt, 63 bytes",
        "(after apt, certificates)",
        "takes over /usr/local/share/cog-python alone",
        "SSL_CERT_FILE=/usr/local/share/cog-python/ca-bundle.crt",
        "REQUESTS_CA_BUNDLE=/usr/local/share/cog-python/ca-bundle.crt",
        "because `x-cog-python.ca_cert` names it",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("UV_NATIVE_TLS"), "{text}");
    let dockerfile = plan(&folder, &["--dockerfile"]);
    for part in [
        "MAMCAQE=",
        "COPY --from=ca-bundle /usr/local/share/cog-python /usr/local/share/cog-python",
        "cat /etc/ssl/certs/ca-certificates.crt",
        "ENV SSL_CERT_FILE=",
    ] {
        assert!(dockerfile.contains(part), "no {part:?} in\n{dockerfile}");
    }

    let both = plan(
        &folder,
        &["--image-ca-cert", &pem("MAMCAQI="), "--dockerfile"],
    );
    assert!(
        both.contains("MAMCAQE=") && both.contains("MAMCAQI="),
        "{both}"
    );
    let named = plan(&plain, &["--image-ca-cert", &pem("MAMCAQI=")]);
    assert!(named.contains("ca-bundle"), "{named}");

    write("-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n");
    let (code, _, stderr) = run(folder.path(), &["plan"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("there is a private key on line 1"),
        "{stderr}"
    );
    assert!(stderr.contains("--> cog.yaml:5:"), "{stderr}");
    fs::remove_file(folder.path().join("company.pem")).unwrap();
    let (_, _, stderr) = run(folder.path(), &["plan"]);
    assert!(
        stderr.contains("certificate file `company.pem` does not exist"),
        "{stderr}"
    );
    let (_, _, stderr) = run(plain.path(), &["plan", "--image-ca-cert", "none.pem"]);
    assert!(stderr.contains("--image-ca-cert"), "{stderr}");
}

/// An artifact is fetched by a step, with the Python of the base; an image is copied from.
#[test]
fn weights_of_an_artifact_are_fetched_by_a_step() {
    let reference = format!("registry.example.com/team/w@sha256:{}", "b".repeat(64));
    let uri = format!("oci+artifact://{reference}#parts");
    let folder = project(&[&uri]);
    let plan = |arguments: &[&str]| {
        let arguments = [&["plan", "--include-weights"], arguments].concat();
        let (code, text, stderr) = run(folder.path(), &arguments);
        assert_eq!(code, Some(0), "{stderr}");
        text
    };
    let told = format!("copy {uri} to /weights/0 alone  (after base)");
    let text = plan(&[]);
    assert!(text.contains(&told), "no {told:?} in\n{text}");
    let dockerfile = plan(&["--dockerfile"]);
    for part in [
        "--mount=type=secret,id=DOCKER_AUTH_CONFIG,env=DOCKER_AUTH_CONFIG ",
        "\"/weights/0\",\"parts\",\"--include\",\"*.bin\"]",
    ] {
        assert!(dockerfile.contains(part), "no {part:?} in\n{dockerfile}");
    }
    let folder = project(&["oci+artifact://registry.example.com/team/w:1"]);
    let (code, _, stderr) = run(folder.path(), &["plan", "--include-weights"]);
    assert_eq!(code, Some(1), "{stderr}");
    let hint =
        "write the digest behind the name: `oci+artifact://registry.example.com/team/w:1@sha256:…`";
    assert!(stderr.contains(hint), "{stderr}");
}

#[test]
fn what_is_stripped_is_told() {
    let config =
        "build:\n  python_version: \"3.12\"\n  python_packages: [six]\nrun: run.py:Runner\n";
    let folder = model(config, &[]);
    let plan = |arguments: &[&str]| {
        let (code, text, stderr) = run(folder.path(), &[&["plan"], arguments].concat());
        assert_eq!(code, Some(0), "{stderr}");
        text
    };
    let told = "in layers of their own, stripped";
    assert!(plan(&["--strip"]).contains(told));
    assert!(plan(&["--strip", "--precompile"]).contains("own, compiled, stripped"));
    assert!(!plan(&[]).contains("stripped"));
    // Binutils are in a stage that only packages are taken from.
    let dockerfile = plan(&["--dockerfile", "--strip"]);
    for part in [
        "FROM base AS wheels-unstripped\n",
        "\nFROM base AS wheels\n",
        "COPY --from=wheels-unstripped /opt/venv /opt/venv\n",
        "\"--no-install-recommends\",\"--\",\"binutils\"]",
        "COPY --from=wheels /opt/venv /opt/venv\n",
    ] {
        assert_eq!(
            dockerfile.matches(part).count(),
            1,
            "{part:?} in\n{dockerfile}"
        );
    }
    let settings = dockerfile.matches("FROM scratch AS apt-settings\n").count();
    assert_eq!(settings, 1, "{dockerfile}");
    assert!(!plan(&["--dockerfile"]).contains("binutils"));
}

#[test]
fn base_images_of_cog_are_taken_from_another_registry() {
    let folder = project(&[]);
    let plan = |arguments: &[&str]| {
        run(
            folder.path(),
            &[&["plan", "--use-cog-base-image"], arguments].concat(),
        )
    };
    for (registry, expected) in [
        ("", "r8.im/cog-base:python3.12"),
        ("ghcr.io/acme/cog", "ghcr.io/acme/cog/cog-base:python3.12"),
        ("localhost:5000", "localhost:5000/cog-base:python3.12"),
    ] {
        let (code, text, stderr) = plan(&["--registry", registry]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    for wrong in ["acme", "https://ghcr.io", "ghcr.io:"] {
        let (code, _, stderr) = plan(&["--registry", wrong]);
        assert_eq!(code, Some(2), "{wrong}");
        assert!(stderr.contains("must be a host such as"), "{stderr}");
    }
}
