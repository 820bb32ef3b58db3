use llb::prelude::*;

fn main() {
    let _ = sh!("echo 'hello && make install");
}
