//! What a lowering may do.

use super::Helper;

/// What may take the place of ops that an engine lacks, where it is not proven to be the same.
///
/// The default is to replace silently what is provably the same, and to refuse everything else. With a [`Helper`],
/// merges that nothing can be proven of are exact too:
///
/// ```
/// use llb::lower::{Helper, Policy};
/// use llb::value::Platform;
///
/// // A program makes these bytes part of itself with `include_bytes!`, or reads them from a file.
/// let bytes = Helper::example_bytes();
/// let policy = Policy::new().helper(Helper::from_bytes(bytes)?);
/// # Ok::<(), llb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a policy decides nothing until it is given to `lower`"]
pub struct Policy {
    pub(super) helpers: Vec<Helper>,
    pub(super) unproven: Unproven,
}

/// What becomes of merges that are neither provably a chain nor can be applied by a helper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unproven {
    #[default]
    Refuse,
    Chain,
}

impl Policy {
    /// Proven replacements only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a helper apply the differences of merges that cannot be proven to be a chain. It is the same merge, at the
    /// cost of a short exec for every later input, whose changes are copied into a layer of the exec's.
    ///
    /// With several, the one for the platform of the graph is taken, else the first.
    pub fn helper(mut self, helper: Helper) -> Self {
        self.helpers.push(helper);
        self
    }

    /// Without a helper: runs the steps of later inputs again on top of earlier ones, and warns.
    ///
    /// That is another build than the merge says. Commands see what earlier inputs did, and of 191 measured merges of all
    /// kinds, 104 came out the same.
    pub fn chain_with_warning(mut self) -> Self {
        self.unproven = Unproven::Chain;
        self
    }
}
