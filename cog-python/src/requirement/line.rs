//! What one logical line of a requirements file is.

use std::path::Path;

use indexmap::IndexMap;

/// The part of a line that decides how it is treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A named package: its normalized name and, after `@`, where it comes from.
    Named { name: String, url: Option<&'a str> },
    /// An URL or a path without a name.
    Unnamed(&'a str),
    /// `-r`, `--requirement`.
    Include(&'a str),
    /// `-c`, `--constraint`.
    Constraint(&'a str),
    /// `-e`, `--editable`.
    Editable(&'a str),
    /// `-f`, `--find-links`.
    FindLinks(&'a str),
    /// Any other option, with its name.
    Option(&'a str),
}

/// Classifies a line.
pub(super) fn classify<'a>(text: &'a str) -> Line<'a> {
    for (short, long, make) in [
        (
            "-r",
            "--requirement",
            Line::Include as fn(&'a str) -> Line<'a>,
        ),
        ("-c", "--constraint", Line::Constraint),
        ("-e", "--editable", Line::Editable),
        ("-f", "--find-links", Line::FindLinks),
    ] {
        if let Some(value) = option_value(text, short, long) {
            return make(value);
        }
    }
    if text.starts_with('-') {
        let end = text
            .find(|c: char| c.is_whitespace() || c == '=')
            .unwrap_or(text.len());
        return Line::Option(&text[..end]);
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let continues_well = rest.is_empty()
        || rest.starts_with(['[', '(', '<', '>', '=', '!', '~', ';', '@'])
        || rest.starts_with("--");
    if starts_well && continues_well && !is_archive(name) {
        let after_extras = match rest.strip_prefix('[') {
            Some(extras) => extras
                .split_once(']')
                .map_or("", |(_, rest)| rest)
                .trim_start(),
            None => rest,
        };
        let url = after_extras.strip_prefix('@').map(str::trim);
        return Line::Named {
            name: normalize(name),
            url,
        };
    }
    Line::Unnamed(text)
}

/// The options about indexes that a line starts with, and the requirement behind them, which pip would pass over.
pub(super) fn behind_options(text: &str) -> Option<(Vec<String>, &str)> {
    const NAMES: [&str; 5] = [
        "-f",
        "-i",
        "--find-links",
        "--index-url",
        "--extra-index-url",
    ];
    let mut options = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with('-') {
        let (word, behind) = rest.split_once(char::is_whitespace)?;
        let behind = behind.trim_start();
        if word
            .split_once('=')
            .is_some_and(|(name, _)| NAMES.contains(&name))
        {
            options.push(word.to_owned());
            rest = behind;
        } else if NAMES.contains(&word) {
            let (value, behind) = behind.split_once(char::is_whitespace)?;
            options.push(format!("{word} {value}"));
            rest = behind.trim_start();
        } else {
            return None;
        }
    }
    (!options.is_empty() && matches!(classify(rest), Line::Named { .. })).then_some((options, rest))
}

/// The value of `-x VALUE`, `-xVALUE`, `--long VALUE` or `--long=VALUE`.
fn option_value<'a>(text: &'a str, short: &str, long: &str) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix(long) {
        let value = rest
            .strip_prefix('=')
            .or_else(|| rest.strip_prefix(char::is_whitespace))?;
        return Some(value.trim());
    }
    let rest = text.strip_prefix(short)?;
    (!rest.starts_with('-')).then(|| rest.trim())
}

/// PEP 503: lowercase, runs of `-`, `_` and `.` as one `-`.
pub(super) fn normalize(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Whether the text ends as a wheel or a source archive does.
pub(super) fn is_archive(text: &str) -> bool {
    [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]
        .iter()
        .any(|suffix| text.to_ascii_lowercase().ends_with(suffix))
}

/// Whether a location is fetched over the network, as opposed to a path on the disk.
pub(super) fn is_remote(location: &str) -> bool {
    match location.split_once(':') {
        Some((scheme, rest)) if rest.starts_with("//") => !scheme.eq_ignore_ascii_case("file"),
        _ => false,
    }
}

/// Whether a location is a repository of a version control system.
pub(super) fn is_version_control(location: &str) -> bool {
    ["git+", "hg+", "svn+", "bzr+"]
        .iter()
        .any(|prefix| location.starts_with(prefix))
}

/// Whether what is at a location has to be built first, maybe with a compiler: a repository, or an archive.
pub(super) fn is_built(location: &str) -> bool {
    let path = location.split([' ', '\t', '?', '#']).next();
    let path = Path::new(path.unwrap_or_default());
    let is_wheel = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("whl"));
    is_version_control(location) || (is_remote(location) && !is_wheel)
}

/// Whether an URL on the line carries a user and password, or a token, in plain text.
///
/// `${NAME}` stands for a variable, and `git@` is the login every git server has over ssh.
pub(crate) fn has_credentials(text: &str) -> bool {
    text.match_indices("://").any(|(index, mark)| {
        let rest = &text[index + mark.len()..];
        let authority = &rest[..rest.find(['/', ' ', '\t', '?', '#']).unwrap_or(rest.len())];
        authority.rsplit_once('@').is_some_and(|(login, _)| {
            login.split(':').any(|part| {
                let variable = part.starts_with("${") && part.ends_with('}');
                let common = matches!(part, "" | "git" | "__token__" | "oauth2" | "x-access-token");
                !variable && !common
            })
        })
    })
}

/// URLs of indexes and of pages with links, of all lines that are such options.
pub(crate) fn indexes(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| {
        [
            ("-i", "--index-url"),
            ("-i", "--extra-index-url"),
            ("-f", "--find-links"),
        ]
        .into_iter()
        .find_map(|(short, long)| option_value(line, short, long))
    })
}

/// Lines that name an index, or a page with links, which everybody can reach: not a folder of the project.
#[cfg(feature = "cli")]
pub(crate) fn index_options(lines: &[String]) -> Vec<String> {
    let is_remote = |line: &&String| indexes(std::slice::from_ref(line)).any(is_remote);
    lines.iter().filter(is_remote).cloned().collect()
}

/// SHA-256 digests that lines allow, by the normalized name of the package.
pub(crate) fn hashes(lines: &[String]) -> IndexMap<String, Vec<String>> {
    let mut hashes: IndexMap<String, Vec<String>> = IndexMap::new();
    for line in lines {
        let Line::Named { name, .. } = classify(line) else {
            continue;
        };
        for (start, mark) in line.match_indices("--hash") {
            let value = line[start + mark.len()..].trim_start_matches(['=', ' ']);
            let digest = value.split_whitespace().next().unwrap_or_default();
            if let Some(digest) = digest.strip_prefix("sha256:") {
                let allowed = hashes.entry(name.clone()).or_default();
                allowed.push(digest.to_ascii_lowercase());
            }
        }
    }
    hashes
}

/// Names of the variables a line uses. pip expands `${NAME}` with uppercase names only.
pub(crate) fn variables(text: &str) -> Vec<String> {
    text.match_indices("${")
        .filter_map(|(index, mark)| {
            let name = text[index + mark.len()..].split_once('}')?.0;
            let first = name.bytes().next()?;
            let ok = (first.is_ascii_uppercase() || first == b'_')
                && name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            ok.then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Line<'static> {
        Line::Named {
            name: name.into(),
            url: None,
        }
    }

    #[test]
    fn requirements_behind_options_are_seen() {
        let found = |text| behind_options(text).map(|(options, rest)| (options.join(" | "), rest));
        assert_eq!(
            found("--find-links=https://x -f https://y torch==2.4.1 --extra-index-url=z"),
            Some((
                "--find-links=https://x | -f https://y".to_owned(),
                "torch==2.4.1 --extra-index-url=z"
            ))
        );
        for text in [
            "--find-links https://x",
            "-f https://x ./y",
            "--find-links ./my wheels/",
            "--pre torch",
            "-e x y",
            "torch==2 --hash=sha256:aa",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn packages_have_normalized_names() {
        for text in [
            "Foo.Bar_baz",
            "foo-bar-baz==1",
            "foo.bar.baz>=1,<2",
            "foo_bar_baz[x, y]~=1",
            "foo-bar-baz ; a",
            "foo-bar-baz(>1)",
            "foo-bar-baz --hash=sha256:00",
        ] {
            assert_eq!(classify(text), named("foo-bar-baz"), "{text}");
        }
    }

    #[test]
    fn direct_references_have_a_location() {
        assert_eq!(
            classify("six[x] @ https://example.com/six.whl"),
            Line::Named {
                name: "six".into(),
                url: Some("https://example.com/six.whl")
            }
        );
    }

    #[test]
    fn paths_and_urls_are_unnamed() {
        for text in [
            "./six",
            "six.whl",
            "a/b",
            "https://x/y.whl",
            "git+https://x/y",
            "..",
            "six six",
        ] {
            assert_eq!(classify(text), Line::Unnamed(text));
        }
    }

    #[test]
    fn options_are_split() {
        assert_eq!(classify("-r a b.txt"), Line::Include("a b.txt"));
        assert_eq!(classify("--requirement=a.txt"), Line::Include("a.txt"));
        assert_eq!(classify("-ca.txt"), Line::Constraint("a.txt"));
        assert_eq!(classify("-e ."), Line::Editable("."));
        assert_eq!(
            classify("--find-links https://x"),
            Line::FindLinks("https://x")
        );
        assert_eq!(
            classify("--index-url=https://x"),
            Line::Option("--index-url")
        );
        assert_eq!(
            classify("--require-hashes"),
            Line::Option("--require-hashes")
        );
        assert_eq!(classify("--requirements"), Line::Option("--requirements"));
    }

    #[test]
    fn passwords_are_seen_and_variables_are_not_passwords() {
        for text in [
            "--index-url https://user:secret@host/simple",
            "--index-url https://token@host/simple",
            "git+https://x-access-token:ghp_x@github.com/a/b",
            "a @ https://${USER}:secret@host/a.whl",
        ] {
            assert!(has_credentials(text), "{text}");
        }
        for text in [
            "--index-url https://host/simple?a=@b",
            "--index-url https://${USER}:${TOKEN}@host/simple",
            "git+ssh://git@github.com/a/b",
            "git+https://oauth2:${TOKEN}@gitlab.com/a/b@v1",
            "six @ https://host/six@1",
        ] {
            assert!(!has_credentials(text), "{text}");
        }
        assert_eq!(
            variables("https://${USER}:${MY_TOKEN2}@x ${lower} ${"),
            ["USER", "MY_TOKEN2"]
        );
    }

    #[test]
    fn hashes_and_indexes_are_found() {
        let lines = [
            "a==1 --hash=sha256:AA --hash sha256:bb",
            "-i https://x/simple",
            "--extra-index-url=https://y",
        ];
        let lines = lines.map(String::from);
        assert_eq!(hashes(&lines)["a"], ["aa", "bb"]);
        let found: Vec<_> = indexes(&lines).collect();
        assert_eq!(found, ["https://x/simple", "https://y"]);
    }

    #[test]
    fn remote_locations_have_a_scheme() {
        for text in ["https://x", "git+ssh://git@x/y", "ftp://x"] {
            assert!(is_remote(text), "{text}");
        }
        for text in ["./x", "/x", "file:///x", "file:x", "C:/x", "x"] {
            assert!(!is_remote(text), "{text}");
        }
    }
}
