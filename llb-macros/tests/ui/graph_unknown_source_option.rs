fn main() {
    let _ = llb::graph! {
        from image("debian", platfrom = llb::platform!("linux/arm64"));
    };
}
