fn main() {
    let _ = llb::platform!("arm64");
}
