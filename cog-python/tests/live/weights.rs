//! Weights of cog.yaml in the image, from everywhere they may come from.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::support::{ENGINES, Project, Testbed, digest, listing, push, unique};

/// A commit of the repository that the test serves.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Files of that repository.
const FILES: [(&str, &str); 3] = [
    ("model.bin", "weights of the hub"),
    ("parts/more.bin", "more of them"),
    ("README.md", "nothing that a model needs"),
];

/// Answers as Hugging Face does, for one public repository: what is in a commit, and its files. Gives the address.
fn hub() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the tests.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = answer(stream);
            });
        }
    });
    address
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = request.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("");
    let file = path
        .strip_prefix(&format!("/acme/tiny/resolve/{COMMIT}/"))
        .and_then(|name| FILES.iter().find(|(known, _)| *known == name));
    let (status, kind, body) = if path == format!("/api/models/acme/tiny/revision/{COMMIT}") {
        let files: Vec<_> = FILES
            .iter()
            .map(|(name, _)| serde_json::json!({"rfilename": name}))
            .collect();
        let answer = serde_json::json!({
            "id": "acme/tiny", "modelId": "acme/tiny", "sha": COMMIT, "private": false,
            "downloads": 0, "likes": 0, "tags": [], "siblings": files,
        });
        ("200 OK", "application/json", answer.to_string())
    } else if let Some((_, text)) = file {
        ("200 OK", "application/octet-stream", (*text).to_owned())
    } else {
        ("404 Not Found", "text/plain", String::new())
    };
    let tag = file.map_or(String::new(), |(name, _)| {
        format!("ETag: \"{}\"\r\n", name.replace('/', "-"))
    });
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{tag}X-Repo-Commit: {COMMIT}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}

/// Paths of an image below its weights, with their sizes.
fn weights(project: &Project, arguments: &[&str]) -> BTreeMap<String, String> {
    let output = project.folder.path().join("out.tar");
    let target = format!("type=tar,dest={}", output.display());
    let arguments = [&["build", "--include-weights", "-o", &target], arguments].concat();
    project.run(&arguments).succeeded();
    let files = listing(&output).into_iter();
    let files =
        files.filter(|(path, text)| path.starts_with("weights/") && text.starts_with("Regular"));
    let size = |text: &str| text.split(' ').nth(2).unwrap().to_owned();
    files.map(|(path, text)| (path, size(&text))).collect()
}

