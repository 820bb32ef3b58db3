//! The command line, in the words of Cog and of Docker's build command.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use llb::command_line::OnError;
use llb::progress::DisplayMode;
use llb::value::ImageRef;

use super::input::InputOption;
use super::output::OutputOption;
use crate::config::{AptSnapshot, ImageName};
use crate::engine::Gpus;
use crate::model::ResolveMode;
use crate::plan::{Compilers, Network, PythonProvider};
use crate::resolution::Platform;
use crate::sdk::SdkVersion;
use crate::tables::{Architecture, Release};

/// Builds Cog models as container images through BuildKit.
#[derive(Debug, Parser)]
#[command(name = "cog-python", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build the model's image.
    Build(BuildCommand),
    /// Show what a build would do, and why.
    Plan(PlanCommand),
    /// Build the model's image and push it.
    Push(PushCommand),
    /// Start the model and ask it for one prediction.
    #[command(visible_alias = "run")]
    Predict(PredictCommand),
    /// Write down which files of which packages are installed, as a pylock.toml.
    Lock(LockCommand),
    /// Start the model and have it train.
    Train(TrainCommand),
    /// Serve predictions of the model until it is interrupted.
    Serve(ServeCommand),
    /// Run a command in the model's environment, in the project's folder.
    Exec(ExecCommand),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the JSON schema of cog.yaml, for editors.
    Schema,
    /// Write the files of a new model into this folder; files that are there stay.
    Init,
    /// Check the project, the GPUs of this machine and the builder.
    Doctor(DoctorCommand),
    /// Say what a build would run again, compared with the last one, and why.
    Explain(ExplainCommand),
    /// Build twice without the cache, and compare the images.
    Verify(VerifyCommand),
    /// Print a Dockerfile that does the same as a build.
    #[command(hide = true)]
    Debug(DebugCommand),
    /// Make an image of this program that `docker build` runs as a frontend (`# syntax=IMAGE`).
    FrontendImage(FrontendImageCommand),
}

