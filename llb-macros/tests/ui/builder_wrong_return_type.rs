use llb::gateway::{Build, Result};

#[llb::builder]
async fn build(cx: &mut Build) -> Result<u8> {
    cx.context().await.map(|_| 0)
}
