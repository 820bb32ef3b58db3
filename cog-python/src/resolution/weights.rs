//! Weights that become a part of the image (`--include-weights`).

use llb::value::ImageRef;

use super::{At, Resolver};
use crate::config::WeightSource;
use crate::diagnostic::{Severity, Span};
use crate::plan::{WeightFiles, WeightOrigin};

/// What marks the digest of a download.
const DIGEST: &str = "#sha256=";

/// Weights and where their files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncludedWeights {
    /// Name.
    pub name: String,
    /// Absolute path of their folder in the image.
    pub target: String,
    /// Where the files come from, in order.
    pub files: Vec<WeightFiles>,
    /// Where they were asked for.
    pub span: Span,
}

impl Resolver<'_> {
    /// Weights for the image; none where they are mounted when it runs, as Cog has it.
    pub(super) fn included_weights(&mut self) -> Vec<IncludedWeights> {
        let config = self.config;
        if config.weights.is_empty() || !self.options.include_weights {
            return Vec::new();
        }
        self.decide(
            "weights",
            "a part of the image",
            "the command line asks for it; each is a layer of its own",
        );
        let mut included = Vec::new();
        for weight in &config.weights {
            let mut files = Vec::new();
            for source in &weight.sources {
                match origin(&source.uri) {
                    Ok(origin) => files.push(WeightFiles {
                        origin,
                        include: source.include.clone(),
                        exclude: source.exclude.clone(),
                    }),
                    Err((problem, hint)) => self.find(
                        Severity::Error,
                        At::Key(weight.span),
                        format!(
                            "weights `{}` from `{}` {problem}",
                            weight.name,
                            shown(source)
                        ),
                        hint,
                    ),
                }
            }
            included.push(IncludedWeights {
                name: weight.name.clone(),
                target: weight.target.clone(),
                files,
                span: weight.span,
            });
        }
        included
    }
}

/// An address without what may be a password.
fn shown(source: &WeightSource) -> String {
    match source.uri.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}")
        }
        None => source.uri.clone(),
    }
}

/// Where an address of cog.yaml leads; else what is wrong, and what to do.
fn origin(uri: &str) -> Result<WeightOrigin, (&'static str, String)> {
    match uri.split_once("://") {
        Some(("https", _)) => download(uri),
        Some(("hf", rest)) => repository(rest),
        Some(("oci", rest)) => {
            let (reference, path) = image(rest, "oci")?;
            Ok(WeightOrigin::Image { reference, path })
        }
        Some(("oci+artifact", rest)) => {
            let (reference, path) = image(rest, "oci+artifact")?;
            Ok(WeightOrigin::Artifact { reference, path })
        }
        Some((_, path)) => project(path),
        None => project(uri),
    }
}

fn download(uri: &str) -> Result<WeightOrigin, (&'static str, String)> {
    let (url, digest) = uri.split_once(DIGEST).unwrap_or((uri, ""));
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest {
        let hint = format!("write the digest of the file behind its address: `{DIGEST}…`");
        return Err(("have no digest, so they may be another file tomorrow", hint));
    }
    let host = url.split('/').nth(2).unwrap_or_default();
    if host.contains('@') {
        let hint = "a plan has no place for passwords; fetch the file into a folder of the project";
        return Err(("have a login in their address", hint.to_owned()));
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let is_named = path
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .is_some_and(|(_, path)| path.rsplit('/').next().is_some_and(|name| !name.is_empty()));
    if !is_named {
        let hint = "name a file, such as `https://host/weights.safetensors#sha256=…`";
        return Err((
            "are no file: the address ends with a folder",
            hint.to_owned(),
        ));
    }
    Ok(WeightOrigin::Url {
        url: url.to_owned(),
        sha256: digest.to_ascii_lowercase(),
    })
}

fn repository(rest: &str) -> Result<WeightOrigin, (&'static str, String)> {
    let (name, revision) = rest.split_once('@').unwrap_or((rest, ""));
    let is_part = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with(['-', '.']) && part.bytes().all(known)
    };
    let parts: Vec<&str> = name.split('/').collect();
    if !matches!(parts.as_slice(), [owner, name] if is_part(owner) && is_part(name)) {
        return Err((
            "are no repository of Hugging Face",
            "write `hf://owner/name@COMMIT`; single files are taken with `include`".to_owned(),
        ));
    }
    let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_commit {
        let hint = format!("write `hf://{name}@` and the 40 digits of a commit");
        return Err(("name no commit, so they may be other files tomorrow", hint));
    }
    Ok(WeightOrigin::HuggingFace {
        repository: name.to_owned(),
        revision: revision.to_owned(),
    })
}

