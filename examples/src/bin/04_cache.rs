//! How do I keep downloads from build to build?
//!
//! A cache mount is a directory of the daemon that is there again in the next build. It is in no image, and what is in
//! it decides about no step: the requirements do, because they are the input of this one.

use llb::prelude::*;

fn main() -> Result<(), llb::Error> {
    let requirements = local("context")
        .include(["requirements.txt"])
        .name("read the requirements");
    let packages = image("python:3.12-slim").run(
        sh("pip install --requirement /tmp/requirements.txt")
            .mount(bind("/tmp", requirements).readonly())
            // Any number of builds may read and write pip's cache at once.
            .mount(cache("/root/.cache/pip", "pip"))
            // This one is for a single build at a time; others wait.
            .mount(cache("/var/lib/models", "models").sharing(Sharing::Locked))
            .mount(tmpfs("/scratch").size(256 << 20))
            .name("install requirements"),
    );
    // The code comes last: a change of it leaves the packages alone.
    let app = packages.copy(
        local("context").exclude([".git", "**/__pycache__"]),
        "/",
        "/src",
    );

    print!("{}", app.marshal(&MarshalOptions::linux_amd64())?.to_text());
    Ok(())
}
