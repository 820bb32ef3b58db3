//! How does a command use a token that no image and no cache holds?
//!
//! The graph has only the name under which the client offers the secret. The daemon asks for its content when the
//! command runs, and shows it to this command alone.

use llb::prelude::*;

/// Clones a private repository; the token is an argument of the caller, and stays out of the layer's name.
#[layer]
fn private_clone(base: State, repository: &str, #[layer(skip)] token_id: &str) -> State {
    base.run(
        sh!("git -c credential.helper='!printf \"password=%s\\n\" \"$TOKEN\" #' clone {repository} /src")
            .mount(secret("TOKEN").id(token_id).as_env("TOKEN")),
    )
}

fn main() -> Result<(), llb::Error> {
    let built = image("node:22")
        .layer(private_clone(
            "https://git.example.com/app.git",
            "git-token",
        ))
        .run(
            sh("npm ci")
                .dir("/src")
                // A file that only root can read; without it, the step goes on with public packages.
                .mount(secret("/root/.npmrc").id("npmrc").optional())
                // The client's ssh agent, as a socket.
                .mount(ssh()),
        );

    print!(
        "{}",
        built.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );
    Ok(())
}
