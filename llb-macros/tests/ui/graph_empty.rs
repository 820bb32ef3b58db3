fn main() {
    let _ = llb::graph! {
    };
}
