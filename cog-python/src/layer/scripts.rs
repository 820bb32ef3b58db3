//! Shell text of steps, which the Dockerfile of a plan has word for word.

pub(crate) use super::apt::{CONFIG as APT_SETTINGS, SNAPSHOT as APT_SNAPSHOT, script as apt};
pub(crate) use super::facts::ASK_SCRIPT as ASK;
pub(crate) use super::python::{
    INSTALL_SCRIPT as INSTALL, SETTLE, UV_SCRIPT as UV, VENV_SCRIPT as VENV,
};
pub(crate) use super::wheels::COMPILE;

/// Takes debug information out of the environment that is its argument, with binutils; [`SETTLE`] has to come after it. The
/// graph has `llb-helper` for this.
pub(crate) const STRIP: &str = include_str!("strip.py");
