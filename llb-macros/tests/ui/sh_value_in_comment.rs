use llb::prelude::*;

fn main() {
    let package = "numpy";
    let _ = sh!("pip install numpy # {package}");
}
