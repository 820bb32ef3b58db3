use llb::prelude::*;

fn main() {
    let _ = sh!("make -j{jobs}", jobs = 2, target = "all");
}
