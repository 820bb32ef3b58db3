//! Lists of paths in one variable, such as `PATH`.

use indexmap::IndexSet;

use crate::state::value::DEFAULT_PATH;

/// Whether the variable of this name holds a list of paths.
pub(super) fn is_path_list(name: &str) -> bool {
    name.ends_with("PATH")
}

/// What execs see as the old value where `PATH` was not set and every change was made to the default.
pub(super) fn inherited<'a>(
    name: &str,
    before: Option<&'a str>,
    mut afters: impl Iterator<Item = &'a str>,
) -> &'a str {
    match before {
        Some(before) if !before.is_empty() => before,
        _ if name == "PATH" && afters.all(|after| after.contains(DEFAULT_PATH)) => DEFAULT_PATH,
        _ => "",
    }
}

/// The entries that each change put before its old value, then those of `ours` that none removed, then what the changes
/// put behind; each entry once. A change is an old value and a new one.
pub(super) fn merge<'a>(
    ours: &'a str,
    changes: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let entries = |list: &'a str| list.split(':').filter(|entry| !entry.is_empty());
    let mut kept: IndexSet<&str> = entries(ours).collect();
    let mut before: IndexSet<&str> = IndexSet::new();
    let mut behind: IndexSet<&str> = IndexSet::new();
    for (old, new) in changes {
        let old: IndexSet<&str> = entries(old).collect();
        let new: IndexSet<&str> = entries(new).collect();
        let first_old = new
            .iter()
            .position(|entry| old.contains(entry))
            .unwrap_or(new.len());
        before.extend(new.iter().take(first_old));
        let later = new.iter().skip(first_old);
        behind.extend(later.filter(|entry| !old.contains(*entry)));
        kept.retain(|entry| !old.contains(entry) || new.contains(entry));
    }
    let all: IndexSet<&str> = before.into_iter().chain(kept).chain(behind).collect();
    all.into_iter().collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_stand_in_merge_order_and_removals_count() {
        let old = "/usr/bin:/bin";
        let changes = [
            (old, "/venv/bin:/usr/bin:/bin"),
            (old, "/cuda/bin:/usr/bin:/opt/bin"),
        ];
        assert_eq!(merge(old, changes), "/venv/bin:/cuda/bin:/usr/bin:/opt/bin");
    }

    #[test]
    fn each_entry_stands_once() {
        let changes = [("/bin", "/a:/a:/bin:/b"), ("/bin", "/b:/a:/bin")];
        assert_eq!(merge("/bin", changes), "/a:/b:/bin");
    }

    #[test]
    fn of_an_empty_list_all_entries_are_new() {
        assert_eq!(merge("", [("", "/a:/b"), ("", "/c")]), "/a:/b:/c");
    }
}
