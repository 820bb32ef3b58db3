//! Predictions, and what is left of them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{ENGINES, Project, Testbed, serving, unique};

#[test]
fn the_example_predicts() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let built = project.run(&["build"]).succeeded();
        assert!(
            built
                .stdout
                .starts_with(&format!("{}@sha256:", project.tag)),
            "{}",
            built.stdout
        );
        let predicted = project
            .run(&["predict", "-i", "name=world", "-i", "numbers=1,2,3000"])
            .succeeded();
        assert_eq!(
            predicted.stdout, "Hello, world! The sum is 3,003.\n",
            "{}",
            predicted.stderr
        );
        assert_eq!(project.containers(), 0);
    }
}

#[test]
fn a_model_that_fails_to_set_up_shows_its_traceback() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "run.py",
            "self.greeting = ",
            "raise ValueError('no greeting') #",
        );
        let run = project.run(&["predict", "-i", "name=x", "--progress", "quiet"]);
        assert_eq!(run.code, Some(1));
        assert!(
            run.stderr.contains("the model failed to set up"),
            "{}",
            run.stderr
        );
        assert!(
            run.stderr.contains("ValueError: no greeting"),
            "{}",
            run.stderr
        );
        assert_eq!(project.containers(), 0);
    }
}

#[test]
fn a_prediction_that_fails_says_why() {
    let project = Project::new("containerd");
    project.edit(
        "run.py",
        "total = int(",
        "raise ValueError('no sum')\n        total = int(",
    );
    let run = project.run(&["predict", "-i", "name=x", "--progress", "quiet"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr.contains("error: the prediction failed: "),
        "{}",
        run.stderr
    );
    assert_eq!(project.containers(), 0);
}

#[test]
fn an_interrupted_prediction_leaves_no_container() {
    let project = Project::new("containerd");
    project.edit(
        "run.py",
        "self.greeting = ",
        "import time; time.sleep(600) #",
    );
    project.run(&["build"]).succeeded();
    let _serving = serving();
    let child = project.spawn(&["predict", "-i", "name=x", "--progress", "quiet"]);
    let start = Instant::now();
    while project.containers() == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the container does not start"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: interrupted\n"
    );
    assert_eq!(project.containers(), 0);
}

/// A model with outputs of every kind.
const OUTPUTS: &str = r#"from typing import Iterator

from cog import BaseModel, BaseRunner, ConcatenateIterator, Path


class Runner(BaseRunner):
    def run(self, words: list[str]) -> ConcatenateIterator[str]:
        for word in words:
            yield word + " "


class Files(BaseRunner):
    def run(self, count: int = 2) -> Iterator[Path]:
        for index in range(count):
            path = Path(f"/tmp/{index}.txt")
            path.write_text(str(index))
            yield path


def train(steps: int) -> str:
    print("training")
    return "trained " + str(steps)
"#;

#[test]
fn outputs_of_every_kind_are_shown() {
    let project = Project::new("containerd");
    let write = |name: &str, text: &str| fs::write(project.folder.path().join(name), text).unwrap();
    write("outputs.py", OUTPUTS);
    let config = |run: &str| {
        format!(
            "build:\n  python_version: \"3.11\"\nrun: outputs.py:{run}\ntrain: outputs.py:train\n"
        )
    };
    write("cog.yaml", &config("Runner"));
    let run = project
        .run(&["run", "-i", "words=one", "-i", "words=two"])
        .succeeded();
    assert_eq!(run.stdout, "one two \n", "{}", run.stderr);
    let run = project
        .run(&["predict", "--json", "{\"words\": [\"x\"]}"])
        .succeeded();
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["status"], "succeeded");
    assert_eq!(answer["output"], serde_json::json!(["x "]));
    let run = project.run(&["predict", "-i", "wrods=x"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("did you mean `words`?"),
        "{}",
        run.stderr
    );

    write("cog.yaml", &config("Files"));
    let run = project.run(&["predict", "-o", "number.txt"]).succeeded();
    assert_eq!(run.stdout, "number.0.txt\nnumber.1.txt\n", "{}", run.stderr);
    let second = fs::read_to_string(project.folder.path().join("number.1.txt")).unwrap();
    assert_eq!(second, "1");

    let run = project.run(&["train", "-i", "steps=3"]).succeeded();
    assert!(run.stderr.contains("training"), "{}", run.stderr);
    let weights = fs::read_to_string(project.folder.path().join("weights")).unwrap();
    assert_eq!(weights, "trained 3\n");
    assert_eq!(project.containers(), 0);
}

