//! Attributes of exporters and caches, checked before a build takes an hour to find them wrong.
//!
//! Daemons ignore attributes they do not know, so a typing error changes what is built without a word.
//! What is near to a known name is refused; what is far from all is left to the daemon, which may be
//! newer than this list.

use std::collections::BTreeMap;

/// Attributes that are true or false.
const SWITCHES: &[&str] = &[
    "buildinfo",
    "dangling-name-prefix-empty",
    "disable_accept_encoding",
    "force-compression",
    "ignore-error",
    "image-manifest",
    "name-canonical",
    "oci-artifact",
    "oci-mediatypes",
    "platform-split",
    "prefer-nondist-layers",
    "push",
    "push-by-digest",
    "registry.insecure",
    "rewrite-timestamp",
    "store",
    "tar",
    "unpack",
    "use_path_style",
];

/// Checks names and values; the text says what is wrong with one.
pub(super) fn check(attributes: &BTreeMap<String, String>, known: &[&str]) -> Result<(), String> {
    for (key, value) in attributes {
        if !known.contains(&key.as_str())
            && let Some(near) = nearest(key, known)
        {
            return Err(format!("has the attribute `{key}`, did you mean `{near}`?"));
        }
        let wrong = |expected: &str| Err(format!("has `{key}={value}`, expected {expected}"));
        match key.as_str() {
            "mode" if !matches!(value.as_str(), "min" | "max") => return wrong("min or max"),
            "compression"
                if !matches!(value.as_str(), "uncompressed" | "gzip" | "estargz" | "zstd") =>
            {
                return wrong("uncompressed, gzip, estargz or zstd");
            }
            "compression-level" if value.parse::<i32>().is_err() => return wrong("a number"),
            "retry_mode" if !matches!(value.as_str(), "standard" | "adaptive") => {
                return wrong("standard or adaptive");
            }
            "upload_parallelism" | "retry_max_attempts"
                if value.parse::<u32>().is_ok_and(|number| number > 0) => {}
            "upload_parallelism" | "retry_max_attempts" => return wrong("a number above 0"),
            "source-date-epoch" if !value.is_empty() && value.parse::<i64>().is_err() => {
                return wrong("seconds since 1970");
            }
            key if SWITCHES.contains(&key) && !is_switch(value) => return wrong("true or false"),
            _ => {}
        }
    }
    Ok(())
}

/// What Go's `strconv.ParseBool` takes; nothing is true for exporters.
fn is_switch(value: &str) -> bool {
    matches!(
        value,
        "" | "1"
            | "t"
            | "T"
            | "true"
            | "TRUE"
            | "True"
            | "0"
            | "f"
            | "F"
            | "false"
            | "FALSE"
            | "False"
    )
}

/// The known name that differs from `name` in two letters at most.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let most = if name.len() < 5 { 1 } else { 2 };
    let distances = known.iter().map(|known| (distance(name, known), *known));
    let (distance, near) = distances.min()?;
    (distance <= most).then_some(near)
}

/// How many letters have to be added, removed or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, with) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *with);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let known = ["bucket", "region", "name"];
        assert_eq!(nearest("regoin", &known), Some("region"));
        assert_eq!(nearest("nam", &known), Some("name"));
        assert_eq!(nearest("endpoint", &known), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
