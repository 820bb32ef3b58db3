fn main() {
    let _ = llb::graph! {
        from image("debian");
        run "make" with cache("root/.cache", id = "make");
    };
}
