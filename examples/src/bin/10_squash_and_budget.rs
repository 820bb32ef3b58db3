//! How do I decide how many layers an image gets?
//!
//! Every op that writes is a layer of the image. `squash` makes one of several steps: what they wrote and removed again
//! is nowhere. `merge_within` puts any number of forks into a number of layers, each always into the same one: a fork
//! more or less changes one layer, and the others stay in every registry that has them.

use llb::prelude::*;

/// Installs Debian packages and leaves no lists behind.
#[layer]
fn apt(base: State, packages: &[&str]) -> State {
    base.run(sh!("apt-get update && apt-get install -y {packages...}"))
        .run(sh("rm -rf /var/lib/apt/lists/*"))
}

/// One fork for each dictionary.
fn with_dictionaries(base: &State, names: &[&str]) -> State {
    let forks = names.iter().map(|name| {
        let file = format!("/usr/share/dict/{name}");
        base.fork(|state| state.copy(local("dictionaries"), *name, file))
            .named(*name)
    });
    base.merge_within(2, forks)
}

fn main() -> Result<(), llb::Error> {
    let base = image("debian:bookworm-slim").squash(apt(&["aspell"]));
    let image = with_dictionaries(&base, &["de", "en", "fr", "it", "pt"]);
    print!(
        "{}",
        image.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );
    Ok(())
}
