//! How do I build a Rust project, and ship only what the compiler made?
//!
//! Every writable mount of an exec is an output. Cargo's own folders are caches, so a change compiles what it touched;
//! the program is copied into an output mount, and the image starts from that alone: no compiler and no source in it.

use llb::prelude::*;

/// Compiles a binary of a Cargo workspace for a target without a C library.
fn cargo_build(source: impl Into<State>, package: &str) -> State {
    let build = sh!(
        "cargo build --release --locked --target x86_64-unknown-linux-musl --package {package} \
         && cp /target/x86_64-unknown-linux-musl/release/{package} /out/"
    );
    image("rust:1.90-alpine")
        .run(args(["apk", "add", "musl-dev"]).name("install the linker"))
        .exec(
            build
                .dir("/src")
                .mount(bind("/src", source).readonly())
                .env("CARGO_TARGET_DIR", "/target")
                .mount(cache("/target", format!("target-{package}")).sharing(Sharing::Locked))
                .mount(cache("/usr/local/cargo/registry", "cargo-registry"))
                .output("/out", scratch())
                .name(format!("compile {package}")),
        )
        .output("/out")
}

fn main() -> Result<(), llb::Error> {
    let source = local("context").include(["Cargo.*", "**/Cargo.toml", "**/*.rs"]);
    let server = scratch()
        .copy(cargo_build(source, "server"), "/server", "/server")
        .image_user("65534")
        .expose("8080")
        .entrypoint(["/server"]);

    print!(
        "{}",
        server.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );
    Ok(())
}
