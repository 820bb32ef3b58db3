//! The same graph for engines that lack an ability: what stands in its place, and what that means.
//!
//! Many engines cannot run merges and differences: a Docker engine only can with the containerd image store.
//! [`Definition::lower`](crate::Definition::lower) replaces what the engine at hand cannot run, before anything is sent to
//! it, and says what it did. It is a function of the graph, the engine's capabilities and a [`Policy`]; an engine that has
//! everything gets the graph as it is.
//!
//! ```
//! use llb::lower::Policy;
//! use llb::prelude::*;
//! use llb::value::{Capability, CapabilitySet};
//!
//! let base = scratch().mkdir("/opt", 0o755).mkfile("/opt/a", 0o644, "a\n");
//! let b = base.fork(|state| state.mkfile("/opt/b", 0o644, "b\n"));
//! let c = base.fork(|state| state.mkfile("/opt/c", 0o644, "c\n"));
//! let definition = base.merge([b, c]).marshal(&MarshalOptions::linux_amd64())?;
//!
//! let old = CapabilitySet::all().difference([Capability::MergeOp, Capability::DiffOp].into_iter().collect());
//! let lowered = definition.lower(old, &Policy::new())?;
//! assert_eq!(
//!     lowered.report[0].to_string(),
//!     "%merge-mkfile-a: mergeop -> chain: the same files (file actions and declared paths that never meet)"
//! );
//! assert!(lowered.definition.required_caps().difference(old).is_empty());
//! # Ok::<(), llb::Error>(())
//! ```
//!
//! # What is the same
//!
//! A lowered merge is identical to the merge in names, kinds, contents, link targets, modes, owners, file capabilities and
//! file times. Left out are things that depend on an engine's storage or on how a result is read even where merges are
//! real: times of directories; `user.*` attributes; new names (hard links) of unchanged files of the base; content that
//! changes while size and time stay; sockets; mode and owner of the root directory; names that begin with `.wh.`. Where an
//! image is merged as a whole, deletions inside it act on nothing before it; that is reported.
//!
//! # What takes the place of a merge
//!
//! The first of these that is possible:
//!
//! | [`Replacement`] | when | [`Effect`] |
//! |---|---|---|
//! | a state | the graph has one that is made of the same layers, as of a merge of one branch | the same |
//! | a chain | file actions, or forks that declare what they write ([`Fork::writes`](crate::Fork::writes)), that never meet | the same |
//! | applied differences | there is a [`Helper`] | the same, for an exec each |
//! | a chain | [`Policy::chain_with_warning`] | may differ |
//!
//! Else the graph is refused, with the reason and the ways out. Copies never stand in for a merge: they bring unchanged
//! files back and lose deletions. `docs/lowering.md` of the repository has the whole story.
//!
//! # What else an engine may lack
//!
//! Settings that change no files, such as limits, are left out with a notice. What an engine would ignore without a word,
//! such as a symbolic link by file action, is refused like everything else that it lacks.

mod apply;
mod chain;
mod declared;
mod draft;
mod helper;
mod layers;
mod missing;
mod policy;
mod prove;
mod report;
mod rewire;
mod touch;
mod view;
mod walk;

pub(crate) use declared::Declared;
pub use helper::Helper;
#[cfg(feature = "client")]
pub(crate) use missing::may_need;
pub use policy::Policy;
pub use report::{Effect, Lowering, Replacement};

use crate::definition::Definition;
use crate::error::Error;
use crate::value::CapabilitySet;
use view::Graph;
use walk::Walk;

/// A graph that an engine can run, and what was replaced in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lowered {
    /// The graph. It is the one that was given if nothing had to be replaced.
    pub definition: Definition,
    /// What was replaced, in the order of the graph.
    pub report: Vec<Lowering>,
}

impl Definition {
    /// Whether an engine with these capabilities lacks something that the graph needs.
    pub fn needs_lowering(&self, caps: CapabilitySet) -> bool {
        !self.required_caps().difference(caps).is_empty() || missing::has_hidden(self, caps)
    }

    /// This graph for an engine with these capabilities; see [`lower`](crate::lower).
    ///
    /// Of a state, lower the definition: `state.marshal(&options)?.lower(caps, &policy)?`; with
    /// [`Definition::state`] the result can be built on. The client does this for every build.
    ///
    /// # Errors
    ///
    /// Everything that the policy does not allow to be replaced, each with the reason and the ways out.
    pub fn lower(&self, caps: CapabilitySet, policy: &Policy) -> Result<Lowered, Error> {
        if !self.needs_lowering(caps) {
            return Ok(Lowered {
                definition: self.clone(),
                report: Vec::new(),
            });
        }
        Walk::new(self, &Graph::new(self), caps, policy).run()
    }
}
