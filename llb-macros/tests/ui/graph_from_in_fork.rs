fn main() {
    let _ = llb::graph! {
        from image("debian");
        fork tools { from image("alpine"); }
        merge tools;
    };
}
