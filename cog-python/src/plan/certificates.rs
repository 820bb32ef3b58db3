//! Certificates that programs in the image trust besides those of the base.

use indexmap::IndexMap;

use super::{Action, Network, Step};
use crate::ca::{self, Certificates};

/// Folder that `update-ca-certificates` takes more certificates from.
const MORE: &str = "/usr/local/share/ca-certificates";
/// Folder of the bundle.
const FOLDER: &str = "/usr/local/share/cog-python";
/// What programs in the image read: the bundle of the base, and the certificates.
const BUNDLE: &str = "/usr/local/share/cog-python/ca-bundle.crt";

/// The steps, in order: one that has the certificates and nothing else, and one that joins them and what the system of
/// the step `ground` trusts.
pub(super) fn steps(certificates: &Certificates, ground: &str, source: Option<&str>) -> [Step; 2] {
    let file = format!("{MORE}/cog-python.crt");
    // A bundle without a line feed at its end would swallow the first line of the next.
    let command = format!(
        "cat /etc/ssl/certs/ca-certificates.crt > {BUNDLE}\necho >> {BUNDLE}\ncat {file} >> {BUNDLE}\nchmod 0644 {BUNDLE}"
    );
    let step = |name: &str, after: &[&str], folder: &str, action| Step {
        name: name.to_owned(),
        after: after.iter().map(|name| (*name).to_owned()).collect(),
        source: source.map(str::to_owned),
        writes: Some(folder.to_owned()),
        action,
    };
    let write = Action::Write {
        path: file,
        text: certificates.to_pem(),
    };
    let join = Action::Run {
        command,
        mounts: Vec::new(),
        network: Some(Network::None),
        environment: IndexMap::new(),
    };
    [
        step("certificates", &[], MORE, write),
        step("ca-bundle", &[ground, "certificates"], FOLDER, join),
    ]
}

/// Variables of the image that name the bundle: those that steps have.
pub(super) fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    let paths = ca::VARIABLES
        .iter()
        .filter(|(_, secret)| *secret == ca::PATH_SECRET);
    paths.map(|(name, _)| (*name, BUNDLE))
}

/// Whether a step joins certificates, and installs nothing.
#[cfg(feature = "cli")]
pub(crate) fn joins_certificates(step: &Step) -> bool {
    step.name == "ca-bundle" && step.writes.as_deref() == Some(FOLDER)
}
