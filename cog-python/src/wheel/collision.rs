//! Wheels that have a file in common.
//!
//! Two wheels with different content for one path overwrite each other's file, silently, in every installer; which one is
//! left depends on the order. The helper compares the lists of files of all wheels of a build
//! (`llb-helper inspect`), this module reads what it found.

use std::collections::BTreeMap;

/// Two wheels that have different content for a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Collision {
    /// File name of the wheel that is installed first.
    pub first: String,
    /// File name of the wheel that is installed over it.
    pub second: String,
    /// How many paths there are.
    pub paths: usize,
    /// One of them, relative to the environment.
    pub example: String,
}

/// A list of collisions that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list of files that wheels have in common is not understood: line {line}")]
pub struct CollisionError {
    line: usize,
}

/// Reads the list of the helper: per line the number of paths, two wheels and a path, with tabs between.
pub fn collisions(list: &str) -> Result<Vec<Collision>, CollisionError> {
    let read = |line: &str| {
        let mut fields = line.splitn(4, '\t');
        Some(Collision {
            paths: fields.next()?.parse().ok()?,
            first: fields.next()?.to_owned(),
            second: fields.next()?.to_owned(),
            example: fields.next()?.to_owned(),
        })
    };
    let lines = list.lines().enumerate();
    lines
        .map(|(index, line)| read(line).ok_or(CollisionError { line: index + 1 }))
        .collect()
}

/// Sets of wheels that must be installed by one exec, so that the order of their files is known: all that collide, and
/// what collides with those. Each set is sorted, and so are the sets.
pub fn ties(collisions: &[Collision]) -> Vec<Vec<String>> {
    let mut set_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sets: Vec<Vec<&str>> = Vec::new();
    for collision in collisions {
        let (first, second) = (collision.first.as_str(), collision.second.as_str());
        let mut joined = vec![first, second];
        for name in [first, second] {
            if let Some(set) = set_of.get(name) {
                joined.append(&mut sets[*set]);
            }
        }
        joined.sort_unstable();
        joined.dedup();
        for name in &joined {
            set_of.insert(name, sets.len());
        }
        sets.push(joined);
    }
    let mut ties: Vec<Vec<String>> = sets
        .into_iter()
        .filter(|set| !set.is_empty())
        .map(|set| set.into_iter().map(str::to_owned).collect())
        .collect();
    ties.sort();
    ties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collision(first: &str, second: &str) -> Collision {
        Collision {
            first: first.to_owned(),
            second: second.to_owned(),
            paths: 1,
            example: "x".to_owned(),
        }
    }

    #[test]
    fn the_list_is_read() {
        let list = "3\tPyJWT-2.whl\tjwt-1.whl\tlib/jwt/a\tb.py\n";
        let found = collisions(list).unwrap();
        assert_eq!(found[0].paths, 3);
        assert_eq!(found[0].example, "lib/jwt/a\tb.py");
        assert_eq!(collisions(""), Ok(Vec::new()));
        assert_eq!(collisions("a\n").unwrap_err().line, 1);
    }

    #[test]
    fn what_collides_with_one_another_is_tied_together() {
        let pairs = [("b", "c"), ("x", "y"), ("a", "b"), ("c", "d")];
        let found = pairs.map(|(first, second)| collision(first, second));
        assert_eq!(ties(&found), [vec!["a", "b", "c", "d"], vec!["x", "y"]]);
    }
}
