//! Weights from OCI artifacts, which are no images: on both engines and by both backends.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::{Answer, Server};
use crate::support::{ENGINES, Project, listing, unique};

fn digest(content: &[u8]) -> String {
    let digits = Sha256::digest(content);
    let digits: Vec<String> = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", digits.concat())
}

/// A registry with one artifact, for who has a login. It asks for tokens, as registries do.
struct Registry {
    address: String,
    /// Of the artifact.
    digest: String,
    _server: Server,
}

impl Registry {
    /// Files have the names that layers tell of; one without a name is that of an image.
    fn with(files: &[(Option<&str>, String)]) -> Self {
        let layers = files.iter().map(|(name, content)| {
            let about = name.map(|name| json!({"org.opencontainers.image.title": name}));
            json!({
                "mediaType": "application/vnd.acme.weights", "digest": digest(content.as_bytes()),
                "size": content.len(), "annotations": about,
            })
        });
        let empty = "application/vnd.oci.empty.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.acme.model",
            "config": {"mediaType": empty, "digest": digest(b"{}"), "size": 2},
            "layers": layers.collect::<Vec<Value>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let name = digest(&manifest);
        let mut known: BTreeMap<String, Vec<u8>> = files
            .iter()
            .map(|(_, content)| {
                let address = format!("/v2/team/w/blobs/{}", digest(content.as_bytes()));
                (address, content.as_bytes().to_vec())
            })
            .collect();
        known.insert(format!("/v2/team/w/manifests/{name}"), manifest);
        let place: Arc<OnceLock<String>> = Arc::default();
        let own = Arc::clone(&place);
        let server = Server::start(move |request| {
            let given = request.authorization.as_deref();
            if request.target == "/token?service=acme&scope=repository%3Ateam%2Fw%3Apull" {
                let login = format!("Basic {}", BASE64_STANDARD.encode("me:hunter2"));
                return match given {
                    Some(given) if given == login => {
                        Answer::found(b"{\"token\":\"pass\"}".to_vec())
                    }
                    _ => Answer::unauthorized(),
                };
            }
            match known.get(&request.target) {
                _ if given != Some("Bearer pass") => Answer::challenge(&format!(
                    "Bearer realm=\"http://{}/token\",service=\"acme\",scope=\"repository:team/w:pull\"",
                    own.wait()
                )),
                Some(content) => Answer::found(content.clone()),
                None => Answer::missing(),
            }
        });
        let address = server.address.to_string();
        place.set(address.clone()).unwrap();
        Self {
            address,
            digest: name,
            _server: server,
        }
    }

    /// Has a project take the artifact, with what is behind it in its address, and a login.
    fn lend(&self, project: &Project, rest: &str) {
        let folder = project.folder.path();
        let address = format!("{}/team/w@{}{rest}", self.address, self.digest);
        let config = format!(
            "build:\n  python_version: \"3.11\"\nmodel: registry.example.com/acme/model\nrun: run.py:Runner\n\
             weights:\n  - name: base\n    target: /src/weights\n    source: {{uri: \"oci+artifact://{address}\", exclude: [\"*.md\"]}}\n"
        );
        fs::write(folder.join("cog.yaml"), config).unwrap();
        let auth = BASE64_STANDARD.encode("me:hunter2");
        let logins = json!({"auths": {&self.address: {"auth": auth}}});
        fs::write(folder.join("logins.json"), logins.to_string()).unwrap();
        fs::write(folder.join(".dockerignore"), "logins.json\nimage.tar\n").unwrap();
    }
}

const LOGINS: [&str; 2] = ["--secret", "id=DOCKER_AUTH_CONFIG,src=logins.json"];

/// What an image has below its weights.
fn built(project: &Project, arguments: &[&str]) -> BTreeMap<String, String> {
    let archive = project.folder.path().join("image.tar");
    let output = format!("type=tar,dest={}", archive.display());
    let command = ["build", "--include-weights", "-o", &output];
    let run = project.run(&[&command, &LOGINS[..], arguments].concat());
    run.succeeded();
    let files = listing(&archive).into_iter();
    files
        .filter(|(path, text)| path.starts_with("src/weights/") && text.starts_with("Regular"))
        .collect()
}

#[test]
fn files_of_an_artifact_are_weights() {
    for engine in ENGINES {
        let word = unique().to_string();
        let files = [
            (Some("model.bin"), word.clone()),
            (Some("parts/deep/more.bin"), format!("{word} more")),
            (Some("README.md"), format!("{word} nothing")),
        ];
        let registry = Registry::with(&files);
        let project = Project::new(engine);
        registry.lend(&project, "");
        let size = |more: usize| format!("Regular 644 {} ", word.len() + more);
        let expected = BTreeMap::from([
            ("src/weights/model.bin".to_owned(), size(0)),
            ("src/weights/parts/deep/more.bin".to_owned(), size(5)),
        ]);
        assert_eq!(built(&project, &[]), expected, "{engine}");
        assert_eq!(built(&project, &["--backend", "dockerfile"]), expected);
        registry.lend(&project, "#parts");
        let expected = BTreeMap::from([("src/weights/deep/more.bin".to_owned(), size(5))]);
        assert_eq!(built(&project, &[]), expected, "{engine}");
    }
}

#[test]
fn what_is_no_artifact_of_files_is_refused() {
    let word = unique().to_string();
    for (name, rest, told) in [
        (Some("w.bin"), "#other.bin", "has no other.bin, only: w.bin"),
        (
            Some("../w.bin"),
            "",
            "'../w.bin', which is no path in a folder",
        ),
        (None, "", "the files of an image are taken with `oci://`"),
    ] {
        let registry = Registry::with(&[(name, format!("{word} {rest}"))]);
        let project = Project::new("containerd");
        registry.lend(&project, rest);
        let run = project.run(&[&["build", "--include-weights"], &LOGINS[..]].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
}
