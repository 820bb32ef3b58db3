use llb::prelude::*;

#[layer(name = "login as {usr}")]
fn login(base: State, user: &str) -> State {
    base.env("USER", user)
}

fn main() {}
