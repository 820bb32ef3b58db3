//! Where a daemon listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::dial::Dial;
use super::error::{Error, ErrorKind};
use super::tls::Tls;

/// The address of a daemon: buildkitd, or a Docker engine, whose built-in BuildKit is used.
///
/// Which of the two listens at a socket or port is found out on connecting. These forms are read:
///
/// | form | reaches |
/// | --- | --- |
/// | `unix:///run/buildkit/buildkitd.sock`, `/run/docker.sock` | a Unix socket |
/// | `tcp://host:1234` | a port, with TLS if the address is given any |
/// | `ssh://user@host:22/run/buildkit/buildkitd.sock` | buildkitd on another machine: `ssh … buildctl dial-stdio` |
/// | `docker-container://name?context=x` | buildkitd in a container: `docker exec -i … buildctl dial-stdio` |
/// | `podman-container://name`, `nerdctl-container://name?namespace=x` | the same with podman and nerdctl |
/// | `kube-pod://pod?context=x&namespace=y&container=z` | buildkitd in a pod: `kubectl exec -i … buildctl dial-stdio` |
/// | `docker://context` | the engine of a Docker context; without a name the one `docker` uses now |
/// | `buildx://name` | the first node of a builder that `docker buildx create` made |
///
/// ```
/// use llb::client::Address;
///
/// let address: Address = "unix:///run/buildkit/buildkitd.sock".parse()?;
/// assert_eq!(address.to_string(), "unix:///run/buildkit/buildkitd.sock");
/// assert_eq!("/var/run/docker.sock".parse::<Address>()?.to_string(), "unix:///var/run/docker.sock");
/// let pod: Address = "kube-pod://buildkit-0?namespace=ci".parse()?;
/// assert_eq!(
///     pod.command_line().as_deref(),
///     Some("kubectl --namespace=ci exec -i buildkit-0 -- buildctl dial-stdio")
/// );
/// assert!("npipe:////./pipe/docker".parse::<Address>().unwrap_err().to_string().contains("Windows"));
/// # Ok::<(), llb::client::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Address {
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
    /// A TCP port, as `host:port`.
    Tcp(String),
    /// A TCP port with TLS, as `host:port`.
    Tls(String, Tls),
    /// A program whose standard input and output lead to the daemon.
    Dial(Dial),
    /// A Docker context, by its name; the one in use if it is empty.
    Context(String),
    /// A builder of buildx, by its name.
    Builder(String),
}

