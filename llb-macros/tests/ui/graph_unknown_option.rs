fn main() {
    let _ = llb::graph! {
        from image("debian");
        run "make" with bind("/src", local("context"), read_only);
    };
}
