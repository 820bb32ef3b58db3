fn main() {
    let _ = llb::graph! {
        from image("debian");
        copy "." => "/src";
    };
}
