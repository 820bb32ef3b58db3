//! Masks what moves by itself.

/// Digests of all algorithms that images know, as `sha256:[digest]`.
pub(super) fn digests(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(colon) = rest.find(':') {
        let (before, digits) = rest.split_at(colon + 1);
        masked.push_str(before);
        let length = digits
            .bytes()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            .count();
        let expected = ["sha256:", "sha384:", "sha512:"]
            .iter()
            .zip([64, 96, 128])
            .find(|(algorithm, _)| before.ends_with(**algorithm));
        let is_digest = expected.is_some_and(|(_, expected)| expected == length);
        if is_digest {
            masked.push_str("[digest]");
        }
        rest = if is_digest { &digits[length..] } else { digits };
    }
    masked.push_str(rest);
    masked
}

/// Tags of the images that sources name, as `:[tag]`.
pub(super) fn tags(text: &str) -> String {
    const SCHEME: &str = "\"docker-image://";

    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(SCHEME) {
        let (before, reference) = rest.split_at(start + SCHEME.len());
        masked.push_str(before);
        let end = reference.find(['"', '@', '\n']).unwrap_or(reference.len());
        let (name, after) = reference.split_at(end);
        // A colon before the last slash is that of a port.
        let path = name.rfind('/').map_or(0, |slash| slash + 1);
        match name[path..].find(':') {
            Some(colon) => {
                masked.push_str(&name[..path + colon]);
                masked.push_str(":[tag]");
            }
            None => masked.push_str(name),
        }
        rest = after;
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_digests_are_masked() {
        let digest = "0123456789abcdef".repeat(4);
        for (text, expected) in [
            (
                format!("a@sha256:{digest}\""),
                "a@sha256:[digest]\"".to_owned(),
            ),
            (
                format!("sha512:{digest}{digest} x"),
                "sha512:[digest] x".to_owned(),
            ),
            (format!("sha256:{digest}0"), format!("sha256:{digest}0")),
            (format!("md5:{digest}"), format!("md5:{digest}")),
            ("sha256:".to_owned(), "sha256:".to_owned()),
        ] {
            assert_eq!(digests(&text), expected);
        }
    }

    #[test]
    fn tags_are_masked_and_ports_are_not() {
        for (text, expected) in [
            ("\"docker-image://a/b:1\"", "\"docker-image://a/b:[tag]\""),
            ("\"docker-image://a:5000/b\"", "\"docker-image://a:5000/b\""),
            (
                "\"docker-image://a:5000/b:1@sha256:0\"",
                "\"docker-image://a:5000/b:[tag]@sha256:0\"",
            ),
            ("exec \"a:1\"", "exec \"a:1\""),
        ] {
            assert_eq!(tags(text), expected);
        }
    }
}
