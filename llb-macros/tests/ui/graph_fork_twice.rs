fn main() {
    let _ = llb::graph! {
        from image("debian");
        fork tools { run "apt-get install -y git"; }
        fork tools { run "apt-get install -y curl"; }
        merge tools;
    };
}
