use llb::prelude::*;

#[layer]
fn tools(base: State) -> Option<State> {
    Some(base)
}

fn main() {}
