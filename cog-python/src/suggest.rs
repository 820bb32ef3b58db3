//! Did you mean …?

/// The candidate that a typing mistake away from `found`, if there is one near enough.
///
/// Near is a third of the length, at least 1: `pyhton_version` finds `python_version`, `x` finds
/// nothing.
pub(crate) fn nearest<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (found.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(found, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance where swapping two neighbours counts as one edit; case and `-`/`_` do not count.
fn distance(left: &str, right: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.to_lowercase()
            .chars()
            .map(|c| if c == '-' { '_' } else { c })
            .collect()
    };
    let (left, right) = (fold(left), fold(right));
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    for (index, cell) in rows[0].iter_mut().enumerate() {
        *cell = index;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let same = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn swapped_and_missing_letters_are_near() {
        let keys = ["python_version", "python_packages", "run"];
        assert_eq!(nearest("python_verison", keys), Some("python_version"));
        assert_eq!(nearest("python-packages", keys), Some("python_packages"));
        assert_eq!(nearest("rnu", keys), Some("run"));
    }

    #[test]
    fn far_words_find_nothing() {
        assert_eq!(nearest("weights", ["python_version", "run"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", ["run"]), None);
    }
}
