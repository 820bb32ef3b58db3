use llb::gateway::{Build, Image, Result};

#[llb::builder]
fn build(cx: &mut Build) -> Result<Image> {
    Ok(llb::image(cx.target().unwrap_or("debian")).into())
}
