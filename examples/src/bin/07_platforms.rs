//! How do I build one graph for several platforms?
//!
//! The platform is an option of marshalling, so a state is for all of them. What runs on the builder's own platform
//! says so: here the compiler, which makes a program for another one.

use llb::platform;
use llb::prelude::*;
use llb::value::Platform;

/// Compiles on the builder's platform, for the target's.
fn server(builder: &Platform, target: &Platform) -> State {
    let compile = Image::new("golang:1.25")
        .platform(builder.clone())
        .state()
        .exec(
            sh("go build -o /out/server .")
                .dir("/src")
                .platform(builder.clone())
                .env("GOOS", &*target.os)
                .env("GOARCH", &*target.architecture)
                .mount(bind("/src", local("context")).readonly())
                .output("/out", scratch()),
        );
    image("debian:bookworm-slim")
        .run(sh("useradd --system server"))
        .copy(compile.output("/out"), "/server", "/usr/local/bin/server")
}

fn main() -> Result<(), llb::Error> {
    let builder = platform!("linux/amd64");
    for target in [platform!("linux/amd64"), platform!("linux/arm64")] {
        println!("# {target}");
        let definition = server(&builder, &target).marshal(&MarshalOptions::new(target))?;
        print!("{}", definition.to_text());
    }
    Ok(())
}
