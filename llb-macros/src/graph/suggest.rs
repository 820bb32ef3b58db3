//! The nearest known word to a misspelled one.

/// The known word that is at most a third of its letters away from what was found.
pub(super) fn nearest<'k>(
    found: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    known
        .into_iter()
        .map(|word| (distance(found, word), word))
        .filter(|&(distance, word)| distance <= word.len().div_ceil(3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

/// How many letters must be put in, taken out, replaced or exchanged with their neighbor.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["copy", "run", "entrypoint", "env"];
        assert_eq!(nearest("cpoy", known), Some("copy"));
        assert_eq!(nearest("entry_point", known), Some("entrypoint"));
        assert_eq!(nearest("rnu", known), Some("run"));
        assert_eq!(nearest("download", known), None);
    }
}
