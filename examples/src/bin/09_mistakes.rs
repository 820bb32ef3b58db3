//! What do I see when a graph is wrong?
//!
//! A mistake does not end the chain. Marshalling reports all of them, each with the line that made it; what can be
//! known earlier does not compile: see `graph!`, `sh!`, `image!`, `abs!`, `mode!` and `platform!`.

use llb::prelude::*;

fn main() {
    // Text from a user; a literal would be checked with `image!("Debian")`.
    let base = image(String::from("Debian"));
    let first = base.fork(|state| state.env("PORT", "80").run(sh("install-nginx")));
    let second = base.fork(|state| state.env("PORT", "8080").run(args::<&str>([])));
    let merged = base.merge([first, second]);
    let exec = merged.exec(sh("make").mount(tmpfs("/out")));
    let image = merged.copy(exec.output("/out"), "/", "/usr/bin");

    match image.marshal(&MarshalOptions::linux_amd64()) {
        Ok(definition) => print!("{}", definition.to_text()),
        Err(error) => println!("{error}"),
    }
}
