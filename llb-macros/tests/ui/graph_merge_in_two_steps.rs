fn main() {
    let _ = llb::graph! {
        from image("debian");
        fork a { run "a"; }
        fork b { run "b"; }
        merge a;
        merge b;
    };
}
