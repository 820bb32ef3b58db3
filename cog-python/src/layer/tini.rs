//! The init program, from its own release.

use llb::{Constrain, State, file, http};

/// Where the program is put.
const PATH: &str = "/sbin/tini";
/// Its release.
const VERSION: &str = "v0.19.0";
/// Machine, and SHA-256 of the static program of the release for it.
const PROGRAMS: [(&str, &str); 2] = [
    (
        "amd64",
        "c5b0666b4cb676901f90dfcb37106783c5fe2077b04590973b885950611b30ee",
    ),
    (
        "arm64",
        "eae1d3aa50c48fb23b8cbdf4e369d0910dfc538566bfd09df89a774aa84a48b9",
    ),
];

/// A machine that tini has no release for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tini has no release for `{0}`; known are amd64 and arm64")]
pub struct TiniError(String);

/// A layer with tini at `/sbin/tini`, fetched as a file whose digest is known: nothing is run for it, and nothing of the
/// image decides about it. Where packages are installed anyway, [`apt`](super::apt()) with `tini` does the same.
///
/// ```
/// use cog_python::layer::tini;
///
/// let image = llb::image("alpine").layer(tini("arm64")).entrypoint(["/sbin/tini", "--"]);
/// assert!(image.to_text().contains("/tini-static-arm64\" http.checksum=\"sha256:"));
/// assert!(llb::image("alpine").layer(tini("sparc")).to_text().contains("no release for `sparc`"));
/// ```
#[llb::layer]
pub fn tini(base: State, architecture: &str) -> Result<State, TiniError> {
    let known = PROGRAMS.iter().find(|(known, _)| *known == architecture);
    let (_, digest) = known.ok_or_else(|| TiniError(architecture.to_owned()))?;
    let url = format!(
        "https://github.com/krallin/tini/releases/download/{VERSION}/tini-static-{architecture}"
    );
    let program = http(url)
        .filename("tini")
        .checksum(format!("sha256:{digest}"))
        .chmod(0o755)
        .name(format!("tini {VERSION}"));
    Ok(base.file(file::copy(program.state(), "/tini", PATH).name(format!("copy tini to {PATH}"))))
}
