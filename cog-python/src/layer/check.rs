//! Steps that must succeed and leave nothing.

use llb::{Constrain, State, args, file};

use super::{StepOptions, Tree};

/// Where a check is given an empty folder, from which nothing is taken.
const FOLDER: &str = "/run/cog-python/check";

/// A layer that changes no file: the image is built only if a command succeeds on it. What the command writes is dropped.
/// It has no network.
///
/// ```
/// use cog_python::layer::{StepOptions, check};
///
/// let image = llb::image("python:3.12-slim");
/// let checked = image.layer(check(&["python", "-c", "import ssl"], &StepOptions::default()));
/// let text = checked.to_text();
/// assert!(text.contains(r#"exec "python" "-c" "import ssl""#));
/// assert!(text.contains("network=none"));
/// ```
#[llb::layer]
pub fn check(base: State, command: &[&str], #[layer(skip)] options: &StepOptions) -> State {
    let exec = args(command.iter().copied()).name(format!("check: {}", command.join(" ")));
    let checked = Tree::empty(FOLDER).change(&base, options.offline(exec));
    // A copy of nothing: it waits for the check, and its result is the base as it is.
    let nothing = file::copy(checked.state(), format!("{FOLDER}/.nothing-*"), "/")
        .allow_wildcard()
        .allow_empty_wildcard();
    base.file(nothing.name("checked"))
}
