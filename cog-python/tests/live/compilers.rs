//! Images with compilers that a build has and its result has not.

use std::collections::BTreeMap;
use std::fs;

use llb::{file, image};
use serde_json::Value;

use crate::support::{ENGINES, Project, Testbed, listing, push, unique};

/// NVIDIA's images are gigabytes: small ones take their places here.
#[test]
fn what_compilers_make_is_in_the_image_and_they_are_not() {
    let testbed = Testbed::find();
    for engine in ENGINES {
        let number = unique();
        let compiler = "#!/bin/sh\necho compiled > \"$1\"\n";
        let devel = image("python:3.11-slim").file(file::mkfile("/usr/bin/nvcc", 0o755, compiler));
        let devel = push(&testbed, engine, &format!("devel:{number}"), &devel);
        let project = Project::new(engine);
        let config = "build:\n  gpu: true\n  python_version: \"3.11\"\n  system_packages: [fortune-mod]\n\
            x-cog-python:\n  python: base\n  run:\n\
            \x20   - command: test -x /usr/games/fortune && nvcc /opt/kernels/kernel.so && touch /usr/bin/litter\n\
            \x20     writes: /opt/kernels\n      network: none\n\
            run: run.py:Runner\n";
        fs::write(project.folder.path().join("cog.yaml"), config).unwrap();
        let plan = project.run(&["plan", "--json"]).succeeded();
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
        let steps = plan["steps"].as_array().unwrap();
        let images: BTreeMap<&str, &str> = steps
            .iter()
            .filter_map(|step| {
                let reference = step.pointer("/action/base/reference")?;
                Some((step["name"].as_str()?, reference.as_str()?))
            })
            .collect();
        assert!(images["base"].contains("-runtime-"), "{images:?}");
        assert!(images["compilers"].contains("-devel-"), "{images:?}");

        let archive = project.folder.path().join("image.tar");
        let run = project.run(&[
            "build",
            "--build-context",
            &format!("{}=docker-image://python:3.11-slim", images["base"]),
            "--build-context",
            &format!("{}=docker-image://{devel}", images["compilers"]),
            "-o",
            &format!("type=tar,dest={}", archive.display()),
        ]);
        let run = run.succeeded();
        let files = listing(&archive);
        assert!(
            files.contains_key("opt/kernels/kernel.so"),
            "{}",
            run.stderr
        );
        assert!(files.contains_key("usr/games/fortune"), "{}", run.stderr);
        for path in ["usr/bin/nvcc", "usr/bin/litter"] {
            assert!(!files.contains_key(path), "{path}\n{}", run.stderr);
        }
    }
}
