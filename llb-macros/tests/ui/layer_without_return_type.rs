use llb::prelude::*;

#[layer]
fn tools(base: State) {
    base.run(sh("true"));
}

fn main() {}
