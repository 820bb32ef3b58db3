//! The cgroups of our containers: a last list of processes to end, and folders to take away.

use std::fs;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::process::Identity;

/// Where Linux keeps cgroups, one hierarchy per controller (version 1) or one for all.
const ROOT: &str = "/sys/fs/cgroup";

/// The cgroup below which the engine `name` puts its containers and build steps.
pub(crate) fn parent(layout: &Layout, name: &str) -> String {
    format!("/{}-{name}", prefix(layout))
}

/// All processes in containers and build steps of this testbed.
pub(crate) fn processes(layout: &Layout) -> Vec<Identity> {
    let mut found = Vec::new();
    for group in groups(layout) {
        let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        for identity in members
            .lines()
            .filter_map(|pid| pid.parse().ok())
            .filter_map(Identity::of)
        {
            if !found.contains(&identity) {
                found.push(identity);
            }
        }
    }
    found
}

/// Takes away the empty cgroups of this testbed; those still in use stay.
pub(crate) fn remove(layout: &Layout) {
    for group in groups(layout).iter().rev() {
        let _still_in_use = fs::remove_dir(group);
    }
}

/// Our groups in all hierarchies, parents before their children.
fn groups(layout: &Layout) -> Vec<PathBuf> {
    let prefix = prefix(layout);
    let root = Path::new(ROOT);
    let mut hierarchies = folders(root);
    hierarchies.push(root.to_owned());
    let mut found = Vec::new();
    for hierarchy in hierarchies {
        let ours = folders(&hierarchy).into_iter().filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        });
        for group in ours {
            add_with_children(group, &mut found);
        }
    }
    found
}

fn add_with_children(group: PathBuf, found: &mut Vec<PathBuf>) {
    let children = folders(&group);
    found.push(group);
    for child in children {
        add_with_children(child, found);
    }
}

/// The folders in a folder; links, by which version 1 joins hierarchies, do not count.
fn folders(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn prefix(layout: &Layout) -> String {
    format!("llb-testbed-{}", layout.id())
}
