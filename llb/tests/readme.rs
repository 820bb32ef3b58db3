//! The graph in the workspace's README is what its program prints.

use llb::prelude::*;

#[test]
fn the_readme_shows_what_its_program_prints() {
    let base = image("debian:bookworm-slim");
    let tools = base.fork(|state: State| {
        state.run(
            sh("apt-get update && apt-get install -y git")
                .mount(cache("/var/cache/apt", "apt").sharing(Sharing::Locked))
                .name("tools"),
        )
    });
    let config = base.fork(|state: State| state.mkfile("/etc/app.conf", 0o644, "debug = false\n"));
    let app = base
        .merge([tools, config])
        .copy(local("context"), "/", "/src")
        .cmd(["/src/run"]);
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&app.to_text()),
        "the README shows another graph:\n{}",
        app.to_text()
    );
}
