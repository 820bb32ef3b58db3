use llb::prelude::*;

#[layer(name = "login with {token}")]
fn login(base: State, #[layer(skip)] token: &str) -> State {
    base.env("TOKEN", token)
}

fn main() {}
