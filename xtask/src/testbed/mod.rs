//! The testbed: a real BuildKit and a registry on a machine that has neither.
//!
//! `cargo xtask testbed up` turns a bare Debian machine into a place where builds run for real.
//! Everything comes from Debian's archive, verified with the archive keyring of the machine, is
//! unpacked into one folder (`target/testbed`), and is gone after `down --purge`:
//!
//! * two Docker engines side by side on one containerd. `containerd` keeps images in containerd's
//!   store, where BuildKit can merge and diff; `graphdriver` keeps them in the classic store,
//!   where BuildKit refuses both. Programs have to work on each.
//! * a registry on loopback that both engines use as their mirror of Docker Hub.
//! * base images under the names users write (`debian:bookworm-slim`, `python:3.11-slim`, ...),
//!   made from Debian's packages, in the layout that Docker Hub's images have.
//! * Python builds and a download list for uv, for installs of uv-managed Pythons.
//!
//! # Where things are
//!
//! ```text
//! target/testbed/
//!   state.json     how to reach it all; there exactly while the testbed is up (see [`State`])
//!   lock           held while `up` or `down` work
//!   run/           sockets and configs of the running daemons (a short folder in /tmp when the
//!                  path would be too long for a socket)
//!   log/           one log per daemon and per step
//!   tools/         the unpacked programs
//!   apt/           private apt state, one folder per suite
//!   cache/         packages downloaded by debootstrap
//!   data/          what the daemons store
//!   uv-python/     Python builds and download list for uv
//! ```
//!
//! # Invariants
//!
//! * Nothing is installed into the system and no system service is touched. What the engine itself
//!   insists on (`/run/docker/plugins`, `/run/containerd/s`) are empty folders after `down`.
//! * Every process the testbed starts carries a mark in its environment ([`process`]), and only
//!   processes with this mark, checked against reuse of process ids, are ever signaled.
//! * Nothing is deleted before the mounts below it are gone ([`mounts`]).

mod apt;
mod arguments;
mod assemble;
mod cgroups;
mod daemon;
mod down;
mod engine;
pub(crate) mod http;
mod image;
mod layer;
mod layout;
mod lock;
mod mounts;
mod ports;
mod process;
mod python;
mod registry;
mod report;
mod rootfs;
mod shell;
mod sources;
mod state;
mod status;
mod system;
mod tools;
mod up;
mod uv;

pub(crate) use arguments::{Command, bring_up, run, take_down};
