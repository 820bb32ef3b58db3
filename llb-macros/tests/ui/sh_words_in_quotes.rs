use llb::prelude::*;

fn main() {
    let packages = ["git", "curl"];
    let _ = sh!("apt-get install -y '{packages...}'");
}
