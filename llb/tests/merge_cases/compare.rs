//! The names that files have together.

use std::collections::BTreeMap;
use std::fmt;

use super::tree::Tree;

/// Groups of names of one file each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names(Vec<Vec<Vec<u8>>>);

impl Names {
    pub(crate) fn of(tree: &Tree) -> Self {
        let mut groups: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (path, entry) in &tree.entries {
            if let Some(first) = &entry.link {
                let group = groups.entry(first.clone());
                group
                    .or_insert_with(|| vec![first.clone()])
                    .push(path.clone());
            }
        }
        let mut groups: Vec<Vec<Vec<u8>>> = groups.into_values().collect();
        for group in &mut groups {
            group.sort();
        }
        groups.sort();
        Self(groups)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.0.iter().map(|group| {
            let names = group.iter().map(|name| String::from_utf8_lossy(name));
            names.collect::<Vec<_>>().join(" = ")
        });
        formatter.write_str(&groups.collect::<Vec<_>>().join(", "))
    }
}
