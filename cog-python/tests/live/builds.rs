//! What a build makes, and what it does again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cog_python::ca;
use llb::sh;
use llb::{scratch, secret};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{ENGINES, Project, Run, Testbed, get, listing, push, unique};

#[test]
fn the_image_runs_the_model_and_says_what_it_is() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.run(&["build"]).succeeded();
        let tag = project.tag.clone();
        let image = project.docker(async |docker| docker.inspect_image(&tag).await.unwrap());
        let config = image.config.unwrap();
        assert_eq!(config.entrypoint.unwrap(), ["/usr/bin/tini", "--"]);
        assert_eq!(config.cmd.unwrap(), ["python", "-m", "cog.server.http"]);
        assert_eq!(config.working_dir.unwrap(), "/src");
        let environment = config.env.unwrap();
        assert!(
            environment[0].starts_with("PATH=/opt/venv/bin:/usr/local/bin:"),
            "{environment:?}"
        );
        assert!(environment.contains(&"COG_PREDICT_TYPE_STUB=run.py:Runner".to_owned()));
        assert!(
            environment.contains(&"LANG=C.UTF-8".to_owned()),
            "{environment:?}"
        );
        let labels = config.labels.unwrap();
        assert_eq!(labels["run.cog.version"], "0.23.1");
        let packages: Vec<&str> = labels["run.cog.pip_freeze"].lines().collect();
        assert!(
            packages.is_sorted_by_key(|line| line.to_lowercase()),
            "{packages:?}"
        );
        assert!(packages.contains(&"cog==0.23.1"), "{packages:?}");
        assert!(packages.contains(&"humanize==4.17.0"), "{packages:?}");
        assert!(
            !packages.iter().any(|line| line.starts_with("pip=")),
            "{packages:?}"
        );
        assert!(labels["run.cog.openapi_schema"].starts_with("{\"openapi\":\"3.0.2\""));
        assert!(labels["run.cog.config"].starts_with("{\"build\":{\"python_version\":\"3.11\""));
    }
}

/// Certificates of the project are joined with those of the base, in files without a time of their own.
#[test]
fn certificates_of_the_project_are_in_the_image() {
    const OWN: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    for engine in ENGINES {
        let project = Project::new(engine);
        let folder = project.folder.path();
        fs::write(folder.join("company.pem"), OWN).unwrap();
        let config = fs::read_to_string(folder.join("cog.yaml")).unwrap();
        let config = format!("{config}\nx-cog-python:\n  ca_cert: company.pem\n");
        fs::write(folder.join("cog.yaml"), config).unwrap();
        for backend in ["llb", "dockerfile"] {
            let archive = folder.with_extension("tar");
            let output = format!("type=tar,dest={}", archive.display());
            let build = project.run(&["build", "--backend", backend, "-o", &output]);
            build.succeeded();
            let mut found = BTreeMap::new();
            let mut files = tar::Archive::new(fs::File::open(&archive).unwrap());
            for entry in files.entries().unwrap() {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().into_owned();
                let is_bundle = path.extension().is_some_and(|name| name == "crt");
                if !path.starts_with("usr/local/share") || !is_bundle {
                    continue;
                }
                let path = path.to_string_lossy().into_owned();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                let (mode, time) = (entry.header().mode(), entry.header().mtime());
                found.insert(path, (text, mode.unwrap() & 0o7777, time.unwrap()));
            }
            fs::remove_file(&archive).unwrap();
            let (own, mode, _) = &found["usr/local/share/ca-certificates/cog-python.crt"];
            assert_eq!((own.as_str(), *mode), (OWN, 0o644));
            let (bundle, mode, time) = &found["usr/local/share/cog-python/ca-bundle.crt"];
            assert_eq!(*mode, 0o644);
            assert!(bundle.ends_with(OWN), "{bundle}");
            assert!(bundle.matches("BEGIN CERTIFICATE").count() > 10, "{bundle}");
            if backend == "llb" {
                assert_eq!(*time, 0);
            }
        }
        project.run(&["build"]).succeeded();
        let environment = project.config(&project.tag)["Env"].to_string();
        let variable = "SSL_CERT_FILE=/usr/local/share/cog-python/ca-bundle.crt";
        assert!(environment.contains(variable), "{environment}");
    }
}

