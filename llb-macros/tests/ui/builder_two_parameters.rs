use llb::gateway::{Build, Image, Result};

#[llb::builder]
async fn build(cx: &mut Build, version: &str) -> Result<Image> {
    cx.image(version).await.map(Image::from)
}
