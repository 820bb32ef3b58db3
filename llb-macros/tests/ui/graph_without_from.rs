fn main() {
    let _ = llb::graph! {
        run "make";
    };
}
