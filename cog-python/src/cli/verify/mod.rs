//! `verify`: builds twice, each time without the cache, and compares the images.

mod difference;

use std::fmt::Write as _;
use std::path::Path;

use super::args::VerifyCommand;
use super::build::{Builder, Target, connect, run};
use super::layout::Layout;
use super::output::{OutputKind, OutputOption};
use super::{Failure, print, project};
use difference::differences;

/// Runs the command.
pub(super) fn verify(command: &VerifyCommand) -> Result<(), Failure> {
    let project = project::load(&command.plan)?;
    let mut args = command.build.clone();
    args.no_cache = true;
    // Two builds have no time in common but one that is given.
    args.timestamp = args.timestamp.or(Some(0));
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
    let folders = ["first", "second"].map(|name| folder.path().join(name));
    for folder in &folders {
        let target = Target {
            outputs: vec![layout(folder, command.rewrite_timestamp)],
            ..Target::default()
        };
        let builder = Builder::new(&project, &args, &target)?;
        run(async {
            let client = connect(args.builder.addr.as_deref(), None).await?;
            builder.build(&client).await.1
        })?;
    }
    compare(&folders[0], &folders[1])
}

/// An OCI layout in a folder. What is compared is what is in the layers, so they are not compressed.
fn layout(folder: &Path, rewrite_timestamp: bool) -> OutputOption {
    let attributes = [
        ("tar", "false"),
        ("compression", "uncompressed"),
        ("force-compression", "true"),
    ];
    let rewrite = rewrite_timestamp.then_some(("rewrite-timestamp", "true"));
    let attributes = attributes.into_iter().chain(rewrite);
    OutputOption {
        kind: OutputKind::Oci,
        dest: Some(folder.to_owned()),
        attributes: attributes
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        ..OutputOption::image(false)
    }
}

fn compare(first: &Path, second: &Path) -> Result<(), Failure> {
    let (first, second) = (Layout::open(first)?, Layout::open(second)?);
    let (digest, other) = (first.digest()?, second.digest()?);
    if digest == other {
        return print(&format!("{digest}\nboth builds gave this image\n"));
    }
    let mut detail = String::new();
    for line in differences(&first, &second)? {
        let _ = writeln!(detail, "{line}");
    }
    Err(Failure::new(format!(
        "two builds gave two images: {digest} and {other}"
    ))
    .detail(&detail)
    .hint("times of files are made equal by `--rewrite-timestamp`; other differences come from the steps themselves"))
}
