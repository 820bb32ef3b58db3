fn main() {
    let _ = llb::graph! {
        from image("debian");
        from image("alpine");
    };
}