impl Address {
    /// A Unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix(path.into())
    }

    /// The address with TLS; only TCP ports have any.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Address`] for an address of another kind.
    pub fn with_tls(self, tls: Tls) -> Result<Self, Error> {
        match self {
            Self::Tcp(authority) | Self::Tls(authority, _) => Ok(Self::Tls(authority, tls)),
            other => Err(Error::new(
                ErrorKind::Address,
                format!("address `{other}` takes no TLS, only `tcp://host:port` does"),
            )),
        }
    }

    /// Reads an address as Docker reads `DOCKER_HOST`: `ssh://` leads to a Docker engine there, and ports have a
    /// default (2375, or 2376 with TLS).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Address`] if it cannot be read.
    pub fn docker_host(text: &str, tls: Option<Tls>) -> Result<Self, Error> {
        let address = match text.split_once("://") {
            Some(("ssh", rest)) => Self::Dial(Dial::docker_over_ssh(text, rest)?),
            Some(("tcp" | "http" | "https", rest)) => {
                let port = if tls.is_some() { 2376 } else { 2375 };
                Self::Tcp(authority(text, rest, Some(port))?)
            }
            _ => text.parse()?,
        };
        match (address, tls) {
            (Self::Tcp(authority), Some(tls)) => Ok(Self::Tls(authority, tls)),
            (address, _) => Ok(address),
        }
    }

    /// The command that is run to reach the daemon, if one is.
    pub fn command_line(&self) -> Option<String> {
        match self {
            Self::Dial(dial) => Some(dial.command_line()),
            _ => None,
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(invalid(text, "has no scheme"));
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(invalid(text, "does not name an absolute path")),
            "tcp" => Ok(Self::Tcp(authority(text, rest, None)?)),
            "ssh" | "docker-container" | "podman-container" | "nerdctl-container" | "kube-pod" => {
                Ok(Self::Dial(Dial::read(text, scheme, rest)?))
            }
            "docker" => Ok(Self::Context(rest.trim_end_matches('/').to_owned())),
            "buildx" if !rest.is_empty() => Ok(Self::Builder(rest.to_owned())),
            "buildx" => Err(invalid(text, "names no builder")),
            "npipe" => Err(Error::new(
                ErrorKind::Address,
                format!("address `{text}` is a named pipe of Windows, which is not supported"),
            )),
            _ => Err(invalid(text, &format!("has the unknown scheme `{scheme}`"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(authority) | Self::Tls(authority, _) => {
                write!(formatter, "tcp://{authority}")
            }
            Self::Dial(dial) => dial.fmt(formatter),
            Self::Context(name) => write!(formatter, "docker://{name}"),
            Self::Builder(name) => write!(formatter, "buildx://{name}"),
        }
    }
}

/// The error of an address that cannot be read.
pub(super) fn invalid(text: &str, what: &str) -> Error {
    Error::new(ErrorKind::Address, format!("address `{text}` {what}")).hint(
        "addresses look like `unix:///path`, `tcp://host:port`, `ssh://host`, `docker-container://name`, \
         `kube-pod://pod`, `docker://context` or `buildx://builder`",
    )
}

/// Host and port.
fn authority(text: &str, rest: &str, default: Option<u16>) -> Result<String, Error> {
    let rest = rest.trim_end_matches('/');
    // The colons of an IPv6 address are in brackets.
    let port = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => Some((host, port)),
        _ => None,
    };
    match (port, default) {
        (Some((host, port)), _) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(rest.to_owned())
        }
        (None, Some(port)) if !rest.is_empty() => Ok(format!("{rest}:{port}")),
        _ => Err(invalid(text, "has no port")),
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
            ("tcp://[::1]", "no port"),
            ("http://localhost:1", "unknown scheme `http`"),
            ("docker-container://", "names no container"),
            ("buildx://", "names no builder"),
            ("ssh://", "names no host"),
            ("ssh://me:secret@host", "password"),
            ("ssh://-oProxyCommand=x", "host"),
            ("kube-pod://Pod_1", "pod"),
            ("kube-pod://pod?namspace=x", "`namspace`"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Address);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn each_form_runs_its_own_program() {
        for (text, command) in [
            (
                "ssh://host",
                "ssh -T -o BatchMode=yes -o ConnectTimeout=30 -- host buildctl dial-stdio",
            ),
            (
                "ssh://me@host:2222/run/b.sock",
                "ssh -T -o BatchMode=yes -o ConnectTimeout=30 -l me -p 2222 -- host buildctl --addr unix:///run/b.sock dial-stdio",
            ),
            (
                "docker-container://b?context=far",
                "docker --context=far exec -i b buildctl dial-stdio",
            ),
            (
                "podman-container://b",
                "podman exec -i b buildctl dial-stdio",
            ),
            (
                "nerdctl-container://b?namespace=n",
                "nerdctl --namespace=n exec -i b buildctl dial-stdio",
            ),
            (
                "kube-pod://p?context=c&namespace=n&container=b",
                "kubectl --context=c --namespace=n exec --container=b -i p -- buildctl dial-stdio",
            ),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.command_line().as_deref(), Some(command));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn docker_reads_some_addresses_in_its_own_way() {
        let read = |text: &str, tls: Option<Tls>| Address::docker_host(text, tls).unwrap();
        assert_eq!(read("tcp://host", None).to_string(), "tcp://host:2375");
        let secure = read("tcp://[::1]", Some(Tls::new()));
        assert_eq!(secure.to_string(), "tcp://[::1]:2376");
        assert!(matches!(secure, Address::Tls(..)));
        assert_eq!(
            read("ssh://me@host/run/d.sock", None)
                .command_line()
                .as_deref(),
            Some(
                "ssh -T -o BatchMode=yes -o ConnectTimeout=30 -l me -- host docker --host unix:///run/d.sock system dial-stdio"
            )
        );
        assert_eq!(
            read("unix:///d.sock", Some(Tls::new())),
            Address::unix("/d.sock")
        );
    }
}
