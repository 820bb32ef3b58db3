fn main() {
    let _ = llb::graph! {
        from image("Debian");
    };
}
