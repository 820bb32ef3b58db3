fn main() {
    let _ = llb::graph! {
        from image("debian");
        run "echo 'hello";
    };
}