#[test]
fn weights_of_every_origin_are_in_the_image() {
    let hub = hub();
    for engine in ENGINES {
        let project = Project::new(engine);
        let folder = project.folder.path();
        let config = format!(
            r#"build:
  python_version: "3.11"
model: registry.example.com/acme/model
weights:
  - name: folder
    target: /weights/folder
    source: {{uri: "file://models", include: ["**/*.bin"], exclude: ["**/skipped.bin"]}}
  - name: file
    target: /weights/file
    source: {{uri: models/one.bin}}
  - name: web
    target: /weights/web
    source: {{uri: "https://files.pythonhosted.org/packages/b7/ce/149a00dd41f10bc29e5921b496af8b574d8413afcd5e30dfa0ed46c2cc5e/six-1.17.0-py2.py3-none-any.whl#sha256=4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"}}
  - name: hub
    target: /weights/hub
    source: {{uri: "hf://acme/tiny@{COMMIT}", include: ["*.bin"]}}
run: run.py:Runner
"#
        );
        fs::write(folder.join("cog.yaml"), config).unwrap();
        fs::write(folder.join(".dockerignore"), "out.tar\nhub.txt\n").unwrap();
        fs::write(folder.join("hub.txt"), &hub).unwrap();
        fs::create_dir_all(folder.join("models/deep")).unwrap();
        let word = unique().to_string();
        for name in ["one.bin", "deep/two.bin", "deep/skipped.bin", "notes.txt"] {
            fs::write(folder.join("models").join(name), &word).unwrap();
        }
        let size = word.len().to_string();
        let expected = [
            ("weights/file/one.bin", &*size),
            ("weights/folder/deep/two.bin", &*size),
            ("weights/folder/one.bin", &*size),
            ("weights/hub/model.bin", "18"),
            ("weights/hub/parts/more.bin", "12"),
            ("weights/web/six-1.17.0-py2.py3-none-any.whl", "11050"),
        ];
        let expected: BTreeMap<String, String> = expected
            .iter()
            .map(|(path, size)| ((*path).to_owned(), (*size).to_owned()))
            .collect();
        let secret = ["--secret", "id=HF_ENDPOINT,src=hub.txt"];
        assert_eq!(weights(&project, &secret), expected, "{engine}");
        // The other backend gives the same; it takes uv from an image, which the testbed has not.
        let config = fs::read_to_string(folder.join("cog.yaml")).unwrap();
        let (before, after) = config.split_once("  - name: hub").unwrap();
        let after = &after[after.find("run: ").unwrap()..];
        fs::write(folder.join("cog.yaml"), format!("{before}{after}")).unwrap();
        let built = weights(&project, &["--backend", "dockerfile"]);
        let without_hub = expected.into_iter();
        let without_hub: BTreeMap<String, String> = without_hub
            .filter(|(path, _)| !path.starts_with("weights/hub"))
            .collect();
        assert_eq!(built, without_hub, "{engine}, from a Dockerfile");
    }
}

/// An image is a place for weights, too: nothing of it is run.
#[test]
fn weights_of_an_image_are_copied() {
    let testbed = Testbed::find();
    for engine in ENGINES {
        let number = unique();
        let files = llb::scratch()
            .file(llb::file::mkdir("/models/base", 0o755).parents())
            .file(llb::file::mkfile(
                "/models/base/w.bin",
                0o644,
                number.to_string(),
            ))
            .file(llb::file::mkfile("/models/base/README.md", 0o644, "none"))
            .file(llb::file::mkfile("/other.bin", 0o644, "none"));
        push(&testbed, "containerd", &format!("weights:{number}"), &files);
        let digest = digest(
            &testbed,
            &format!("/v2/cog-python-test/weights/manifests/{number}"),
        );
        let image = format!("{}/cog-python-test/weights@{digest}", testbed.registry());
        let project = Project::new(engine);
        let config = format!(
            "build:\n  python_version: \"3.11\"\nmodel: registry.example.com/acme/model\nrun: run.py:Runner\n\
             weights:\n  - name: base\n    target: /src/weights\n    source:\n      uri: \"oci://{image}#models/base\"\n      exclude: [README.md]\n"
        );
        fs::write(project.folder.path().join("cog.yaml"), config).unwrap();
        let archive = project.folder.path().join("image.tar");
        let output = format!("type=tar,dest={}", archive.display());
        let run = project.run(&["build", "--include-weights", "-o", &output]);
        let run = run.succeeded();
        let files = listing(&archive);
        let below: Vec<&str> = files
            .keys()
            .map(String::as_str)
            .filter(|path| path.starts_with("src/weights/"))
            .collect();
        assert_eq!(below, ["src/weights/w.bin"], "{}", run.stderr);
        let size = number.to_string().len();
        assert_eq!(files["src/weights/w.bin"], format!("Regular 644 {size} "));
    }
}

/// What was built is known by the cache of the builder, not by a file beside the project.
#[test]
fn weights_come_back_with_an_image_that_was_removed() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let path = project.folder.path().join("weights/model.bin");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().set_len(11 << 20).unwrap();
        let build = ["build", "--separate-weights"];
        project.run(&build).succeeded();
        let layers = project.layers(&project.tag);
        project.remove(&project.tag);
        project.run(&build).succeeded();
        assert_eq!(project.layers(&project.tag), layers, "on {engine}");
    }
}
