//! The procedural macros, documented where they are used.

/// Makes a layer of a function: `fn apt(base: State, packages: &[&str]) -> State` becomes
/// `fn apt(packages: &[&str]) -> impl Layer`.
///
/// The first parameter is the state that the layer is put on. The function returns a [`State`](crate::State), or a [`Result`] with
/// one, whose error is recorded and reported by [`State::marshal`](crate::State::marshal) with the line that called the function. Docs,
/// visibility, generics and other attributes stay.
///
/// ```
/// use llb::prelude::*;
///
/// /// Installs Debian packages.
/// #[layer]
/// fn apt(base: State, packages: &[&str]) -> State {
///     base.run(args(["apt-get", "install", "-y"].iter().chain(packages).copied()))
/// }
///
/// let base = image("debian");
/// let next = base.layer(apt(&["git"]));
/// let branches = base.merge([base.fork(apt(&["git", "curl"])), base.fork(apt(&["jq"]))]);
/// let one_image_layer = base.squash(apt(&["git"]).then(apt(&["curl"])));
/// # assert!(next.to_text().contains(r#"group="apt(git)""#));
/// # assert!(branches.to_text().contains(r#"group="apt(git, curl)""#));
/// # assert!(one_image_layer.to_text().ends_with("group=\"apt(curl)\"\nreturn %merge-debian\n"));
/// ```
///
/// # Names
///
/// Progress shows the ops of a layer under the function's name with its arguments: `apt(git, curl)`. Text, numbers,
/// paths and what implements [`Display`](std::fmt::Display) show themselves, lists their items, a switch (`bool`) the
/// name of its parameter when it is on; everything else is left out. Names stand in the definition in plain text, so
/// keep secrets out with `#[layer(skip)]`, or write the name yourself:
///
/// ```
/// use llb::prelude::*;
///
/// #[layer]
/// fn login(base: State, registry: &str, #[layer(skip)] token: &str) -> State {
///     base.run(sh("login").env("REGISTRY", registry).env("TOKEN", token))
/// }
///
/// #[layer(name = "fetch {url} ({bytes} bytes)")]
/// fn fetch(base: State, url: &str, bytes: u64) -> State {
///     base.copy(http(url), "/", "/downloads")
/// }
///
/// let state = image("debian").layer(login("ghcr.io", "hunter2")).layer(fetch("https://example.com/a", 42));
/// let text = state.to_text();
/// assert!(text.contains(r#"group="login(ghcr.io)""#));
/// assert!(text.contains(r#"group="fetch https://example.com/a (42 bytes)""#));
/// ```
///
/// # Layers that fail
///
/// ```
/// use llb::prelude::*;
///
/// #[layer]
/// fn locale(base: State, name: &str) -> Result<State, String> {
///     match name.split_once('.') {
///         Some((_, "UTF-8")) => Ok(base.env("LANG", name)),
///         _ => Err(format!("found {name:?}, expected a locale such as C.UTF-8")),
///     }
/// }
///
/// let state = image("debian").layer(locale("de_DE"));
/// assert_eq!(
///     state.to_text(),
///     "error: layer \"locale(de_DE)\" failed: found \"de_DE\", expected a locale such as C.UTF-8\n"
/// );
/// ```
///
/// # Options
///
/// `#[layer(name = "…")]` is the name as a format string over the parameters. `#[layer(crate = path)]` is where this
/// crate is, for crates that re-export it. `#[layer(skip)]` before a parameter keeps it out of the name.
#[doc(inline)]
pub use llb_macros::layer;

/// A command line for `/bin/sh -c` with values put in, each as one word: `sh!("pip install {package}")`.
///
/// The result is an [`Exec`](crate::Exec), as [`sh`](fn@crate::sh) makes it. What is put in is quoted for the place where it stands,
/// so that no text, however odd, is more than a part of one word:
///
/// ```
/// use llb::prelude::*;
///
/// let (package, title) = ("torch>=2", "it's $5");
/// let state = image("python").run(sh!("pip install {package} && echo \"installed: {title}\" > '/tmp/{title}'"));
/// assert!(state.to_text().contains(
///     r#"pip install 'torch>=2' && echo \"installed: it's \\$5\" > '/tmp/it'\\''s $5'"#
/// ));
/// ```
///
/// | Written | Stands for |
/// |---|---|
/// | `{value}` | one word; any expression that implements [`Display`](std::fmt::Display) |
/// | `{value:05.1}` | the same, formatted as by [`format!`] |
/// | `{values...}` | several words, of anything that a `for` loop takes |
/// | `{value:raw}` | shell text, put in as it is: never for text that is not your own |
/// | `{{` and `}}` | braces |
/// | `{}`, `{ `, `${name}` | themselves: they mean something to the shell, and nothing here |
///
/// ```
/// use llb::prelude::*;
///
/// let packages = ["git", "python3-*"];
/// let state = image("debian").run(sh!("apt-get install -y {packages...} && awk '{{print $1}}' /etc/fstab"));
/// assert!(state.to_text().contains(r#""apt-get install -y git 'python3-*' && awk '{print $1}' /etc/fstab""#));
/// ```
///
/// Values can be given behind the text, as with [`format!`]: `sh!("make -j{jobs}", jobs = count + 1)`.
///
/// # What does not compile
///
/// Quotes, `$(` and `${` that are not closed; a value in backticks, in a comment or in a here-document, where quoting
/// does not work; several words inside quotes, or joined to other text.
///
/// ```compile_fail
/// # use llb::prelude::*;
/// let exec = sh!("echo 'hello");
/// ```
#[doc(inline)]
pub use llb_macros::sh;
