//! `plan --llb`: the graph of a plan.

use std::io::{self, Write as _};

use llb::MarshalOptions;
use llb::lower::Helper;

use super::args::LlbOption;
use super::{Failure, print, print_bytes};
use crate::layer::{Circumstances, outline};
use crate::plan::Plan;

/// Prints the graph of a plan, as far as it is known before a build.
pub(super) fn print_graph(plan: &Plan, form: LlbOption) -> Result<(), Failure> {
    let is_open = plan
        .wheels()
        .is_some_and(|(_, install)| install.groups.is_none());
    if is_open {
        // Nothing is left to tell a person whose terminal is gone.
        let _ = writeln!(
            io::stderr().lock(),
            "warning: packages are chosen in the middle of the build: a copy of their lock stands for them\n  = hint: \
             with a lock in the project (`cog-python lock`) the graph is known as a whole"
        );
    }
    let helpers = Helper::find_all().map_err(|error| Failure::new(error.to_string()))?;
    let circumstances = Circumstances {
        helper: helpers.into_iter().next(),
        ..Circumstances::default()
    };
    let fail =
        |error: &dyn std::fmt::Display| Failure::new(format!("the plan gives no graph: {error}"));
    let state = outline(plan, &circumstances).map_err(|error| fail(&error))?;
    let platform = plan.platform.parse().map_err(|error| fail(&error))?;
    let definition = state
        .marshal(&MarshalOptions::new(platform))
        .map_err(|error| fail(&error))?;
    match form {
        LlbOption::Text => print(&definition.to_text()),
        LlbOption::Dot => print(&definition.to_dot()),
        LlbOption::Protobuf => print_bytes(&definition.to_bytes()),
    }
}
