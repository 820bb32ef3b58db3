//! Where a daemon listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::{Error, ErrorKind};

/// The address of a daemon: buildkitd, or a Docker engine, whose built-in BuildKit is used.
///
/// Which of the two listens there is found out on connecting.
///
/// ```
/// use llb::client::Address;
///
/// let address: Address = "unix:///run/buildkit/buildkitd.sock".parse()?;
/// assert_eq!(address.to_string(), "unix:///run/buildkit/buildkitd.sock");
/// assert_eq!("/var/run/docker.sock".parse::<Address>()?.to_string(), "unix:///var/run/docker.sock");
/// assert_eq!("tcp://localhost:1234".parse::<Address>()?.to_string(), "tcp://localhost:1234");
/// assert!("ssh://host".parse::<Address>().unwrap_err().to_string().contains("not supported"));
/// # Ok::<(), llb::client::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Address {
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
    /// A TCP port without TLS, as `host:port`.
    Tcp(String),
}

impl Address {
    /// A Unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix(path.into())
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |what: &str| {
            Error::new(
                ErrorKind::Address,
                format!("address `{text}` {what}, expected `unix:///path` or `tcp://host:port`"),
            )
        };
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(invalid("has no scheme"));
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(invalid("does not name an absolute path")),
            "tcp" => {
                let rest = rest.trim_end_matches('/');
                let port = rest.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                match port {
                    Some(Ok(_)) => Ok(Self::Tcp(rest.to_owned())),
                    _ => Err(invalid("has no port")),
                }
            }
            "ssh" | "npipe" | "fd" | "docker-container" | "podman-container" | "kube-pod"
            | "nerdctl-container" => Err(Error::new(
                ErrorKind::Address,
                format!("address `{text}` uses `{scheme}`, which is not supported yet"),
            )
            .hint("forward the daemon's socket to a local `unix://` path and name that")),
            _ => Err(invalid(&format!("has the unknown scheme `{scheme}`"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(authority) => write!(formatter, "tcp://{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_work_say_why() {
        for (text, part) in [
            ("run/buildkitd.sock", "no scheme"),
            ("unix://run/x.sock", "absolute"),
            ("tcp://localhost", "no port"),
            ("tcp://localhost:http", "no port"),
            ("http://localhost:1", "unknown scheme `http`"),
            ("docker-container://builder", "not supported yet"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Address);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
