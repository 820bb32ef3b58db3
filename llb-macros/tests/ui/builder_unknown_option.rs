use llb::gateway::{Build, Image, Result};

#[llb::builder(title = "app")]
async fn build(cx: &mut Build) -> Result<Image> {
    cx.context().await.map(Image::from)
}
