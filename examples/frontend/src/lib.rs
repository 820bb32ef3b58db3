//! A frontend for BuildKit in a page: images from a file format of its own.
//!
//! ```text
//! # syntax=registry.example/appfile:1
//! base debian:bookworm-slim
//! arg GREETING hello
//! copy src /app
//! copy assets /app/assets from=design
//! run echo ${GREETING} > /app/greeting
//! start /app/serve
//! ```
//!
//! `docker build -f Appfile .` builds it. All that a Dockerfile's users know works: build arguments, labels, platforms,
//! `.dockerignore`, contexts by name, `--call=outline`, and errors that show the line.

mod appfile;

use appfile::{Appfile, Instruction, Line};
pub use llb::gateway::Result;
use llb::gateway::{Build, Error, Frontend, Image, SourceFile, Warning};
use llb::prelude::*;
use llb::value::Platform;
use llb::{Range, SourceLocation};

/// The file that is read if no other is named.
pub const FILE: &str = "Appfile";

/// Serves one build to the BuildKit that has started this process.
///
/// # Errors
///
/// BuildKit has not started it, or goes away.
#[tokio::main(flavor = "current_thread")]
pub async fn serve() -> Result<()> {
    frontend().serve().await
}

/// The frontend, with what it tells about itself.
#[must_use]
pub fn frontend() -> Frontend<impl AsyncFn(&mut Build) -> Result<Image>> {
    Frontend::new(build)
        .describe("an image from an Appfile")
        .secret("token", false)
}

/// Builds what the file says, for every platform that is asked for.
///
/// # Errors
///
/// The file has a mistake, which is told with its line; or what it names is not there.
pub async fn build(cx: &mut Build) -> Result<Image> {
    let file = cx.source_file(FILE).await?;
    let app = Appfile::parse(&file.text).map_err(|mistake| {
        let error = Error::msg(&mistake.message).at(place(&file, mistake.line));
        match mistake.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    for (name, _) in cx.build_args() {
        if !app.has_argument(name) && !name.starts_with("BUILDKIT_") {
            let warning = format!("build argument {name} is not one of {FILE}");
            cx.warn(Warning::new(warning)).await?;
        }
    }
    let mut images = Vec::new();
    for platform in cx.platforms() {
        images.push((platform.clone(), image_of(cx, &file, &app, platform).await?));
    }
    match images.as_slice() {
        [(_, state)] => Ok(state.into()),
        _ => Ok(Image::platforms(images)),
    }
}

async fn image_of(
    cx: &Build,
    file: &SourceFile,
    app: &Appfile,
    platform: &Platform,
) -> Result<State> {
    let mut state = scratch();
    for Line {
        number,
        instruction,
    } in &app.lines
    {
        let place = place(file, *number);
        let at = |error: Error| error.at(place.clone());
        state = match instruction {
            Instruction::Base(reference) => cx.image_for(reference, platform).await.map_err(at)?,
            Instruction::Argument { name, default } => {
                let value = cx.build_arg(name).unwrap_or(default);
                state.build_env(name, value)
            }
            Instruction::Copy {
                from,
                source,
                target,
            } => {
                let context = match from {
                    None => cx.context().await?,
                    Some(name) => cx.named_context_for(name, platform).await?.ok_or_else(|| {
                        at(Error::msg(format!("there is no context {name:?}"))
                            .hint(format!("give it with `--build-context {name}=PATH`")))
                    })?,
                };
                let copied = copy(context, source, target)
                    .contents_only()
                    .create_destination()
                    .allow_wildcard();
                let name = format!("copy {source} {target}");
                state.file(copied.name(name).location(place))
            }
            Instruction::Run(command) => {
                let mut exec = sh(command).mount(secret("token").as_env("TOKEN").optional());
                if cx.option("force-network-mode") == Some("none") {
                    exec = exec.network(Network::None);
                }
                state.run(exec.name(format!("run {command}")).location(place))
            }
            Instruction::Start(command) => state.entrypoint(["/bin/sh", "-c", command]),
        };
    }
    Ok(state)
}

fn place(file: &SourceFile, line: i32) -> SourceLocation {
    file.map.location([Range::line(line)])
}
