//! Layers: what a build does, as functions over [`llb::State`].
//!
//! Each is a function of its own, usable without a plan or a `cog.yaml`. Two kinds of states go
//! through them:
//!
//! * a **whole** file system, such as the base image or the base with system packages;
//! * a **tree**: nothing but one folder, made by a step that ran on a whole file system with that
//!   folder mounted. Whatever else the step wrote is dropped, so a tree can be laid over any whole
//!   file system without bringing files of the base along, and without computing a difference.
//!
//! [`overlay`] lays trees over a whole file system: by `MergeOp`, which costs nothing, or by
//! copying where an engine lacks it. Both give the same files.
//!
//! Functions that make a whole file system of another one are [layers](mod@llb::layer) and compose as
//! such; those that make trees are told what they run on.
//!
//! ```
//! use cog_python::layer::{self, Joining, StepOptions};
//!
//! let base = llb::image("python:3.12-slim");
//! let apt = base.layer(layer::apt(&["ffmpeg"], true, &StepOptions::default()));
//! let venv = layer::venv_tree(&base, &layer::Interpreter::in_path("3.12".parse()?), "/opt/venv", false, &[], &StepOptions::default());
//! let image = layer::overlay(&apt, [venv], Joining::Merge);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apt;
mod artifact;
mod check;
mod config;
mod cuda;
mod facts;
mod graph;
mod lock;
mod program;
mod python;
mod run;
pub(crate) mod scripts;
mod source;
mod stack;
mod step;
mod tini;
mod tree;
mod weights;
mod wheel;
mod wheels;

pub use apt::{AptError, apt};
pub(crate) use artifact::{LOGINS as WEIGHTS_LOGINS, words as artifact_words};
pub use check::check;
pub use config::configure;
pub use cuda::{
    CudaError, CudaRepository, cuda_apt, cuda_image, cuda_packages, cuda_wheels, folders_of,
};
pub use facts::{PACKAGES_FILE, ask_schema, packages};
pub use graph::{
    Base, Circumstances, Graph, GraphError, built_wheels, graph, graphs, inspection_of, lock_of,
    outline, unlocked,
};
pub(crate) use lock::REQUIREMENTS_FOLDER;
pub use lock::{FACTS_FILE, LOCK_FILE, LOCK_FOLDER, lock};
pub use program::{Program, remote, uv};
pub use python::{Interpreter, Uv, uv_python, uv_python_tree, venv, venv_tree};
pub use run::{run, run_tree};
pub use source::{Context, project, source, write};
pub(crate) use stack::Stack;
pub(crate) use step::SSH_COMMAND;
pub use step::StepOptions;
pub use tini::{TiniError, tini};
pub use tree::{Joining, Tree, overlay};
pub(crate) use weights::{
    ENDPOINT as WEIGHTS_ENDPOINT, FETCH as WEIGHTS_FETCH, FETCHER as WEIGHTS_FETCHER,
    TOKEN as WEIGHTS_TOKEN,
};
pub use weights::{WeightsFrom, weights, weights_tree};
pub use wheel::{ARCHIVE_FOLDER, wheel};
pub use wheels::{
    COLLISIONS_FILE, DISTRIBUTIONS_FILE, Environment, WheelFile, compiled_wheels, inspect, wheels,
};
