fn main() {
    let _ = llb::graph! {
        from image("debian");
        workdir "src";
    };
}