/// The umask of a checkout decides about the layer of the project, unless fixed modes are asked for.
#[test]
fn modes_of_the_project_can_be_fixed() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let archive = project.folder.path().with_extension("tar");
        let output = format!("type=tar,dest={}", archive.display());
        let mode = |bits: u32, arguments: &[&str]| {
            let file = project.folder.path().join("run.py");
            fs::set_permissions(file, fs::Permissions::from_mode(bits)).unwrap();
            let build = [&["build", "-o", &output], arguments].concat();
            project.run(&build).succeeded();
            let files = listing(&archive);
            fs::remove_file(&archive).unwrap();
            files["src/run.py"].split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(mode(0o640, &[]), "640");
        for bits in [0o640, 0o664] {
            assert_eq!(mode(bits, &["--fixed-modes"]), "644");
        }
        assert_eq!(mode(0o710, &["--fixed-modes"]), "755");
    }
}

/// With the proxy that no tool asks for a package.
#[test]
fn steps_get_the_proxies_of_the_docker_configuration_and_those_of_the_environment_before_them() {
    let project = Project::new("containerd");
    let docker = TempDir::new().unwrap();
    let config = r#"{"proxies": {"default": {"ftpProxy": "http://configured.example:1"}}}"#;
    fs::write(docker.path().join("config.json"), config).unwrap();
    let cog_yaml = project.folder.path().join("cog.yaml");
    let given = fs::read_to_string(&cog_yaml).unwrap();
    for (flag, expected) in [
        (None, "configured"),
        (Some("--proxy"), "from-the-environment"),
    ] {
        let check = format!(
            "  run:\n    - echo {0}; test \"$FTP_PROXY $ftp_proxy\" = \"{1} {1}\"\n",
            unique(),
            format_args!("http://{expected}.example:1")
        );
        fs::write(&cog_yaml, given.replace("  run:\n", &check)).unwrap();
        let arguments = ["build"].into_iter().chain(flag).collect::<Vec<_>>();
        let output = project
            .command(&arguments)
            .env("DOCKER_CONFIG", docker.path())
            .env("FTP_PROXY", "http://from-the-environment.example:1")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn a_change_rebuilds_what_it_changes() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.run(&["build"]).succeeded();
        let steps = ["apt(", "venv ", "lock: ", "wheels: ", "run("];
        let is_cached = |again: &Run| !steps.iter().any(|step| again.ran(step));
        project.runs_alone();
        let again = project.run(&["build"]).succeeded();
        assert!(is_cached(&again), "on {engine}\n{}", again.stderr);
        assert!(again.cached() >= 4, "{}", again.stderr);

        // What no earlier run has built.
        let unique = unique();
        let before = project.layers(&project.tag);
        project.edit("run.py", "The sum is", &format!("The total ({unique}) is"));
        let source = project.run(&["build"]).succeeded();
        assert_ne!(project.layers(&project.tag), before, "{}", source.stderr);
        assert!(is_cached(&source), "on {engine}\n{}", source.stderr);
        let predicted = project.run(&["predict", "-i", "name=you"]).succeeded();
        let expected = format!("Hello, you! The total ({unique}) is 3,000.\n");
        assert_eq!(predicted.stdout, expected);

        let before = project.layers(&project.tag);
        let requirement = format!("humanize==4.16.0; python_full_version != '0.{unique}'");
        project.edit("requirements.txt", "humanize==4.17.0", &requirement);
        let requirement = project.run(&["build"]).succeeded();
        assert_ne!(
            project.layers(&project.tag),
            before,
            "{}",
            requirement.stderr
        );
        // The group of the changed wheel, unless an earlier run has left it, and no other.
        let installed = requirement.steps_run("wheels: ");
        assert!(installed.len() <= 1, "{}", requirement.stderr);
        assert!(
            installed.iter().all(|name| name.contains("humanize")),
            "{installed:?}"
        );
        assert!(
            !requirement.ran("apt(") && !requirement.ran("venv "),
            "{}",
            requirement.stderr
        );
    }
}

