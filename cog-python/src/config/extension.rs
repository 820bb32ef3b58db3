//! `x-cog-python`: what this program knows beyond Cog.

use super::AptSnapshot;
use crate::ca::Certificates;
use crate::diagnostic::{Span, Spanned};
use crate::plan::{Compilers, Mount, Network, Pip, PythonProvider};
use crate::tables::{Architecture, Release};

/// The mapping `x-cog-python`. Cog ignores the key, so a file that has it stays valid there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// Day of the past that system packages are taken of.
    pub apt_snapshot: Option<Spanned<AptSnapshot>>,
    /// Base image.
    pub base: Option<Spanned<String>>,
    /// Certificates that programs in the image trust besides those of the base, of a file of the project.
    pub ca_cert: Option<Spanned<Certificates>>,
    /// Where the compilers of a GPU build are.
    pub compilers: Option<Spanned<Compilers>>,
    /// What runs as `pip` in the image.
    pub pip: Option<Spanned<Pip>>,
    /// Where Python comes from.
    pub python: Option<Spanned<PythonProvider>>,
    /// GPUs that the image must run on.
    pub gpu_architectures: Vec<Spanned<Architecture>>,
    /// NVIDIA driver that the image must run with.
    pub driver: Option<Spanned<Release>>,
    /// Commands that run after those of `build.run`.
    pub run: Vec<RunStep>,
}

/// A command with mounts of every kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStep {
    /// Shell text, trimmed.
    pub command: String,
    /// What the command sees besides the image.
    pub mounts: Vec<Mount>,
    /// Its network, when it is not the builder's.
    pub network: Option<Network>,
    /// The only folder that the image takes over of what the command writes.
    pub writes: Option<Spanned<String>>,
    /// Where it was written.
    pub span: Span,
}
