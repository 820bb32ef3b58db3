use llb::prelude::*;

fn main() {
    let file = "x";
    let _ = sh!("cat `dirname {file}` \"");
}
