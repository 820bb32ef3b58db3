//! A program made of a build function, which is also a frontend.

use llb::gateway::{Build, Image, Result};
use llb::prelude::*;

/// Greets whom it is told to.
#[llb::builder]
async fn build(cx: &mut Build) -> Result<Image> {
    let whom = cx.build_arg("WHOM").unwrap_or("world");
    let context = cx.context().await?;
    let greeting = cx.filesystem(&context).read_to_string("/greeting").await?;
    let base = cx.image("debian:bookworm-slim").await?;
    let said = args(["echo", greeting.trim(), whom]).network(Network::None);
    let said = cx.run(&base, said).await?.check()?;
    let said = said.stdout_text()?;
    let state = base.mkfile("/said", 0o644, said).label("said", said);
    Ok(state.cmd(["cat", "/said"]).into())
}
