//! How a container of a model is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use bollard::models::DeviceRequest;

/// Folder of the project in the image.
pub(crate) const SOURCE: &str = "/src";

/// How a container is started; the default starts the image as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    /// The image.
    pub(crate) image: String,
    /// `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// Instead of the command of the image.
    pub(crate) command: Option<Vec<String>>,
    /// Folder of this computer that is mounted as the project.
    pub(crate) source: Option<PathBuf>,
    /// Which GPUs it sees.
    pub(crate) gpus: Gpus,
    /// Where its server listens on this computer; the default is a free port of the loopback interface.
    pub(crate) listen: Option<SocketAddr>,
    /// More ports that are published, as they are.
    pub(crate) publish: Vec<u16>,
}

impl Launch {
    /// Where the server listens; port 0 is a free one.
    pub(super) fn address(&self) -> SocketAddr {
        self.listen
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

/// GPUs of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gpus {
    /// None.
    #[default]
    None,
    /// All, where the engine can give them.
    IfThere,
    /// All.
    All,
    /// So many.
    Count(u32),
    /// Those with these numbers or ids.
    Devices(Vec<String>),
}

impl std::str::FromStr for Gpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(devices) = text.strip_prefix("device=").filter(|list| !list.is_empty()) {
            return Ok(Self::Devices(
                devices.split(',').map(str::to_owned).collect(),
            ));
        }
        match text {
            "all" => Ok(Self::All),
            "none" | "0" => Ok(Self::None),
            number => number
                .parse()
                .map(Self::Count)
                .map_err(|_| "must be `all`, `none`, a number, or `device=0,1`".to_owned()),
        }
    }
}

impl Gpus {
    /// What the engine is asked for.
    pub(super) fn request(&self) -> Option<Vec<DeviceRequest>> {
        let (count, device_ids) = match self {
            Self::None => return None,
            Self::IfThere | Self::All => (Some(-1), None),
            Self::Count(count) => (Some(i64::from(*count)), None),
            Self::Devices(ids) => (None, Some(ids.clone())),
        };
        Some(vec![DeviceRequest {
            count,
            device_ids,
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::Gpus;

    #[test]
    fn gpus_are_named_as_docker_does() {
        for (text, gpus) in [
            ("all", Gpus::All),
            ("2", Gpus::Count(2)),
            ("0", Gpus::None),
            (
                "device=0,GPU-1",
                Gpus::Devices(vec!["0".into(), "GPU-1".into()]),
            ),
        ] {
            assert_eq!(text.parse(), Ok(gpus), "{text}");
        }
        assert!("device=".parse::<Gpus>().is_err());
        assert_eq!(Gpus::None.request(), None);
        assert_eq!(Gpus::All.request().unwrap()[0].count, Some(-1));
    }
}
