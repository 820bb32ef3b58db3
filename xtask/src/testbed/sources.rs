//! The Debian mirror that the system's own apt sources name.
//!
//! Two formats are in use, and both may be present (`sources.list(5)`): one-line entries
//! (`deb [options] URI suite components`) and deb822 stanzas in files named `*.sources`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Key ring used where the sources name none.
const DEFAULT_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One repository of an apt source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// Main archive, without a slash at the end, as in `http://deb.debian.org/debian`.
    pub(crate) uri: String,
    /// Security archive, if the system uses one.
    pub(crate) security_uri: Option<String>,
    /// Key ring that the archive's signatures are checked with.
    pub(crate) keyring: PathBuf,
}

impl Mirror {
    /// Reads the sources in `/etc/apt`; `chosen` replaces the main archive's URI.
    pub(crate) fn of_system(suite: &str, chosen: Option<&str>) -> Result<Mirror> {
        let mut sources = Vec::new();
        for file in source_files(Path::new("/etc/apt"))? {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            if file
                .extension()
                .is_some_and(|extension| extension == "sources")
            {
                sources.extend(parse_deb822(&text));
            } else {
                sources.extend(parse_one_line(&text));
            }
        }
        Mirror::choose(&sources, suite, chosen)
    }

    fn choose(sources: &[Source], suite: &str, chosen: Option<&str>) -> Result<Mirror> {
        let usable = |wanted: &str| {
            sources
                .iter()
                .filter(|source| {
                    source.suites.iter().any(|found| found == wanted)
                        && source.components.iter().any(|found| found == "main")
                })
                .find_map(|source| Some((source, source.uris.iter().find(|uri| fetchable(uri))?)))
        };
        let main = usable(suite).or_else(|| usable("stable"));
        let uri = chosen.or(main.map(|(_, uri)| uri.as_str())).with_context(|| {
            format!(
                "no apt source in /etc/apt names an http, https or file mirror of {suite} main; \
                 name one with --mirror, as in --mirror http://deb.debian.org/debian"
            )
        })?;
        let security = usable(&format!("{suite}-security"))
            .or_else(|| usable("stable-security"))
            .filter(|_| chosen.is_none());
        let keyring = main
            .and_then(|(source, _)| source.signed_by.as_deref())
            .filter(|path| path.starts_with('/'))
            .unwrap_or(DEFAULT_KEYRING);
        Ok(Mirror {
            uri: uri.trim_end_matches('/').to_owned(),
            security_uri: security.map(|(_, uri)| uri.trim_end_matches('/').to_owned()),
            keyring: PathBuf::from(keyring),
        })
    }
}

/// debootstrap understands these schemes; `mirror://`, `cdrom:` and others it does not.
fn fetchable(uri: &str) -> bool {
    ["http://", "https://", "file:/"]
        .iter()
        .any(|scheme| uri.starts_with(scheme))
}

/// `sources.list` and the files of `sources.list.d` that apt reads, in apt's order.
fn source_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let parts = folder.join("sources.list.d");
    if parts.is_dir() {
        for entry in fs::read_dir(&parts)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "list" || extension == "sources")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    let main = folder.join("sources.list");
    if main.is_file() {
        files.insert(0, main);
    }
    Ok(files)
}

fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with(|c: char| c.is_whitespace() || c == '[') {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned),
    })
}

fn parse_deb822(text: &str) -> Vec<Source> {
    let mut stanzas = vec![Vec::new()];
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        let last = stanzas.len() - 1;
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanzas[last].last_mut() {
                *value = format!("{value} {}", line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanzas[last].push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    stanzas
        .iter()
        .filter_map(|stanza| source_of(stanza))
        .collect()
}

fn source_of(stanza: &[(String, String)]) -> Option<Source> {
    let field = |wanted: &str| {
        stanza
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let words = |wanted: &str| -> Vec<String> {
        field(wanted)
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    let disabled = field("enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
    if disabled || !words("types").iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb deb-src
# Where this came from
URIs: https://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
";

    #[test]
    fn deb822_stanzas_give_mirror_security_and_keyring() {
        let mirror = Mirror::choose(&parse_deb822(DEB822), "bookworm", None).unwrap();
        assert_eq!(
            mirror,
            Mirror {
                uri: "https://mirror.example/debian".to_owned(),
                security_uri: Some("http://security.example/debian-security".to_owned()),
                keyring: PathBuf::from("/usr/share/keyrings/archive.gpg"),
            }
        );
    }

    #[test]
    fn folded_fields_are_one_field() {
        assert_eq!(parse_deb822(DEB822)[0].components, ["main", "contrib"]);
    }

    #[test]
    fn disabled_and_source_only_stanzas_are_skipped() {
        assert_eq!(parse_deb822(DEB822).len(), 2);
        assert_eq!(
            parse_deb822("Types: deb-src\nURIs: http://a\nSuites: s\n"),
            []
        );
    }

    #[test]
    fn one_line_entries_give_mirror_and_keyring() {
        let text = "# deb http://old.example/debian bookworm main\n\
                    deb-src http://src.example/debian bookworm main\n\
                    deb http://vendor.example/apt bookworm stable\n\
                    deb [arch=amd64 signed-by=/etc/keys/a.gpg] http://m.example/debian/ bookworm main contrib # here\n";
        let mirror = Mirror::choose(&parse_one_line(text), "bookworm", None).unwrap();
        assert_eq!(mirror.uri, "http://m.example/debian");
        assert_eq!(mirror.security_uri, None);
        assert_eq!(mirror.keyring, PathBuf::from("/etc/keys/a.gpg"));
    }

    #[test]
    fn a_source_that_names_stable_serves_the_running_suite() {
        let sources = parse_one_line("deb http://m.example/debian stable main\n");
        let mirror = Mirror::choose(&sources, "bookworm", None).unwrap();
        assert_eq!(mirror.uri, "http://m.example/debian");
        assert_eq!(mirror.keyring, PathBuf::from(DEFAULT_KEYRING));
    }

    #[test]
    fn a_chosen_mirror_wins_and_takes_no_other_hosts_security_archive() {
        let mirror =
            Mirror::choose(&parse_deb822(DEB822), "bookworm", Some("file:/srv/debian/")).unwrap();
        assert_eq!(mirror.uri, "file:/srv/debian");
        assert_eq!(mirror.security_uri, None);
    }

    #[test]
    fn sources_without_a_usable_mirror_say_what_to_do() {
        let sources = parse_one_line("deb cdrom:[Debian] bookworm main\n");
        let error = Mirror::choose(&sources, "bookworm", None).unwrap_err();
        assert!(error.to_string().contains("--mirror"), "{error}");
    }
}