#[test]
fn a_model_is_taken_from_the_engine_or_its_registry() {
    let registry = Testbed::find().registry();
    for engine in ENGINES {
        let project = Project::new(engine);
        let pushed = format!("{registry}/cog-python-test/{}", project.tag);
        let run = project.run(&["push", &pushed]).succeeded();
        assert!(
            run.stdout.starts_with(&format!("{pushed}@sha256:")),
            "{}",
            run.stdout
        );
        let labels = project.labels(&pushed);
        assert_eq!(labels["run.cog.push_id"].len(), 36);

        let local = project.run(&["predict", &pushed, "-i", "name=here", "--resolve", "local"]);
        let local = local.succeeded();
        assert_eq!(local.stdout, "Hello, here! The sum is 3,000.\n");
        project.remove(&pushed);
        let run = project.run(&["predict", &pushed, "-i", "name=x", "--resolve", "local"]);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains("in the engine"), "{}", run.stderr);
        let remote = project
            .run(&["predict", &pushed, "-i", "name=there"])
            .succeeded();
        assert_eq!(remote.stdout, "Hello, there! The sum is 3,000.\n");
        let told = format!("fetching {pushed}:latest, ");
        assert!(remote.stderr.contains(&told), "{}", remote.stderr);

        let none = format!("{registry}/cog-python-test/none");
        let run = project.run(&["predict", &none]);
        assert!(
            run.stderr.contains("in the engine or in its registry"),
            "{}",
            run.stderr
        );
        let run = project.run(&["predict", "python:3.11-slim", "-i", "name=x"]);
        assert!(run.stderr.contains("is no Cog model"), "{}", run.stderr);
        project.remove(&pushed);
        let other = [
            "predict",
            &pushed,
            "-i",
            "name=x",
            "--platform",
            "linux/arm64",
        ];
        let run = project.run(&other);
        let told = format!("`{pushed}:latest` has no image for linux/arm64");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        assert_eq!(project.containers(), 0);
    }
}

#[test]
fn a_prediction_gives_secrets_to_the_build() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "    - mkdir -p /etc/hello && printf 'Hello' > /etc/hello/greeting",
            "    - command: mkdir /etc/hello && cat /run/secrets/word > /etc/hello/greeting\n      mounts: [{type: secret, id: word, target: /run/secrets/word}]",
        );
        let word = format!("Hello{}", unique());
        fs::write(project.folder.path().join("word"), &word).unwrap();
        // Another secret is no reason to run a step again; its version is.
        let secret = format!("id=word,src=word,version={word}");
        let run = project.run(&["predict", "-i", "name=x", "--secret", &secret]);
        let expected = format!("{word}, x! The sum is 3,000.\n");
        assert_eq!(run.succeeded().stdout, expected);
    }
}

#[test]
fn what_a_project_does_not_have_is_not_started() {
    let project = Project::new("containerd");
    project.edit("cog.yaml", "run: run.py:Runner", "");
    for (command, key) in [("train", "train"), ("predict", "run"), ("serve", "run")] {
        let run = project.run(&[command]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let told = format!("error: cog.yaml has no `{key}`: there is nothing to start\n");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
    }
}

#[test]
fn commands_run_in_the_projects_environment() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let script =
            "import humanize, os; print(humanize.intcomma(1000), os.getcwd(), os.environ['X'])";
        // The options of the test come first: what follows the command is its own.
        let run = project
            .run_command(&["exec"], &["-e", "X=1", "python", "-c", script])
            .succeeded();
        assert_eq!(run.stdout, "1,000 /src 1\n", "{}", run.stderr);
        let run = project.run_command(&["exec"], &["sh", "-c", "cat run.py > copy.py; exit 7"]);
        assert_eq!(run.code, Some(7), "{}", run.stderr);
        assert!(project.folder.path().join("copy.py").exists());
        assert_eq!(project.containers(), 0);
    }
}

#[test]
fn pip_installs_nothing_where_a_runtime_only_calls_it() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let config = project.folder.path().join("cog.yaml");
        let text = fs::read_to_string(&config).unwrap() + "x-cog-python:\n  pip: shim\n";
        fs::write(config, text).unwrap();
        let run = project.run_command(&["exec"], &["python", "-m", "pip", "install", "cowsay"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(
            run.stderr.contains("nothing is installed"),
            "{}",
            run.stderr
        );
        let run = project.run_command(&["exec"], &["python", "-c", "import cowsay"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
    }
}

#[test]
fn a_server_ends_when_it_is_interrupted() {
    let project = Project::new("containerd");
    let _serving = serving();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let mut child = project.spawn(&["serve", "--port", &port]);
    let mut address = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut address).unwrap();
    assert_eq!(address, format!("http://127.0.0.1:{port}\n"));
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let request = "GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("whom to greet"), "{answer}");
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(project.containers(), 0);
}