#[test]
fn secrets_reach_their_step_and_nothing_else() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "    - mkdir -p /etc/hello && printf 'Hello' > /etc/hello/greeting",
            "    - command: test \"$(cat /run/secrets/word)\" = hunter2 && mkdir /etc/hello && printf Hi > /etc/hello/greeting\n      mounts: [{type: secret, id: word, target: /run/secrets/word}]",
        );
        let mut command = project.command(&["build", "--secret", "id=word,env=WORD"]);
        let output = command.env("WORD", "hunter2").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let archive = project
            .folder
            .path()
            .join("../")
            .join(format!("{}.tar", project.tag));
        let mut command = project.command(&["build", "--secret", "id=word,env=WORD"]);
        command.args(["-o", &format!("type=tar,dest={}", archive.display())]);
        assert!(command.env("WORD", "hunter2").status().unwrap().success());
        let files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        assert!(files.contains_key("etc/hello/greeting"));
        assert!(
            !files.keys().any(|path| path.starts_with("run/secrets")),
            "{engine}"
        );
    }
}

#[test]
fn uv_brings_its_own_python() {
    let testbed = Testbed::find();
    let image = |name: &str| {
        testbed
            .0
            .pointer(name)
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    };
    // The uv program from PyPI, as an image such as its makers publish.
    let bundle = secret(ca::BUNDLE_PATH).id(ca::BUNDLE_SECRET).optional();
    let install = sh("pip install --target /uv uv==0.9.26")
        .network(llb::Network::Host)
        .mount(bundle)
        .mount(secret(ca::PATH_SECRET).as_env("PIP_CERT").optional());
    let program = llb::image("python:3.11-slim").run(install);
    let uv = push(
        &testbed,
        "containerd",
        "uv:1",
        &scratch().copy(program, "/uv/bin/uv", "/uv"),
    );
    // A base with the testbed's Python builds: those of uv's own list are not needed.
    let builds = llb::image(image("/uv_python/image"));
    let folder = image("/uv_python/mount");
    let base = llb::image("debian:bookworm-slim").copy(builds, "/", folder);
    let base = push(&testbed, "containerd", "debian-with-python-builds:1", &base);
    for engine in ENGINES {
        let project = Project::new(engine);
        let run = project.run(&[
            "predict",
            "-i",
            "name=uv",
            "--python-provider",
            "uv",
            "--uv-image",
            &uv,
            "--base",
            &base,
            "--uv-downloads",
            &image("/uv_python/lists/bookworm/mounted_downloads_url"),
        ]);
        assert_eq!(run.succeeded().stdout, "Hello, uv! The sum is 3,000.\n");
    }
}

#[test]
fn archives_and_folders_are_written() {
    let project = Project::new("containerd");
    let folder = TempDir::with_prefix("cog-python-out-").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let outputs = [
        format!("type=oci,dest={}", path("oci.tar")),
        format!("type=docker,dest={}", path("docker.tar")),
    ];
    let run = project
        .run(&["build", "-o", &outputs[0], "-o", &outputs[1]])
        .succeeded();
    assert_eq!(
        run.stdout,
        format!("{}\n{}\n", path("oci.tar"), path("docker.tar"))
    );
    assert!(listing(Path::new(&path("oci.tar"))).contains_key("index.json"));
    assert!(listing(Path::new(&path("docker.tar"))).contains_key("manifest.json"));
}

#[test]
fn several_names_annotations_and_metadata_are_written() {
    let registry = Testbed::find().registry();
    let project = Project::new("containerd");
    let other = format!("{registry}/cog-python-test/{}:other", project.tag);
    let run = project.run(&[
        "build",
        "-t",
        &other,
        "-o",
        "type=oci,dest=image.tar",
        "--load",
        "--metadata-file",
        "build.json",
        "--iidfile",
        "image.id",
        "--timestamp",
        "1700000000",
        "--annotation",
        "org.example.a=b",
    ]);
    let run = run.succeeded();
    let folder = project.folder.path();
    let metadata: Value =
        serde_json::from_slice(&fs::read(folder.join("build.json")).unwrap()).unwrap();
    let digest = metadata["containerimage.digest"].as_str().unwrap();
    let build = &metadata["cog-python.build"];
    assert_eq!(build["digest"], digest);
    assert_eq!(build["backend"], "llb");
    assert_eq!(fs::read_to_string(folder.join("image.id")).unwrap(), digest);
    assert_eq!(
        run.stdout,
        format!("image.tar\n{other}@{digest}\n{}@{digest}\n", project.tag)
    );
    let mut manifest = None;
    let mut archive = tar::Archive::new(fs::File::open(folder.join("image.tar")).unwrap());
    for entry in archive.entries().unwrap() {
        let document: Option<Value> = serde_json::from_reader(entry.unwrap()).ok();
        manifest = manifest.or(document.filter(|document| document["layers"].is_array()));
    }
    let annotations = manifest.unwrap()["annotations"].clone();
    assert_eq!(annotations["org.example.a"], "b");
    assert_eq!(
        annotations["org.opencontainers.image.created"],
        "2023-11-14T22:13:20Z"
    );
    let base = annotations["org.opencontainers.image.base.name"]
        .as_str()
        .unwrap();
    assert_eq!(base, "docker.io/library/python:3.11-slim");
    project.remove(&other);
}

