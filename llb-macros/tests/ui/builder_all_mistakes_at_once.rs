use llb::gateway::Build;

#[llb::builder]
fn build(cx: Build, version: &str) {
    let _ = (cx, version);
}
