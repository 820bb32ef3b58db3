use llb::prelude::*;

#[layer(skip)]
fn login(base: State, token: &str) -> State {
    base.env("TOKEN", token)
}

fn main() {}
