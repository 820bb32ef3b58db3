use llb::prelude::*;

#[layer]
fn apt(packages: &[&str]) -> State {
    image("debian").run(args(packages.iter().copied()))
}

fn main() {
    let _ = image("debian").layer(apt(&["git"]));
}
