//! Which files of a directory are sent.

use super::pattern::{Matched, PatternError, PatternSet};

/// What to include, and what of that to leave out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    include: PatternSet,
    exclude: PatternSet,
}

/// What is known of a directory, for what is below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    include: Matched,
    exclude: Matched,
}

/// What a filter says of one path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Send it.
    Send,
    /// Send it only if it is a directory in which something is sent.
    OnlyAround,
    /// Neither it nor anything below it is sent.
    Nothing,
}

impl Filter {
    /// A filter; without include patterns everything is included.
    pub(crate) fn new<I: AsRef<str>, E: AsRef<str>>(
        include: &[I],
        exclude: &[E],
    ) -> Result<Self, PatternError> {
        Ok(Self {
            include: PatternSet::new(include)?,
            exclude: PatternSet::new(exclude)?,
        })
    }

    /// Judges a path whose parent directory gave `parent`.
    pub(crate) fn judge(&self, path: &str, parent: Option<&Known>) -> (Verdict, Known) {
        let mut known = Known::default();
        let mut verdict = Verdict::Send;
        if !self.include.is_empty() {
            let parent = parent.map(|parent| &parent.include);
            let (included, matched) = self.include.matches_below(path, parent);
            known.include = matched;
            if !included {
                verdict = Verdict::OnlyAround;
                if !self.include.can_match_below(path, false) {
                    verdict = Verdict::Nothing;
                }
            }
        }
        if !self.exclude.is_empty() {
            let parent = parent.map(|parent| &parent.exclude);
            let (excluded, matched) = self.exclude.matches_below(path, parent);
            known.exclude = matched;
            if excluded {
                if !self.exclude.can_match_below(path, true) {
                    verdict = Verdict::Nothing;
                } else if verdict == Verdict::Send {
                    verdict = Verdict::OnlyAround;
                }
            }
        }
        (verdict, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(filter: &Filter, path: &str) -> Verdict {
        let mut known = None;
        for (index, _) in path.match_indices('/') {
            let (verdict, next) = filter.judge(&path[..index], known.as_ref());
            if verdict == Verdict::Nothing {
                return verdict;
            }
            known = Some(next);
        }
        filter.judge(path, known.as_ref()).0
    }

    #[test]
    fn includes_and_excludes_together() {
        let filter =
            Filter::new(&["src", "*.toml"], &["src/gen", "!src/gen/keep", "a.toml"]).unwrap();
        for (path, expected) in [
            ("src", Verdict::Send),
            ("src/main.rs", Verdict::Send),
            ("src/gen", Verdict::OnlyAround),
            ("src/gen/x", Verdict::Nothing),
            ("src/gen/keep", Verdict::Send),
            ("src/gen/keep/deep", Verdict::Send),
            ("b.toml", Verdict::Send),
            ("a.toml", Verdict::Nothing),
            ("sub/b.toml", Verdict::OnlyAround),
        ] {
            assert_eq!(judge(&filter, path), expected, "{path}");
        }
    }

    #[test]
    fn nothing_is_filtered_without_patterns() {
        assert_eq!(judge(&Filter::default(), "any/path"), Verdict::Send);
    }
}
