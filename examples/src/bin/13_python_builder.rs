//! How do I make a program of my build, that anyone can run?
//!
//! The function below is a command line: `text`, `graph` and `dump` show what it makes without a daemon, `build` builds
//! it. Put into an image, the same program is a frontend for `docker build`.

use llb::gateway::{Build, Image, Result};
use llb::prelude::{State, args, cache, layer};

/// Installs Python packages.
#[layer]
fn pip(base: State, packages: &[&str]) -> State {
    let command = ["pip", "install", "--no-compile"].iter().chain(packages);
    base.run(args(command.copied()).mount(cache("/root/.cache/pip", "pip")))
}

/// A Python app with its packages, for every platform that is asked for.
#[llb::builder]
async fn build(cx: &mut Build) -> Result<Image> {
    let version = cx.build_arg("PYTHON").unwrap_or("3.13");
    let packages: Vec<&str> = cx
        .build_arg("PACKAGES")
        .unwrap_or("flask")
        .split_whitespace()
        .collect();
    let base = llb::image(format!("python:{version}-slim"));
    let images = base.on_platforms(cx.platforms().to_vec(), |base, _| {
        llb::graph! {
            from base;
            fork packages = pip(&packages);
            fork source {
                copy local("context", exclude = [".git", "**/__pycache__"]) "." => "/src";
            }
            merge packages + source;
            workdir "/src";
            cmd ["python", "-m", "app"];
        }
    });
    Ok(images.into())
}
