use llb::prelude::*;

#[layer]
fn apt(base: State, packages: &[&str]) -> State {
    base.run(args(packages.iter().copied()))
}

fn main() {
    let _ = image("debian").layer(apt);
}