/// What decides about a plan.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlanArgs {
    /// Configuration file; its folder is the project [default: the next cog.yaml upwards].
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Name of the image (repeatable) [default: `image` of cog.yaml, or the folder's name].
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(crate) tag: Vec<ImageName>,
    /// Platform of the image; several, separated by commas, are built as one index [default: linux/amd64].
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// Where Python comes from [default: the base image, or uv if it has none].
    #[arg(long, value_enum, value_name = "PROVIDER")]
    pub(crate) python_provider: Option<ProviderOption>,
    /// Base image [default: python:VERSION-slim, debian:bookworm-slim with uv, nvidia/cuda for a GPU].
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["use_cog_base_image", "use_cuda_base_image"])]
    pub(crate) base: Option<ImageRef>,
    /// Use one of Cog's own base images.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "use_cuda_base_image")]
    pub(crate) use_cog_base_image: Option<bool>,
    /// Base a GPU build on NVIDIA's image [default: auto, which does].
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) use_cuda_base_image: Option<CudaBaseOption>,
    /// Where the compilers of a GPU build are [default: in the build alone, unless a command may need them anywhere].
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(crate) compilers: Option<CompilersOption>,
    /// GPU that the image must run on, by its compute capability, such as 9.0 (repeatable).
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) gpu_arch: Vec<Architecture>,
    /// NVIDIA driver that the image must run with.
    #[arg(long, value_name = "VERSION")]
    pub(crate) driver: Option<Release>,
    /// File of tables laid over those of the program: releases of torch, TensorFlow, CUDA, GPUs.
    #[arg(long, value_name = "FILE")]
    pub(crate) tables: Option<PathBuf>,
    /// OpenAPI schema of the model [default: read from the code that `run` and `train` name].
    #[arg(long, env = "COG_OPENAPI_SCHEMA", value_name = "FILE")]
    pub(crate) openapi_schema: Option<PathBuf>,
    /// Build without an OpenAPI schema when it cannot be read.
    #[arg(long)]
    pub(crate) skip_schema_validation: bool,
    /// Leave the project out of the image; it is mounted when the image runs.
    #[arg(long)]
    pub(crate) no_source: bool,
    /// Put weights of the project into layers of their own: folders without code that hold a file of 10 MiB or more.
    #[arg(long)]
    pub(crate) separate_weights: bool,
    /// Copy what `weights` of cog.yaml names into the image, each in a layer of its own.
    #[arg(long)]
    pub(crate) include_weights: bool,
    /// Version of Cog's Python package, or `prerelease` [default: a fixed release].
    #[arg(long, value_name = "VERSION")]
    pub(crate) sdk_version: Option<SdkVersion>,
    /// Where Cog's Python package comes from, before any version: pypi, pypi:VERSION, or a wheel by its address or its
    /// path in the project.
    #[arg(long, env = "COG_SDK_WHEEL", value_name = "ORIGIN", value_parser = public_url)]
    pub(crate) sdk_wheel: Option<String>,
    /// Registry of Cog's base images, and of a model whose name has none [default: r8.im].
    #[arg(long, env = "COG_REGISTRY_HOST", value_name = "HOST", value_parser = registry)]
    pub(crate) registry: Option<String>,
    /// Image that holds the uv program.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) uv_image: Option<ImageRef>,
    /// List of Pythons that uv chooses from (https:// or file:// in the base image).
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pub(crate) uv_downloads: Option<String>,
    /// Network of the steps that fetch something.
    #[arg(long, value_enum, default_value_t = NetworkOption::Default, value_name = "MODE")]
    pub(crate) network: NetworkOption,
    /// Install Python packages after the system packages in any case.
    #[arg(long)]
    pub(crate) pip_after_apt: bool,
    /// Compile the modules of packages: they load faster the first time, and the image is larger.
    #[arg(long)]
    pub(crate) precompile: bool,
    /// Leave out the debug information of programs and libraries in packages: the image is smaller.
    #[arg(long)]
    pub(crate) strip: bool,
    /// Leave out what system packages only recommend.
    #[arg(long)]
    pub(crate) no_recommends: bool,
    /// Day that system packages are taken of, such as 2025-08-01 [default: the day of the build].
    #[arg(long, value_name = "DAY")]
    pub(crate) apt_snapshot: Option<AptSnapshot>,
    /// Certificates that programs in the image trust besides those of the base: file, folder, PEM or base64 of PEM.
    #[arg(long, value_name = "CERTIFICATES", allow_hyphen_values = true)]
    pub(crate) image_ca_cert: Option<String>,
    /// Label of the image (repeatable).
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
}

// A variable of the environment that is empty counts as not set.
impl PlanArgs {
    /// The file with the OpenAPI schema.
    pub(crate) fn openapi_schema(&self) -> Option<&Path> {
        let file = self.openapi_schema.as_deref();
        file.filter(|file| !file.as_os_str().is_empty())
    }

    /// The registry that stands for Cog's own.
    pub(crate) fn registry(&self) -> Option<&str> {
        self.registry.as_deref().filter(|host| !host.is_empty())
    }
}

/// Who builds.
#[derive(Args, Clone, Debug)]
pub(crate) struct BuilderArgs {
    /// Address of BuildKit: unix://, tcp://, docker:// …, or the name of a builder of buildx [default: searched].
    #[arg(
        long,
        visible_alias = "builder",
        env = "BUILDKIT_HOST",
        value_name = "ADDRESS"
    )]
    pub(crate) addr: Option<String>,
}