#[test]
fn an_image_says_the_time_that_it_is_given() {
    for engine in ENGINES {
        let project = Project::new(engine);
        for seconds in [1_700_000_000, 0] {
            let seconds_text = seconds.to_string();
            project
                .run(&["build", "--timestamp", &seconds_text])
                .succeeded();
            let image = project.docker(async |docker| docker.inspect_image(&project.tag).await);
            let created = serde_json::to_value(image.unwrap().created).unwrap();
            let expected = match seconds {
                0 => "1970-01-01T00:00:00Z",
                _ => "2023-11-14T22:13:20Z",
            };
            assert_eq!(created, expected, "on {engine}");
            // What is read of the image does not make another one of it.
            let labels = project.labels(&project.tag);
            assert!(labels["run.cog.pip_freeze"].contains("humanize==4.17.0"));
        }
    }
}

#[test]
fn nothing_that_steps_were_lent_is_left() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let root = project.folder.path();
        let (file, content) = crate::server::wheel("lent", "1.0", "VALUE = 1\n");
        fs::write(root.join(&file), content).unwrap();
        let requirements = format!("./{file}\nhumanize==4.17.0\nnumpy>=2.0,<3\n");
        fs::write(root.join("requirements.txt"), requirements).unwrap();
        let archive = root.with_extension("tar");
        let output = format!("type=tar,dest={}", archive.display());
        project.run(&["build", "-o", &output]).succeeded();
        let files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        let left: Vec<&String> = files
            .keys()
            .filter(|path| {
                let folders = ["tmp/", "run/cog-python", "var/tmp/", "root/.cache"];
                folders
                    .iter()
                    .any(|folder| path.len() > folder.len() && path.starts_with(folder))
            })
            .collect();
        assert!(left.is_empty(), "on {engine}: {left:?}");
        let of_name = |name: &str| files.keys().filter(|path| path.ends_with(name)).count();
        // The project itself is there, and the module.
        assert_eq!(of_name("requirements.txt"), 1, "on {engine}");
        assert_eq!((of_name(&file), of_name("lent.py")), (1, 1), "on {engine}");
    }
}

#[test]
fn the_size_of_every_layer_is_told() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let run = project.run(&["build", "--size-report", "--metadata-file", "build.json"]);
        let run = run.succeeded();
        let report = run.stdout.split_once('\n').unwrap().1;
        assert!(report.starts_with("Size for linux/amd64: "), "{report}");
        let forecast = report.lines().last().unwrap();
        assert!(
            forecast.contains(" wheels to fetch; the layers of /opt/venv are "),
            "{report}"
        );
        assert!(!forecast.ends_with(" 0.0 kB"), "{report}");
        let text = fs::read(project.folder.path().join("build.json")).unwrap();
        let metadata: Value = serde_json::from_slice(&text).unwrap();
        let size = &metadata["cog-python.build"]["sizes"][0];
        assert_eq!(size["measure"], "files");
        let layers = size["layers"].as_array().unwrap();
        let bytes = layers.iter().map(|layer| layer["bytes"].as_u64().unwrap());
        assert_eq!(size["bytes"].as_u64().unwrap(), bytes.sum::<u64>());
        // One line for each, between the first one and the forecast.
        assert_eq!(report.lines().count(), layers.len() + 2, "{report}");
    }
}

