use llb::prelude::*;

struct Apt;

impl Apt {
    #[layer]
    fn install(&self, base: State) -> State {
        base
    }
}

fn main() {}
