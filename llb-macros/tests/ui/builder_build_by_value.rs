use llb::gateway::{Build, Image, Result};

#[llb::builder]
async fn build(cx: Build) -> Result<Image> {
    cx.context().await.map(Image::from)
}
