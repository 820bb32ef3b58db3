fn main() {
    let _ = llb::graph! {
        from image("debian");
        env LANG "C.UTF-8";
    };
}
