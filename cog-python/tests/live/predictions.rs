//! Predictions, and what is left of them.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{ENGINES, Project, serving};

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
    let run = project.run(&["predict", "-i", "numbers=a", "--progress", "quiet"]);
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
