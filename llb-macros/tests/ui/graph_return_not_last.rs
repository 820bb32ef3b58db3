fn main() {
    let _ = llb::graph! {
        from image("debian");
        return state;
        run "make";
    };
}
