use llb::prelude::*;

fn main() {
    let script = String::from("make");
    let _ = sh!(script);
}
