//! How do parts of a build run at once, and come together again?
//!
//! Forks leave the same state, so a daemon runs them side by side, and a change of one leaves the others cached. The
//! merge puts on the base what each fork added, files and image config; two forks that changed one variable
//! differently would be an error that names both lines.

use llb::prelude::*;

/// A tool that is compiled from source.
#[layer]
fn compiled(base: State, name: &str, version: &str) -> State {
    let source =
        git(format!("https://git.example.com/{name}.git")).reference(format!("v{version}"));
    base.run(
        sh!("make -C /src install PREFIX=/opt/{name}")
            .mount(bind("/src", source).no_output())
            .name(format!("compile {name}")),
    )
    .prepend_path(&format!("/opt/{name}/bin"))
}

fn main() -> Result<(), llb::Error> {
    let base = image("gcc:14").env("PATH", "/usr/bin:/bin");
    let jq = base.fork(compiled("jq", "1.7"));
    let ripgrep = base.fork(compiled("ripgrep", "14.1"));
    let settings = base.fork(|state| state.mkfile("/etc/profile.d/tools.sh", 0o644, "umask 027\n"));
    let tools = base.merge([jq, ripgrep, settings]);

    print!(
        "{}",
        tools.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );
    println!("PATH of the image: {}", tools.image_config().env["PATH"]);
    Ok(())
}
