//! CUDA: from NVIDIA's images, from an apt repository, or from wheels.

use llb::{Constrain, Image, State, bind, file, scratch};

use super::apt::{AptError, install};
use super::{Joining, StepOptions, Tree, overlay};
use crate::tables::{Flavour, Release, Tables};

/// Where the key of a repository is while packages of it are installed.
const KEY: &str = "/run/cog-python/key.asc";
/// Where the list is.
const LIST: &str = "/etc/apt/sources.list.d/cog-python-cuda.list";

/// A CUDA that NVIDIA has no image of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("NVIDIA has no image of CUDA {cuda} with cuDNN {cudnn}{}", others(.known))]
pub struct CudaError {
    cuda: Release,
    cudnn: String,
    known: Vec<String>,
}

fn others(cudnns: &[String]) -> String {
    match cudnns {
        [] => String::new(),
        known => format!("; its images have cuDNN {}", known.join(", ")),
    }
}

/// NVIDIA's image of a CUDA and of a major version of cuDNN, by the table of this program: the newest release of the line,
/// on its newest Ubuntu.
///
/// ```
/// use cog_python::layer::cuda_image;
/// use cog_python::tables::Flavour;
///
/// let base = cuda_image(&"12.6".parse()?, "9", Flavour::Runtime)?;
/// assert!(base.to_text().contains("nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04"));
/// let error = cuda_image(&"12.6".parse()?, "7", Flavour::Runtime).unwrap_err();
/// assert_eq!(error.to_string(), "NVIDIA has no image of CUDA 12.6 with cuDNN 7; its images have cuDNN 9");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// There is no such image.
#[track_caller]
pub fn cuda_image(cuda: &Release, cudnn: &str, flavour: Flavour) -> Result<State, CudaError> {
    let images = &Tables::built_in().cuda;
    let reference = images
        .image(cuda, cudnn, flavour)
        .ok_or_else(|| CudaError {
            cuda: cuda.clone(),
            cudnn: cudnn.to_owned(),
            known: images
                .cudnns(cuda)
                .iter()
                .map(ToString::to_string)
                .collect(),
        })?;
    Ok(Image::new(reference.as_str())
        .name(format!("CUDA {cuda}"))
        .state())
}

/// An apt repository with the packages of CUDA.
#[derive(Clone, Debug)]
pub struct CudaRepository {
    /// What follows `deb [options]` in a list of apt: an address and a suite.
    line: String,
    /// The key that signs it: a file system with nothing but `/key.asc`.
    key: Option<State>,
}

impl CudaRepository {
    /// NVIDIA's own repository for a distribution, as its address names it (`debian12`, `ubuntu2204`), and a machine
    /// (`x86_64`, `sbsa`), with the digest that its key must have (`sha256:…`).
    pub fn nvidia(distribution: &str, machine: &str, key_digest: &str) -> Self {
        let url = format!(
            "https://developer.download.nvidia.com/compute/cuda/repos/{distribution}/{machine}/"
        );
        let key = llb::http(format!("{url}3bf863cc.pub"))
            .checksum(key_digest)
            .filename("key.asc")
            .chmod(0o644)
            .name("key of NVIDIA's repository");
        Self {
            line: format!("{url} /"),
            key: Some(key.state()),
        }
    }

    /// Another one, such as a mirror: an address and a suite, as a list of apt has them. `key` is a file system with the
    /// key that signs it as `/key.asc`; without one the repository is trusted as it is.
    pub fn of(line: impl Into<String>, key: Option<State>) -> Self {
        Self {
            line: line.into(),
            key,
        }
    }
}

/// Names of the packages of a CUDA's line, as NVIDIA's repository has them: `cuda-cudart` of 12.4 is `cuda-cudart-12-4`.
///
/// ```
/// let names = cog_python::layer::cuda_packages(&"12.4.1".parse()?, &["cuda-cudart", "libcublas"]);
/// assert_eq!(names, ["cuda-cudart-12-4", "libcublas-12-4"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cuda_packages(cuda: &Release, parts: &[&str]) -> Vec<String> {
    let line = cuda.line().replace('.', "-");
    let name = |part: &&str| format!("{part}-{line}");
    parts.iter().map(name).collect()
}

