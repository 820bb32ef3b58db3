//! Paths that several wheels have, with different content.

use std::collections::BTreeMap;

use super::{InstalledPath, WheelName};

/// Two wheels that overwrite each other's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The wheel that is installed first.
    pub first: WheelName,
    /// The wheel that is installed over it.
    pub second: WheelName,
    /// The paths, relative to the environment, sorted; never none.
    pub paths: Vec<String>,
}

/// All pairs of wheels that have different content for a path. The same content, such as the empty file that makes a
/// folder a package, is no collision.
pub fn collisions(lists: &BTreeMap<WheelName, Vec<InstalledPath>>) -> Vec<Collision> {
    let mut owners: BTreeMap<&str, Vec<(&WheelName, &InstalledPath)>> = BTreeMap::new();
    for (wheel, list) in lists {
        for path in list {
            owners.entry(&path.path).or_default().push((wheel, path));
        }
    }
    let mut pairs: BTreeMap<(&WheelName, &WheelName), Vec<String>> = BTreeMap::new();
    for (path, owners) in &owners {
        for (position, (second, over)) in owners.iter().enumerate() {
            for (first, under) in &owners[..position] {
                let is_same = over.content.is_some() && over.content == under.content;
                if !is_same {
                    let pair = pairs.entry((first, second)).or_default();
                    pair.push((*path).to_owned());
                }
            }
        }
    }
    let pairs = pairs.into_iter();
    pairs
        .map(|((first, second), paths)| Collision {
            first: first.clone(),
            second: second.clone(),
            paths,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(paths: &[(&str, Option<(u32, u64)>)]) -> Vec<InstalledPath> {
        let path = |(path, content): &(&str, Option<(u32, u64)>)| InstalledPath {
            path: (*path).to_owned(),
            content: *content,
        };
        paths.iter().map(path).collect()
    }

    #[test]
    fn other_content_collides_and_the_same_does_not() {
        let names = [
            "a-1-py3-none-any.whl",
            "b-1-py3-none-any.whl",
            "c-1-py3-none-any.whl",
        ];
        let [a, b, c] = names.map(|name| name.parse::<WheelName>().unwrap());
        let lists = BTreeMap::from([
            (
                a.clone(),
                list(&[
                    ("lib/x.py", Some((1, 1))),
                    ("lib/__init__.py", Some((0, 0))),
                ]),
            ),
            (
                b.clone(),
                list(&[
                    ("lib/x.py", Some((2, 1))),
                    ("lib/__init__.py", Some((0, 0))),
                ]),
            ),
            (
                c,
                list(&[("bin/tool", None), ("lib/__init__.py", Some((0, 0)))]),
            ),
        ]);
        let found = collisions(&lists);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].first, &found[0].second), (&a, &b));
        assert_eq!(found[0].paths, ["lib/x.py"]);
    }

    #[test]
    fn scripts_that_are_made_collide_by_their_name() {
        let names = ["a-1-py3-none-any.whl", "b-1-py3-none-any.whl"];
        let lists = names.map(|name| (name.parse().unwrap(), list(&[("bin/tool", None)])));
        assert_eq!(collisions(&lists.into()).len(), 1);
    }
}
