//! The images that a plan is made with.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use llb::value::ImageRef;

use super::{Action, Mount, Plan, Step, UvProgram, WeightFiles, WeightOrigin};

impl Plan {
    /// The image that the result is based on.
    pub fn base(&self) -> Option<&str> {
        let mut bases = self.bases();
        bases.next()
    }

    /// Images that steps are run on beside the base: those with compilers.
    pub fn other_bases(&self) -> Vec<&str> {
        let base = self.base();
        self.bases()
            .filter(|reference| Some(*reference) != base)
            .collect()
    }

    /// All images that a build takes, sorted, each once; what commands mount may be a context instead.
    pub fn images(&self) -> BTreeSet<&str> {
        self.bases().chain(self.sources()).collect()
    }

    /// An image with the digest that a lock has of it, if there is one.
    pub fn pinned<'r>(&self, reference: &'r str) -> Cow<'r, str> {
        match self.digests.get(reference) {
            Some(digest) => Cow::Owned(format!("{reference}@{digest}")),
            None => Cow::Borrowed(reference),
        }
    }

    /// Takes over what a lock has of the images of this plan. Gives those images that it has nothing of, where it has
    /// some: their tags may move.
    pub(super) fn pin(&mut self, locked: &BTreeMap<String, String>) -> Vec<String> {
        let of = |reference: &str| {
            let mut digests = locked.iter();
            digests.find_map(|(name, digest)| is_same(name, reference).then(|| digest.clone()))
        };
        let names = self.images().into_iter().filter(|name| !name.contains('@'));
        let found: Vec<_> = names.map(|name| (name.to_owned(), of(name))).collect();
        let mounted = self.mounted_names();
        let open = found
            .iter()
            .filter(|(name, digest)| digest.is_none() && !mounted.contains(name.as_str()))
            .map(|(name, _)| name.clone())
            .collect();
        let digests = found.into_iter();
        self.digests = digests
            .filter_map(|(name, digest)| Some((name, digest?)))
            .collect();
        if locked.is_empty() { Vec::new() } else { open }
    }

    /// Images and contexts that files are taken of, sorted, each once: programs that steps are lent, weights, and what
    /// commands mount.
    pub fn sources(&self) -> Vec<&str> {
        let programs = self.steps.iter().filter_map(|step| match &step.action {
            Action::Python { uv, .. } => Some(uv),
            Action::Lock(lock) => Some(&lock.uv),
            Action::Weights(weights) if weights.files.iter().any(WeightFiles::is_repository) => {
                Some(&weights.uv)
            }
            _ => None,
        });
        let images = programs.filter_map(|uv: &UvProgram| match uv.wheel {
            Some(_) => None,
            None => Some(uv.image.as_str()),
        });
        let weights = self.steps.iter().flat_map(|step| match &step.action {
            Action::Weights(weights) => weights.files.as_slice(),
            _ => &[],
        });
        let weights = weights.filter_map(|files| match &files.origin {
            WeightOrigin::Image { reference, .. } => Some(reference.as_str()),
            _ => None,
        });
        let mounts = self.mounted_names();
        let sources: BTreeSet<&str> = images.chain(weights).chain(mounts).collect();
        sources.into_iter().collect()
    }

    /// Names of contexts and images that commands mount, sorted, each once.
    pub fn mounted_names(&self) -> BTreeSet<&str> {
        let mounts = self.steps.iter().flat_map(|step| match &step.action {
            Action::Run { mounts, .. } => mounts.as_slice(),
            _ => &[],
        });
        let names = mounts.filter_map(|mount| match mount {
            Mount::Bind { from, .. } => from.as_deref(),
            _ => None,
        });
        names.collect()
    }

    fn bases(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Base { reference } => Some(reference.as_str()),
            _ => None,
        })
    }

    /// Steps that the image is made of: not what those are run on whose folder alone is taken over.
    pub(crate) fn below_image(&self) -> Vec<&Step> {
        let mut below = Vec::new();
        let is_image = |step: &&Step| matches!(step.action, Action::Assemble {});
        let mut next: Vec<&Step> = self.steps.iter().filter(is_image).collect();
        while let Some(step) = next.pop() {
            let after = step.after.iter().filter_map(|name| self.step(name));
            for step in after {
                if !below.contains(&step) {
                    below.push(step);
                    if step.writes.is_none() {
                        next.push(step);
                    }
                }
            }
        }
        below
    }

    /// Drops images and system packages that nothing is run on.
    pub(super) fn drop_unused_bases(&mut self) {
        loop {
            let named: BTreeSet<String> = self
                .steps
                .iter()
                .flat_map(|step| step.after.iter().cloned())
                .collect();
            let before = self.steps.len();
            self.steps.retain(|step| {
                let is_ground = matches!(step.action, Action::Base { .. } | Action::Apt { .. });
                !is_ground || named.contains(&step.name)
            });
            if self.steps.len() == before {
                return;
            }
        }
    }
}

/// Whether two names are those of one image, however they are spelled.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let parsed = ImageRef::parse(one).ok().zip(ImageRef::parse(other).ok());
    match parsed {
        Some((one, other)) => one.as_str() == other.as_str(),
        None => one == other,
    }
}