/// A layer with packages of an apt repository of CUDA: the parts that a program needs instead of an image with all of
/// them. Lists and keys are there for the step alone, so the image does not look there for updates.
///
/// ```
/// use cog_python::layer::{CudaRepository, StepOptions, cuda_apt};
///
/// let key = "sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c";
/// let repository = CudaRepository::nvidia("debian12", "x86_64", key);
/// let image = llb::image("debian:bookworm-slim")
///     .layer(cuda_apt(&["cuda-cudart-12-4", "libcublas-12-4"], &repository, &StepOptions::default()));
/// let text = image.to_text();
/// assert!(text.contains("repos/debian12/x86_64/ /"));
/// assert!(text.contains(r#""cuda-cudart-12-4" "libcublas-12-4""#));
/// ```
#[llb::layer]
pub fn cuda_apt(
    base: State,
    packages: &[&str],
    #[layer(skip)] repository: &CudaRepository,
    #[layer(skip)] options: &StepOptions,
) -> Result<State, AptError> {
    let trust = match &repository.key {
        Some(_) => format!("signed-by={KEY}"),
        None => "trusted=yes".to_owned(),
    };
    let list = format!("deb [{trust}] {}\n", repository.line);
    let list =
        scratch().file(file::mkfile("/cuda.list", 0o644, list).name("list of CUDA's packages"));
    let Some(exec) = install(packages, false, None)? else {
        return Ok(base);
    };
    let exec = exec.mount(bind(LIST, list).selector("/cuda.list").readonly());
    let exec = match &repository.key {
        Some(key) => exec.mount(bind(KEY, key).selector("/key.asc").readonly()),
        None => exec,
    };
    Ok(base.run(options.connected(exec.name(format!("CUDA by apt: {}", packages.join(" "))))))
}

/// A layer that lets a program find the libraries of CUDA that wheels have brought: NVIDIA's wheels put them below
/// `site-packages/nvidia`, where no loader looks. `environment` is the folder of the virtual environment and `python` its
/// release line; `parts` are folders there, such as `cublas` or `cudnn`. torch finds its own and needs none of this.
///
/// ```
/// use cog_python::layer::cuda_wheels;
///
/// let image = llb::image("python:3.12-slim").layer(cuda_wheels("/opt/venv", "3.12", &["cublas", "cudnn"]));
/// assert_eq!(
///     image.environment().get("LD_LIBRARY_PATH"),
///     Some("/opt/venv/lib/python3.12/site-packages/nvidia/cublas/lib:/opt/venv/lib/python3.12/site-packages/nvidia/cudnn/lib"),
/// );
/// ```
#[llb::layer]
pub fn cuda_wheels(base: State, environment: &str, python: &str, parts: &[&str]) -> State {
    const VARIABLE: &str = "LD_LIBRARY_PATH";
    let folder =
        |part: &&str| format!("{environment}/lib/python{python}/site-packages/nvidia/{part}/lib");
    let before = base.environment().get(VARIABLE).map(str::to_owned);
    let folders: Vec<String> = parts.iter().map(folder).chain(before).collect();
    base.env(VARIABLE, folders.join(":"))
        .env("NVIDIA_VISIBLE_DEVICES", "all")
        .env("NVIDIA_DRIVER_CAPABILITIES", "compute,utility")
}

/// A layer with folders of another file system: of one with compilers, for example, on which they were made. What else was
/// done there is not in the image.
///
/// ```
/// use cog_python::layer::{StepOptions, apt, cuda_image, folders_of};
/// use cog_python::tables::Flavour;
///
/// let cuda = "12.6".parse()?;
/// let devel = cuda_image(&cuda, "9", Flavour::Devel)?
///     .layer(apt(&["cmake"], false, &StepOptions::default()))
///     .run(llb::sh("make -C /work install PREFIX=/opt/kernels"));
/// let image = cuda_image(&cuda, "9", Flavour::Runtime)?.layer(folders_of(&["/opt/kernels"], &devel));
/// assert!(image.to_text().contains(r#""/opt/kernels" => "/opt/kernels""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[llb::layer]
pub fn folders_of(base: State, folders: &[&str], #[layer(skip)] other: &State) -> State {
    let trees = folders.iter().map(|folder| {
        let copy = file::copy(other, *folder, *folder)
            .contents_only()
            .create_destination();
        Tree::copied(copy.name(format!("take {folder}")), *folder)
    });
    overlay(&base, trees, Joining::Merge)
}
