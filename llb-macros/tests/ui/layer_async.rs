use llb::prelude::*;

#[layer]
async fn resolved(base: State, name: &str) -> State {
    base.run(args([name]))
}

fn main() {}
