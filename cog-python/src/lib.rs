//! Builds Cog models as container images through BuildKit, and explains every decision.
//!
//! ```text
//! cog.yaml ─► Config ─► Resolution ─► Plan ─► graph ─► image
//!   files      what is      what is     what is
//!              written      chosen      done
//! ```
//!
//! Each arrow is a function without side effects; only the program (`cli`) reads files, talks to
//! a builder and starts containers.
//!
//! | Module | Holds |
//! |---|---|
//! | [`config`] | `cog.yaml`, with every mistake found at once |
//! | [`requirement`] | Python requirements, as pip is given them |
//! | [`tables`] | which wheels, images and GPU architectures go together |
//! | [`resolution`] | the choices `cog.yaml` leaves open, with reasons |
//! | [`lock`] | which release of each package, from which files |
//! | [`wheel`] | which wheel fits, which wheels share a layer |
//! | [`plan`] | all a build will do, as a value with a JSON form |
//! | [`layer`] | the steps as functions over [`llb::State`], and the graph of a plan |
//! | `factory` | images of plans, made in a running build (feature `cli`) |
//! | [`cog`] | what Cog itself makes of a project, for comparison |
//! | [`ca`] | certificate bundles for steps behind an inspecting proxy |
//! | [`diagnostic`] | findings with place and excerpt |
//!
//! ```
//! use std::collections::BTreeMap;
//! use cog_python::{Options, Plan, Source, config};
//!
//! let files = BTreeMap::from([("run.py".to_owned(), String::new())]);
//! let source = Source::new("cog.yaml", "build:\n  python_version: \"3.12\"\nrun: run.py:Runner\n");
//! let (config, report) = config::read(&source, &files, None);
//! assert_eq!(report.to_string(), "");
//! let (plan, report) = Plan::new(&config.unwrap(), &Options::default());
//! assert_eq!(report.to_string(), "");
//! let plan = plan.unwrap();
//! assert_eq!(plan.steps[0].name, "base");
//! assert_eq!(Plan::from_json(&plan.to_json())?, plan);
//! # Ok::<(), cog_python::plan::PlanError>(())
//! ```

mod base64;
pub mod ca;
pub mod cog;
pub mod config;
pub mod diagnostic;
pub mod files;
pub mod labels;
pub mod layer;
pub mod lock;
pub mod model;
pub mod netrc;
pub mod plan;
pub mod requirement;
pub mod resolution;
pub mod schema;
pub mod sdk;
pub mod secret;
mod suggest;
pub mod tables;
pub mod weights;
pub mod wheel;
mod yaml;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod doctor;
#[cfg(feature = "cli")]
mod engine;
#[cfg(feature = "cli")]
pub mod factory;
#[cfg(feature = "cli")]
mod http;
#[cfg(feature = "cli")]
mod registry;

pub use config::Config;
pub use diagnostic::{Report, Source};
pub use plan::Plan;
pub use resolution::{Options, Resolution};
