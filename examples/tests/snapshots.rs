//! What every example prints, and the promises that hold for all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// One test per program: what it prints is the snapshot.
macro_rules! examples {
    ($($test:ident = $program:literal $arguments:expr,)*) => {
        const PROGRAMS: &[&str] = &[$($program),*];
        $(
            #[test]
            fn $test() {
                let mut settings = insta::Settings::clone_current();
                settings.set_omit_expression(true);
                settings.set_prepend_module_to_snapshot(false);
                let _guard = settings.bind_to_scope();
                insta::assert_snapshot!($program, output_of(env!(concat!("CARGO_BIN_EXE_", $program)), &$arguments));
            }
        )*
    };
}
examples! {
    hello = "01_hello" [],
    layers = "02_layers" [],
    fork_merge = "03_fork_merge" [],
    cache = "04_cache" [],
    secrets = "05_secrets" [],
    rust_project = "06_rust_project" [],
    platforms = "07_platforms" [],
    graph_macro = "08_graph_macro" [],
    mistakes = "09_mistakes" [],
    squash_and_budget = "10_squash_and_budget" [],
    snapshot_testing = "11_snapshot_testing" [],
    cuda_image = "12_cuda_image" [],
    python_builder = "13_python_builder" ["text", "--platform", "linux/amd64,linux/arm64"],
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the example starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("an example prints text")
}

#[test]
fn every_example_is_tested_listed_and_answers_a_question_in_less_than_eighty_lines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder.join("src/bin")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let question = text.lines().next().unwrap().strip_prefix("//! ").unwrap();
        assert!(question.ends_with('?'), "{name}: {question}");
        assert!(
            readme.contains(&format!("| [`{name}`](src/bin/{name}.rs) | {question} |")),
            "{name} is not in README.md"
        );
        assert!(
            text.lines().count() < 80,
            "{name} has {} lines",
            text.lines().count()
        );
        found.insert(name);
    }
    assert_eq!(found.iter().collect::<Vec<_>>(), PROGRAMS);
}
