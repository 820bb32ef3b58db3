use llb::gateway::{Build, Image, Result};

#[llb::builder]
async fn main(cx: &mut Build) -> Result<Image> {
    cx.context().await.map(Image::from)
}
