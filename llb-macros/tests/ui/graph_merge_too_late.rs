fn main() {
    let _ = llb::graph! {
        from image("debian");
        fork tools { run "apt-get install -y git"; }
        run "make";
        merge tools;
    };
}
