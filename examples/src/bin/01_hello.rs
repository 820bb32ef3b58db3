//! How do I say what is in an image?
//!
//! A state is a file system. Methods give the next one: here a command has run, files have come in, and the image that
//! it may become has a command of its own. Nothing runs until a daemon gets the definition.

use llb::prelude::*;

fn main() -> Result<(), llb::Error> {
    let hello = image("debian:bookworm-slim")
        .run(sh(
            "apt-get update && apt-get install -y --no-install-recommends cowsay",
        ))
        .copy(
            local("context").include(["messages/**"]),
            "/messages",
            "/messages",
        )
        .mkfile("/etc/motd", 0o644, "Moo.\n")
        .env("PATH", "/usr/games:/usr/bin:/bin")
        .cmd(["cowsay", "hello"]);

    let definition = hello.marshal(&MarshalOptions::linux_amd64())?;
    print!("{}", definition.to_text());
    Ok(())
}