/// What decides about a build.
#[derive(Args, Clone, Debug)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) builder: BuilderArgs,
    /// How progress is shown: auto, tty, plain, rawjson or quiet.
    #[arg(long, env = "BUILDKIT_PROGRESS", default_value_t, value_name = "MODE")]
    pub(crate) progress: DisplayMode,
    /// What the files of the image are made from.
    #[arg(long, value_enum, default_value_t = BackendOption::Llb, value_name = "BACKEND")]
    pub(crate) backend: BackendOption,
    /// Secret of a step: id=NAME,src=FILE or id=NAME,env=VARIABLE (repeatable); with another
    /// version=TEXT its steps run again.
    #[arg(long, value_name = "SECRET")]
    pub(crate) secret: Vec<String>,
    /// SSH agent of a step: default, or NAME=SOCKET (repeatable).
    #[arg(long, value_name = "AGENT")]
    pub(crate) ssh: Vec<String>,
    /// Build everything anew.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Cache to read, such as type=registry,ref=NAME or type=local,src=FOLDER (repeatable).
    #[arg(long, value_name = "CACHE")]
    pub(crate) cache_from: Vec<String>,
    /// Cache to write, such as type=registry,ref=NAME,mode=max or type=inline (repeatable).
    #[arg(long, value_name = "CACHE")]
    pub(crate) cache_to: Vec<String>,
    /// What takes the place of the image of this name, or is mounted by it: a folder, or an address such as
    /// `docker-image://NAME` (repeatable).
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) build_context: Vec<(String, String)>,
    /// Give files of the project the modes of a plain checkout, 0644 or 0755, whatever the umask of this machine.
    #[arg(long)]
    pub(crate) fixed_modes: bool,
    /// Give steps the proxies that `HTTP_PROXY`, `HTTPS_PROXY`, `FTP_PROXY`, `NO_PROXY` and `ALL_PROXY` name.
    #[arg(long)]
    pub(crate) proxy: bool,
    /// Time that the image says it was made at, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timestamp: Option<i64>,
    /// Certificates that steps trust besides the host's: file, folder, PEM or base64 of PEM
    /// [default: `COG_CA_CERT`, then the bundle the host's variables name].
    #[arg(long, value_name = "CERTIFICATES", allow_hyphen_values = true)]
    pub(crate) ca_cert: Option<String>,
    /// Trust only the certificates of --ca-cert.
    #[arg(long, requires = "ca_cert")]
    pub(crate) ca_only: bool,
}

/// `build`.
#[derive(Args, Debug)]
pub(crate) struct BuildCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// Push the image to its registry, and keep it in the engine only with --load.
    #[arg(long)]
    pub(crate) push: bool,
    /// Put the image into the engine, also when there are other outputs.
    #[arg(long)]
    pub(crate) load: bool,
    /// Where the result goes, such as type=oci,dest=image.tar (repeatable) [default: the engine].
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Vec<OutputOption>,
    /// Annotation of the image's manifest (repeatable).
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) annotation: Vec<(String, String)>,
    /// File for what the builder says about the result, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// File for the digest of the image.
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Print what is known of the build as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell the size of each layer of the image, the largest first.
    #[arg(long)]
    pub(crate) size_report: bool,
    /// What to do when the command of a step fails: `shell` opens one in the step, with the files as it left them.
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_error: Option<OnError>,
}

/// `push`.
#[derive(Args, Debug)]
pub(crate) struct PushCommand {
    /// Name to push to, when neither `model` of cog.yaml nor `COG_MODEL` has one.
    pub(crate) image: Option<ImageName>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// Annotation of the image's manifest (repeatable).
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) annotation: Vec<(String, String)>,
    /// Print what is known of the build as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Print the plan as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print a Dockerfile that does the same and needs no other file.
    #[arg(long, conflicts_with_all = ["json", "explain"])]
    pub(crate) dockerfile: bool,
    /// Print the steps as a picture: for Graphviz, or as SVG.
    #[arg(long, value_enum, value_name = "FORM", num_args = 0..=1, default_missing_value = "dot", conflicts_with_all = ["json", "explain", "dockerfile"])]
    pub(crate) graph: Option<GraphOption>,
    /// Print the graph that BuildKit is given: as text, for Graphviz, or as the bytes of its definition.
    #[arg(long, value_enum, value_name = "FORM", num_args = 0..=1, default_missing_value = "text", conflicts_with_all = ["json", "explain", "dockerfile", "graph"])]
    pub(crate) llb: Option<LlbOption>,
    /// Say of every decision what else could have been chosen, and why it was not.
    #[arg(long, conflicts_with = "json")]
    pub(crate) explain: bool,
}

