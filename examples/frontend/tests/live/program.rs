//! A program of `#[builder]`, which is a command line and a frontend.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::testbed::{Testbed, unique};
use super::{ENGINES, Project, compiler, docker_build, push_frontend};

/// Compiles the program, against the library that is compiled for the tests anyway.
fn compile(program: &Path) {
    let built = Path::new(env!("CARGO_BIN_EXE_llb-example-frontend"));
    let libraries = built.parent().unwrap().join("deps");
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("libllb-") && name.strip_suffix(".rlib").is_some()
    };
    let entries = fs::read_dir(&libraries).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut candidates: Vec<_> = paths.filter(is_library).collect();
    candidates.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let mut said = String::from("there is no library");
    // Older ones may lack features, or be of another compiler.
    for library in candidates.iter().rev() {
        let mut llb = OsString::from("llb=");
        llb.push(library);
        let output = compiler(&libraries, llb)
            .arg("-o")
            .arg(program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/builder.rs"))
            // What Cargo tells a program about itself.
            .env("CARGO_BIN_NAME", "greeter")
            .env("CARGO_PKG_VERSION", "1.2.3")
            .output()
            .unwrap();
        if output.status.success() {
            return;
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    panic!("{said}");
}

#[tokio::test]
async fn a_builder_is_a_program_and_a_frontend() {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("greeter");
    compile(&program);
    let name = push_frontend(home.path(), "greeter", "greeter").await;

    let project = Project::new("").await;
    let greeting = unique();
    project.write("greeting", &greeting);
    project.write("Appfile", &format!("# syntax={name}\n"));
    for engine in ENGINES {
        let out = format!("out-{engine}");
        let to = format!("--output={out}");
        let args = ["--build-arg=WHOM=docker", &to];
        let (success, text) = docker_build(&project, engine, &args);
        assert!(success, "{engine}: {text}");
        let said = fs::read_to_string(project.0.path().join(out).join("said")).unwrap();
        assert_eq!(said, format!("{greeting} docker"), "{engine}");
        let (success, text) = docker_build(&project, engine, &["--call=outline"]);
        assert!(
            success && text.contains("Greets whom it is told to"),
            "{engine}: {text}"
        );

        // The same file is a command line.
        let output = Command::new(&program)
            .args([
                "build",
                "--build-arg=WHOM=all",
                "-o",
                "type=local,dest=told",
            ])
            .current_dir(project.0.path())
            .env("DOCKER_HOST", Testbed::find().address(engine).to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{engine}: {text}");
        let said = fs::read_to_string(project.0.path().join("told/said")).unwrap();
        assert_eq!(said, format!("{greeting} all"), "{engine}");
    }
    let version = Command::new(&program).arg("--version").output().unwrap();
    assert_eq!(version.stdout, b"greeter 1.2.3\n");
}
