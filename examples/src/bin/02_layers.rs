//! How do I give a piece of a build a name, and use it again?
//!
//! A layer is a function from state to state. `#[layer]` names its ops after the function and its arguments, for
//! progress and for the text below. The same layer is the next step of one image, and a single layer of another.

use llb::prelude::*;

/// Installs Debian packages.
#[layer]
fn apt(base: State, packages: &[&str]) -> State {
    base.run(
        sh!("apt-get update && apt-get install -y --no-install-recommends {packages...}")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .mount(cache("/var/cache/apt", "apt").sharing(Sharing::Locked))
            .mount(cache("/var/lib/apt", "apt-lists").sharing(Sharing::Locked)),
    )
}

/// Sets the time zone.
#[layer]
fn timezone(base: State, name: &str) -> Result<State, String> {
    if !name.contains('/') {
        return Err(format!(
            "found the time zone {name:?}, expected a name such as Europe/Zurich"
        ));
    }
    Ok(base.layer(apt(&["tzdata"])).env("TZ", name))
}

fn main() -> Result<(), llb::Error> {
    let base = image("debian:bookworm-slim");
    let server = base.layer(apt(&["nginx"])).layer(timezone("Europe/Zurich"));
    print!(
        "{}",
        server.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );

    println!("\n# The same in one layer of the image:");
    let server = base.squash(apt(&["nginx"]).then(timezone("Europe/Zurich")));
    print!(
        "{}",
        server.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );
    Ok(())
}
