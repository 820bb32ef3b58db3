use llb::prelude::*;

fn main() {
    let base = image("debian");
    let _ = base.fork(base.run(sh("true")));
}
