//! The procedural macros, documented where they are used.

/// A build from top to bottom, as a [`State`](crate::State).
///
/// Each statement is the method of `State` of the same name, so this writes nothing that builder calls cannot; it gives
/// them an order to read, checks what can be checked when the program is compiled, and reports all mistakes at once,
/// each under the word that made it.
///
/// ```
/// let packages = ["git", "curl"];
/// let app = llb::graph! {
///     from image("debian:bookworm-slim");
///     env DEBIAN_FRONTEND = "noninteractive";
///
///     fork tools {
///         run "apt-get update && apt-get install -y {packages...}" with
///             cache("/var/cache/apt", id = "apt", locked),
///             name "install tools";
///     }
///     fork config {
///         mkfile "/etc/app.conf" = "debug = false\n" mode 0o640 owner "root:adm";
///     }
///     merge tools + config;
///
///     copy local("context") "." => "/src" exclude [".git"];
///     workdir "/src";
///     entrypoint ["tini", "--"];
/// };
/// assert_eq!(app.to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:bookworm-slim"
/// %install-tools = exec "/bin/sh" "-c" "apt-get update && apt-get install -y git curl" cwd=/ name="install tools" {
///   env DEBIAN_FRONTEND="noninteractive"
///   / = %debian -> out0
///   /var/cache/apt = cache "apt" locked
/// }
/// %diff-install-tools = diff %debian -> %install-tools
/// %mkfile-app.conf = file {
///   on %debian
///   mkfile "/etc/app.conf" 0640 owner=0:adm "debug = false\n"
/// }
/// %diff-mkfile-app.conf = diff %debian -> %mkfile-app.conf
/// %merge-debian = merge %debian, %diff-install-tools, %diff-mkfile-app.conf
/// %context = local "context"
/// %copy-src = file {
///   on %merge-debian
///   copy %context "/" => "/src" contents-only create-destination exclude=".git"
/// }
/// return %copy-src
/// "#.trim_start());
/// ```
///
/// # Sources
///
/// A graph begins with `from` and a source: `image("…")`, `local("…")`, `git("…")`, `http("…")` and `oci_layout("…")`
/// with options of their builders (`image("debian", platform = platform, internal)`), `scratch`, or any Rust value that
/// is or becomes a state. Image references in quotes are checked. `graph name { from … }` builds another state under a
/// name, as a stage of a Dockerfile does:
///
/// ```
/// let app = llb::graph! {
///     graph build {
///         from image("golang:1.25");
///         run "go build -o /out/app ." with bind("/src", local("context"), readonly), dir "/src";
///     }
///     from scratch;
///     copy build "/out/app" => "/app";
///     entrypoint ["/app"];
/// };
/// # assert!(app.to_text().contains(r#"copy %go-build-app "/out/app" => "/app""#), "{}", app.to_text());
/// ```
///
/// # Commands
///
/// `run` takes a command line, with values as in [`sh!`](macro@crate::sh), a list of arguments, or an [`Exec`](crate::Exec). Behind
/// `with` stand its mounts, `bind(target, source)`, `cache(target, id = …)`, `tmpfs(target)`, `secret(target)`, `ssh`,
/// `device(name)`, and its settings, `env NAME = value`, `dir`, `user`, `name`, `network host`, `ignore_cache` and other
/// methods of [`Exec`](crate::Exec). `exec name = command with output("/out");` keeps the exec under a name, to take its outputs:
///
/// ```
/// let app = llb::graph! {
///     from image("golang:1.25");
///     exec build = "go build -o /out/app ." with output("/out"), cache("/root/.cache", id = "go");
///     run ["go", "vet", "./..."] with network none, env CGO_ENABLED = "0";
///     return build.output("/out");
/// };
/// ```
///
/// # Files
///
/// `copy state path => path`, `mkdir path`, `mkfile path = content`, `symlink new => old` and `rm path` take options
/// behind them: `mode 0o755`, `owner "app"`, `exclude [".git"]`, `parents`, `allow_not_found` and other methods of
/// [`FileActions`](crate::FileActions). `file { … }` makes one op of several.
///
/// # Layers and forks
///
/// `layer` puts a [`Layer`](crate::Layer) on the state, or a block under a name; `squash` does the same as one layer of the image;
/// `fork name { … }` or `fork name = layer;` branches off, and `merge a + b;` joins. A fork that is never used, two of
/// one name, and a merge after the state went on do not compile.
///
/// # Rust in a graph
///
/// Values are Rust expressions. `let`, `if`, `for` and `match` are those of Rust, with statements of the graph in their
/// blocks. The state so far is the variable `state`. `return` at the end gives another value than the last state:
///
/// ```
/// use llb::prelude::*;
///
/// let gpu = Some("12.4");
/// let (app, test) = llb::graph! {
///     from image("debian");
///     for locale in ["de_DE", "fr_CH"] {
///         run "locale-gen {locale}";
///     }
///     if let Some(version) = gpu {
///         layer "cuda {version}" {
///             run "install-cuda {version}";
///             env CUDA_VERSION = version;
///         }
///     }
///     let test = state.run(sh("make test"));
///     return (state, test);
/// };
/// # let (_, _): (State, State) = (app, test);
/// ```
///
/// Blocks of `fork`, `layer` and `squash` are closures: `?` and `return` in their values do not reach the function
/// around the graph; a `let` before them does.
#[doc(inline)]
pub use llb_macros::graph;

/// Makes a program of a build function: a command line that builds and prints, and a frontend when BuildKit starts it.
///
/// ```
/// use llb::gateway::{Build, Image, Result};
/// use llb::prelude::{image, sh};
///
/// /// Python with numpy.
/// #[llb::builder(name = "numpy-image")]
/// async fn build(cx: &mut Build) -> Result<Image> {
///     let version = cx.build_arg("PYTHON").unwrap_or("3.13");
///     Ok(image(format!("python:{version}-slim")).run(sh("pip install numpy")).into())
/// }
/// ```
///
/// | Command line | What it does |
/// |---|---|
/// | `numpy-image build -t me/numpy --push --build-arg PYTHON=3.12` | builds, with a daemon |
/// | `numpy-image text` | prints the graph, without a daemon |
/// | `numpy-image graph --format dot` | draws it, without a daemon |
/// | `numpy-image dump -o numpy.llb` | writes the definition, without a daemon |
/// | `docker build -f app.toml .`, with `# syntax=me/numpy-frontend` in the file | builds, if the program is in that [image](crate::gateway::frontend_image) |
///
/// The function stays as it is; the macro adds a `main` around [`Program`](crate::builder::Program) and
/// [`Frontend`](crate::gateway::Frontend), as the page of [`builder`](mod@crate::builder) shows it. The first paragraph
/// of the function's docs is the description of the program.
///
/// # Options
///
/// `#[builder(name = "…")]` is the name of the program in its help, the binary's if not given. `#[builder(crate = path)]`
/// is where this crate is, for crates that re-export it.
#[cfg(feature = "builder")]
#[doc(inline)]
pub use llb_macros::builder;

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
///     "error: the layer \"locale(de_DE)\" failed: found \"de_DE\", expected a locale such as C.UTF-8\n"
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
