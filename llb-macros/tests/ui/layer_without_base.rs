use llb::prelude::*;

#[layer]
fn timezone() -> State {
    image("debian")
}

fn main() {}
