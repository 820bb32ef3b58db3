fn main() {
    let _ = llb::graph! {
        from image("debian");
        run "make" with cwd "/src";
    };
}