#[test]
fn the_size_of_every_blob_of_an_archive_is_told() {
    let project = Project::new("containerd");
    let run = project.run(&[
        "build",
        "--size-report",
        "--json",
        "-o",
        "type=oci,dest=image.tar",
    ]);
    let build: Value = serde_json::from_str(&run.succeeded().stdout).unwrap();
    let size = &build["sizes"][0];
    assert_eq!(size["platform"], "linux/amd64");
    assert_eq!(size["measure"], "blob");
    let mut blobs = BTreeMap::new();
    let archive = project.folder.path().join("image.tar");
    let mut archive = tar::Archive::new(fs::File::open(archive).unwrap());
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if let Some(blob) = path.strip_prefix("blobs/sha256/") {
            blobs.insert(format!("sha256:{blob}"), entry.size());
        }
    }
    let layers = size["layers"].as_array().unwrap();
    for layer in layers {
        let digest = layer["digest"].as_str().unwrap();
        assert_eq!(
            blobs.get(digest).copied(),
            layer["bytes"].as_u64(),
            "{layer}"
        );
    }
    let name = |layer: &Value| layer["name"].as_str().unwrap().to_owned();
    let numpy = layers
        .iter()
        .filter(|layer| name(layer).contains("/w/numpy-"));
    assert_eq!(numpy.count(), 1, "{size}");
}

#[test]
fn a_secret_of_another_version_runs_its_steps_again() {
    let project = Project::new("containerd");
    let unique = unique();
    project.edit(
        "cog.yaml",
        "    - mkdir",
        &format!("    - command: echo {unique}\n      mounts: [{{type: secret, id: token, target: /run/secrets/token}}]\n    - mkdir"),
    );
    let ran = |value: &str, version: &str| {
        fs::write(project.folder.path().join("token"), value).unwrap();
        let secret = format!("id=token,src=token{version}");
        project
            .run(&["build", "--secret", &secret])
            .succeeded()
            .printed(&unique.to_string())
    };
    assert!(ran("one", ""));
    assert!(!ran("two", ""), "the value decides nothing");
    assert!(ran("two", ",version=2"));
    assert!(!ran("three", ",version=2"));
}

/// A type that only running the code can tell.
const COMPUTED: &str = r#"from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, count: eval("int") = Input(default=3)) -> str:
        return "x" * count
"#;

#[test]
fn a_model_tells_the_schema_that_its_signature_does_not() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let write = |name: &str, text: &str| {
            fs::write(project.folder.path().join(name), text).unwrap();
        };
        write("predict.py", COMPUTED);
        write(
            "cog.yaml",
            "build:\n  python_version: \"3.11\"\n  sdk_version: \"0.16.12\"\npredict: predict.py:Predictor\n",
        );
        project.run(&["build"]).succeeded();
        let schema: Value =
            serde_json::from_str(&project.labels(&project.tag)["run.cog.openapi_schema"]).unwrap();
        let count = &schema["components"]["schemas"]["Input"]["properties"]["count"];
        assert_eq!(count["default"], 3);
        let run = project.run(&["predict", &project.tag]).succeeded();
        assert_eq!(run.stdout, "xxx\n", "{}", run.stderr);

        write(
            "predict.py",
            &COMPUTED.replace("eval(\"int\")", "eval(\"nothing\")"),
        );
        let run = project.run(&["build"]);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains("NameError"), "{}", run.stderr);
        assert!(
            run.stderr.contains("ask the model for its OpenAPI schema"),
            "{}",
            run.stderr
        );
    }
}

/// `--push` sends an image; who wants it in the engine, too, says so. A graph driver has images nowhere else.
#[test]
fn what_is_only_pushed_is_in_the_registry() {
    let testbed = Testbed::find();
    for engine in ENGINES {
        let mut project = Project::new(engine);
        let name = format!("cog-python-test/sent-{}", project.tag);
        project.tag = format!("{}/{name}", testbed.registry());
        let run = project.run(&["build", "--push", "--size-report", "--json"]);
        let run = run.succeeded();
        let build: Value = serde_json::from_str(&run.stdout).unwrap();
        let sizes = build["sizes"][0]["layers"].as_array().unwrap();
        let manifest = get(&testbed, &format!("/v2/{name}/manifests/latest"));
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(sizes.len(), layers.len(), "on {engine}\n{build:#}");
        assert_eq!(project.has(&project.tag), engine == "graphdriver");

        project.run(&["build", "--push", "--load"]).succeeded();
        assert!(project.has(&project.tag), "{engine}");
    }
}
