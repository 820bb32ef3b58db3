fn main() {
    let _ = llb::graph! {
        from image("debian");
        entry_point ["tini", "--"];
    };
}
