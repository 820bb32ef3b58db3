use llb::prelude::*;

fn main() {
    let packages = vec!["git", "curl"];
    let _ = sh!("apt-get install -y {packages}");
}