/// `lock`.
#[derive(Args, Debug)]
pub(crate) struct LockCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// File to write, in the project [default: pylock.toml; - is the terminal].
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write down what the tags of images stand for, too: the base image, and what steps are run on or lent.
    #[arg(long)]
    pub(crate) pin_images: bool,
}

/// `doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) builder: BuilderArgs,
    /// Change what has a better form now: old names, removed imports, models of pydantic. All files are written, or none.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print the checks and their findings as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// What to compare with: a folder, a plan as JSON, or a commit of git [default: the last build].
    #[arg(long, value_name = "STATE")]
    pub(crate) against: Option<String>,
    /// Ask the builder whether the tag of the base image has moved since the last build.
    #[arg(long, conflicts_with = "against")]
    pub(crate) check_base: bool,
    #[command(flatten)]
    pub(crate) builder: BuilderArgs,
    /// Print the comparison as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// Give the files of the image its time, where they are newer.
    #[arg(long)]
    pub(crate) rewrite_timestamp: bool,
}

/// `debug`.
#[derive(Args, Debug)]
pub(crate) struct DebugCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
}

/// `frontend-image`.
#[derive(Args, Debug)]
pub(crate) struct FrontendImageCommand {
    /// Name of the image.
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(crate) tag: ImageName,
    /// Program to put into it, which needs no shared libraries [default: this program].
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
    /// Platform of the program.
    #[arg(long, default_value = "linux/amd64", value_name = "OS/ARCH")]
    pub(crate) platform: Platform,
    /// Push the image to its registry.
    #[arg(long)]
    pub(crate) push: bool,
    /// Where the result goes, such as type=oci,dest=image.tar (repeatable) [default: the engine].
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Vec<OutputOption>,
    #[command(flatten)]
    pub(crate) builder: BuilderArgs,
    /// How progress is shown: auto, tty, plain, rawjson or quiet.
    #[arg(long, env = "BUILDKIT_PROGRESS", default_value_t, value_name = "MODE")]
    pub(crate) progress: DisplayMode,
}

/// How a model is started.
#[derive(Args, Debug)]
pub(crate) struct LaunchArgs {
    /// Variable of the container (repeatable).
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<String>,
    /// GPUs: all, none, a number, or device=0,1 [default: all that there are, if the model wants one].
    #[arg(long, value_name = "GPUS")]
    pub(crate) gpus: Option<Gpus>,
    /// Where a named image is looked for.
    #[arg(long, value_enum, default_value_t = ResolveOption::PreferLocal, value_name = "MODE")]
    pub(crate) resolve: ResolveOption,
    /// Seconds the model may take to set up.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) setup_timeout: u64,
    /// Docker engine that runs the image [default: /var/run/docker.sock].
    #[arg(long, env = "DOCKER_HOST", value_name = "ADDRESS")]
    pub(crate) docker_host: Option<String>,
}

/// What a model is asked.
#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// Image to use instead of building one.
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
    /// Input: name=value, or name=@file (repeatable; lists one by one).
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<InputOption>,
    /// All inputs as a JSON object, as @file, or as @- from standard input; the whole answer is printed as JSON.
    #[arg(long, value_name = "OBJECT", conflicts_with = "input")]
    pub(crate) json: Option<String>,
    /// File for the output [default: output.EXTENSION for files, weights for a training].
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Give the model the variable `REPLICATE_API_TOKEN`.
    #[arg(long)]
    pub(crate) use_replicate_token: bool,
}

/// `predict`.
#[derive(Args, Debug)]
pub(crate) struct PredictCommand {
    #[command(flatten)]
    pub(crate) ask: PredictArgs,
}

/// `train`.
#[derive(Args, Debug)]
pub(crate) struct TrainCommand {
    #[command(flatten)]
    pub(crate) ask: PredictArgs,
}