/// An image or artifact by its digest, and a path in it: `HOST/NAME@sha256:DIGEST#PATH`.
fn image(rest: &str, scheme: &str) -> Result<(String, String), (&'static str, String)> {
    let (name, path) = rest.split_once('#').unwrap_or((rest, ""));
    let Ok(reference) = ImageRef::parse(name) else {
        return Err((
            "are no image",
            format!("write `{scheme}://registry.example.com/team/weights@sha256:…`"),
        ));
    };
    if reference.digest().is_none() {
        let hint = format!("write the digest behind the name: `{scheme}://{name}@sha256:…`");
        return Err(("have no digest, so they may be other files tomorrow", hint));
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") {
        let hint = "write the path from the root of the image, such as `#models/base`".to_owned();
        return Err(("are outside of their image", hint));
    }
    Ok((name.to_owned(), parts.join("/")))
}

/// A path of the project, cleaned.
fn project(path: &str) -> Result<WeightOrigin, (&'static str, String)> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if path.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
        return Err((
            "are outside of the project, which is all that a builder is given",
            "copy or mount them into a folder of the project, and name that: `file://weights`"
                .to_owned(),
        ));
    }
    Ok(WeightOrigin::Project {
        path: parts.join("/"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_files_that_stay_the_same() {
        let digest = "A".repeat(64);
        assert_eq!(
            origin(&format!("https://host/a/w.bin?x=1#sha256={digest}")).unwrap(),
            WeightOrigin::Url {
                url: "https://host/a/w.bin?x=1".into(),
                sha256: "a".repeat(64),
            }
        );
        let commit = "0".repeat(40);
        assert_eq!(
            origin(&format!("hf://owner/name@{commit}")).unwrap(),
            WeightOrigin::HuggingFace {
                repository: "owner/name".into(),
                revision: commit.clone(),
            }
        );
        let pinned = format!("host:5000/team/w:7@sha256:{}", "b".repeat(64));
        for (uri, path) in [
            (format!("oci://{pinned}"), ""),
            (format!("oci://{pinned}#/models//./x/"), "models/x"),
        ] {
            assert_eq!(
                origin(&uri).unwrap(),
                WeightOrigin::Image {
                    reference: pinned.clone(),
                    path: path.into(),
                }
            );
        }
        assert_eq!(
            origin(&format!("oci+artifact://{pinned}#w.bin")).unwrap(),
            WeightOrigin::Artifact {
                reference: pinned.clone(),
                path: "w.bin".into(),
            }
        );
        for path in ["file://./models//x/", "models/x"] {
            assert_eq!(
                origin(path).unwrap(),
                WeightOrigin::Project {
                    path: "models/x".into()
                }
            );
        }
        for (uri, problem) in [
            ("https://host/w.bin".to_owned(), "no digest"),
            (format!("https://host/#sha256={digest}"), "no file"),
            (format!("https://host#sha256={digest}"), "no file"),
            (format!("https://me:pw@host/w#sha256={digest}"), "a login"),
            ("hf://owner/name".to_owned(), "no commit"),
            ("hf://owner/name@main".to_owned(), "no commit"),
            (format!("hf://name@{commit}"), "no repository"),
            (format!("hf://-x/name@{commit}"), "no repository"),
            ("file:///data/w".to_owned(), "outside"),
            ("oci://host/w:7".to_owned(), "no digest"),
            ("oci://host/W @".to_owned(), "no image"),
            ("oci+artifact://host/w:7".to_owned(), "no digest"),
            (format!("oci+artifact://{pinned}#../x"), "outside"),
            (format!("oci://{pinned}#../x"), "outside"),
            ("../w".to_owned(), "outside"),
            (".".to_owned(), "outside"),
        ] {
            let (found, hint) = origin(&uri).unwrap_err();
            assert!(found.contains(problem), "{uri}: {found}");
            assert!(!hint.is_empty());
        }
    }
}
