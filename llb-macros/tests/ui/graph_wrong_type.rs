fn main() {
    let _ = llb::graph! {
        from image("debian");
        layer 5;
    };
}