/// `serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeCommand {
    /// Image to use instead of building one.
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
    /// Port on this computer.
    #[arg(short, long, default_value_t = 8393, value_name = "PORT")]
    pub(crate) port: u16,
    /// Address on this computer.
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    pub(crate) host: IpAddr,
    /// Where files of outputs are uploaded to.
    #[arg(long, value_name = "URL")]
    pub(crate) upload_url: Option<String>,
}

/// `exec`.
#[derive(Args, Debug)]
pub(crate) struct ExecCommand {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
    /// Port that is published on this computer (repeatable).
    #[arg(short, long, value_name = "PORT")]
    pub(crate) publish: Vec<u16>,
    /// Command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// Values of `--resolve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResolveOption {
    /// In the engine, then in the registry.
    PreferLocal,
    /// In the registry, then in the engine.
    PreferRemote,
    /// In the engine only.
    Local,
    /// In the registry only.
    Remote,
}

impl From<ResolveOption> for ResolveMode {
    fn from(option: ResolveOption) -> Self {
        match option {
            ResolveOption::PreferLocal => Self::PreferLocal,
            ResolveOption::PreferRemote => Self::PreferRemote,
            ResolveOption::Local => Self::Local,
            ResolveOption::Remote => Self::Remote,
        }
    }
}

/// Values of `--python-provider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderOption {
    /// The base image has it.
    Base,
    /// uv installs it.
    Uv,
}

impl From<ProviderOption> for PythonProvider {
    fn from(option: ProviderOption) -> Self {
        match option {
            ProviderOption::Base => Self::Base,
            ProviderOption::Uv => Self::Uv,
        }
    }
}

/// Values of `--graph`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphOption {
    /// For Graphviz.
    Dot,
    /// For browsers.
    Svg,
}

/// Values of `--llb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LlbOption {
    /// Text, one op after the other.
    Text,
    /// For Graphviz.
    Dot,
    /// Protobuf, as `buildctl build` takes it.
    Protobuf,
}

/// Values of `--use-cuda-base-image`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CudaBaseOption {
    /// When the build is for a GPU.
    Auto,
    /// As auto.
    True,
    /// Never: CUDA comes with the wheels.
    False,
}

impl From<CudaBaseOption> for Option<bool> {
    fn from(option: CudaBaseOption) -> Self {
        match option {
            CudaBaseOption::Auto => None,
            CudaBaseOption::True => Some(true),
            CudaBaseOption::False => Some(false),
        }
    }
}

/// Values of `--compilers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompilersOption {
    /// In the build alone: wheels and the folders of `writes` are taken over.
    Build,
    /// In the image, for models that compile when they run.
    Image,
}

impl From<CompilersOption> for Compilers {
    fn from(option: CompilersOption) -> Self {
        match option {
            CompilersOption::Build => Self::Build,
            CompilersOption::Image => Self::Image,
        }
    }
}

/// Values of `--network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkOption {
    /// What the builder gives.
    Default,
    /// The builder host's own.
    Host,
    /// None.
    None,
}

impl From<NetworkOption> for Network {
    fn from(option: NetworkOption) -> Self {
        match option {
            NetworkOption::Default => Self::Default,
            NetworkOption::Host => Self::Host,
            NetworkOption::None => Self::None,
        }
    }
}

/// Values of `--backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendOption {
    /// A graph: steps run side by side, and trees are merged.
    Llb,
    /// The plan's Dockerfile, built by the engine's own frontend.
    Dockerfile,
}

/// Everything a plan holds can be seen by whoever has the image.
fn public_url(text: &str) -> Result<String, String> {
    if crate::requirement::has_credentials(text) {
        return Err("must not hold a user name with a password or a token".to_owned());
    }
    Ok(text.to_owned())
}

/// A host, which may have folders behind it.
fn registry(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let names_image = format!("{text}/x").parse::<ImageName>().is_ok();
    let host = text.split('/').next().unwrap_or_default();
    if names_image && (host == "localhost" || host.contains(['.', ':'])) {
        Ok(text.to_owned())
    } else {
        Err("must be a host such as `registry.example.com`".to_owned())
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be `KEY=VALUE`".to_owned()),
    }
}

fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("must be `NAME=VALUE`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
