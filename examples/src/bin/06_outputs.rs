//! How do I take from a build only what it made?
//!
//! Every writable mount of an exec is an output. The compiler writes into one, and the image starts from nothing but
//! that: no tool and no source is in it.

use llb::prelude::*;

fn main() -> Result<(), llb::Error> {
    let source = local("context").include(["go.*", "**/*.go"]);
    let compile = image("golang:1.25").env("CGO_ENABLED", "0").exec(
        sh("go build -trimpath -o /out/server . && go vet -json . > /report/vet.json")
            .dir("/src")
            .mount(bind("/src", source).readonly())
            .mount(cache("/root/.cache/go-build", "go-build"))
            .output("/out", scratch())
            .output("/report", scratch())
            .name("compile"),
    );
    let server = scratch()
        .copy(compile.output("/out"), "/server", "/server")
        .image_user("65534")
        .expose("8080")
        .entrypoint(["/server"]);
    print!(
        "{}",
        server.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );

    println!("\n# The report of the same run, which is compiled once for both:");
    print!(
        "{}",
        compile
            .output("/report")
            .marshal(&MarshalOptions::linux_amd64())?
            .to_text()
    );
    Ok(())
}
