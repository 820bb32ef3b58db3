use llb::prelude::*;

fn main() {
    let _ = image("debian").layer(|state| {
        state.run(sh("true"));
    });
}
