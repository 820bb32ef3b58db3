use llb::gateway::{Image, Result};

#[llb::builder]
async fn build() -> Result<Image> {
    Ok(llb::image("debian").into())
}
