//! How do I write a build that reads from top to bottom?
//!
//! `graph!` has the methods of `State` as statements. Values are Rust, in command lines too, where each is quoted; what
//! can be checked is checked when this program is compiled.

use llb::prelude::*;

fn web_server(packages: &[&str], debug: bool) -> State {
    llb::graph! {
        graph assets {
            from image("node:22-slim");
            copy local("context") "/web" => "/web" exclude ["node_modules"];
            run "npm ci && npm run build -- --outDir /out" with
                dir "/web",
                cache("/root/.npm", id = "npm"),
                name "build assets";
        }

        from image("debian:bookworm-slim");
        build_env DEBIAN_FRONTEND = "noninteractive";

        fork tools {
            run "apt-get update && apt-get install -y {packages...}" with
                cache("/var/cache/apt", id = "apt", locked),
                name "install tools";
        }
        fork config {
            mkdir "/etc/server" mode 0o750;
            mkfile "/etc/server/config.toml" = format!("debug = {debug}\n") mode 0o640;
        }
        merge tools + config;

        copy assets "/out" => "/srv" owner "www-data";
        if debug {
            layer "debug tools" {
                run "apt-get install -y gdb strace";
                env RUST_BACKTRACE = "1";
            }
        }
        workdir "/srv";
        expose 8080;
        entrypoint ["tini", "--"];
        cmd ["server", "--config", "/etc/server/config.toml"];
    }
}

fn main() -> Result<(), llb::Error> {
    let server = web_server(&["tini", "ca-certificates"], true);
    print!(
        "{}",
        server.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );
    Ok(())
}
