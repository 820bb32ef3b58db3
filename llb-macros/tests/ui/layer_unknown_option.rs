use llb::prelude::*;

#[layer(nmae = "tools")]
fn tools(base: State) -> State {
    base
}

fn main() {}
