use llb::gateway::Build;

#[llb::builder]
async fn build(cx: &mut Build) {
    let _ = cx.context().await;
}
