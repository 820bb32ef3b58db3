//! Platforms: operating system, architecture and their variants.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What an op is built for, or runs on.
///
/// BuildKit puts a platform that is given to an op or to a marshal into the op **as it is written**, so
/// `linux/x86_64` and `linux/amd64` give different digests; only the platform a state carries along is normalized.
/// [`Platform::parse`] normalizes, the constants are normalized, a struct literal is not.
///
/// The empty platform is a value of its own: it is written into an op as an empty message.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The operating system, as Go names it: `linux`, `windows`, `darwin`.
    pub os: Cow<'static, str>,
    /// The processor architecture, as Go names it: `amd64`, `arm64`, `386`.
    pub architecture: Cow<'static, str>,
    /// The variant of the architecture, `v7` for one; empty for the usual one.
    pub variant: Cow<'static, str>,
    /// The version of the operating system, in use for Windows only; else empty.
    pub os_version: Cow<'static, str>,
    /// Features the operating system must have, `win32k` for one; their order enters the digest.
    pub os_features: Vec<Cow<'static, str>>,
}

/// # The platforms BuildKit's client predefines
impl Platform {
    /// `linux/amd64`.
    pub const LINUX_AMD64: Self = Self::constant("linux", "amd64", "");
    /// `linux/arm/v7`.
    pub const LINUX_ARMHF: Self = Self::constant("linux", "arm", "v7");
    /// `linux/arm/v7`; the same as [`Platform::LINUX_ARMHF`].
    pub const LINUX_ARM: Self = Self::LINUX_ARMHF;
    /// `linux/arm/v6`.
    pub const LINUX_ARMEL: Self = Self::constant("linux", "arm", "v6");
    /// `linux/arm64`.
    pub const LINUX_ARM64: Self = Self::constant("linux", "arm64", "");
    /// `linux/s390x`.
    pub const LINUX_S390X: Self = Self::constant("linux", "s390x", "");
    /// `linux/ppc64`.
    pub const LINUX_PPC64: Self = Self::constant("linux", "ppc64", "");
    /// `linux/ppc64le`.
    pub const LINUX_PPC64LE: Self = Self::constant("linux", "ppc64le", "");
    /// `linux/riscv64`.
    pub const LINUX_RISCV64: Self = Self::constant("linux", "riscv64", "");
    /// `darwin/amd64`.
    pub const DARWIN: Self = Self::constant("darwin", "amd64", "");
    /// `windows/amd64`.
    pub const WINDOWS: Self = Self::constant("windows", "amd64", "");

    const fn constant(os: &'static str, architecture: &'static str, variant: &'static str) -> Self {
        Self {
            os: Cow::Borrowed(os),
            architecture: Cow::Borrowed(architecture),
            variant: Cow::Borrowed(variant),
            os_version: Cow::Borrowed(""),
            os_features: Vec::new(),
        }
    }
}

/// # Reading and normalizing
impl Platform {
    /// A platform without a variant, exactly as written.
    ///
    /// ```
    /// use llb::value::Platform;
    ///
    /// assert_eq!(Platform::new("linux", "arm64"), Platform::LINUX_ARM64);
    /// ```
    pub fn new(
        os: impl Into<Cow<'static, str>>,
        architecture: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            ..Self::default()
        }
    }

    /// The same platform with another variant, exactly as written.
    #[must_use = "this returns a new platform"]
    pub fn with_variant(self, variant: impl Into<Cow<'static, str>>) -> Self {
        Self {
            variant: variant.into(),
            ..self
        }
    }

    /// Reads `os/architecture` or `os/architecture/variant` and normalizes it.
    ///
    /// Text without an operating system is refused: what it means would depend on the machine that reads it.
    ///
    /// ```
    /// use llb::value::Platform;
    ///
    /// assert_eq!(Platform::parse("linux/aarch64/v8")?, Platform::LINUX_ARM64);
    /// assert!(Platform::parse("arm64").is_err());
    /// # Ok::<(), llb::value::platform::PlatformError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        if !is_valid_platform(text) {
            return Err(PlatformError { text: text.into() });
        }
        let mut parts = text.split('/');
        let [os, architecture, variant] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let platform = Self {
            os: os.to_owned().into(),
            architecture: architecture.to_owned().into(),
            variant: variant.to_owned().into(),
            ..Self::default()
        };
        Ok(platform.normalized())
    }

    /// The normal form of a platform, with `linux` for an empty operating system.
    ///
    /// These are the rules of containerd, which BuildKit's client applies to the platform of a state: names in lower
    /// case, `macos` is `darwin`, `x86_64` is `amd64`, `aarch64` is `arm64`, `armhf` and `armel` are variants of
    /// `arm`, variants that are the usual ones disappear, and features are sorted without duplicates.
    ///
    /// ```
    /// use llb::value::Platform;
    ///
    /// assert_eq!(Platform::new("Linux", "x86_64").with_variant("v1").normalized(), Platform::LINUX_AMD64);
    /// assert_eq!(Platform::new("", "arm").normalized(), Platform::LINUX_ARM);
    /// ```
    #[must_use = "this returns a new platform"]
    pub fn normalized(self) -> Self {
        self.normalized_for("linux")
    }

    /// The normal form of a platform, with `default_os` for an empty operating system.
    ///
    /// Go's client takes the operating system it runs on for that; here it is an argument, so that a graph does not
    /// depend on where it was built.
    #[must_use = "this returns a new platform"]
    pub fn normalized_for(self, default_os: &'static str) -> Self {
        let os = match lower(self.os) {
            os if os.is_empty() => Cow::Borrowed(default_os),
            os if os == "macos" => Cow::Borrowed("darwin"),
            os => os,
        };
        let (architecture, variant) =
            normalize_architecture(lower(self.architecture), lower(self.variant));
        let mut os_features = self.os_features;
        os_features.sort_unstable();
        os_features.dedup();
        Self {
            os,
            architecture,
            variant,
            os_version: self.os_version,
            os_features,
        }
    }
}

fn normalize_architecture(
    architecture: Cow<'static, str>,
    variant: Cow<'static, str>,
) -> (Cow<'static, str>, Cow<'static, str>) {
    // `None` keeps the variant.
    let (normal_architecture, normal_variant) = match (&*architecture, &*variant) {
        ("i386", _) => ("386", Some("")),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", Some("")),
        ("x86_64" | "x86-64" | "amd64", _) => ("amd64", None),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", Some("")),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", Some("v9")),
        ("aarch64" | "arm64", _) => ("arm64", None),
        ("armhf", _) | ("arm", "" | "7") => ("arm", Some("v7")),
        ("armel", _) | ("arm", "6") => ("arm", Some("v6")),
        ("arm", "5") => ("arm", Some("v5")),
        ("arm", "8") => ("arm", Some("v8")),
        _ => return (architecture, variant),
    };
    (
        Cow::Borrowed(normal_architecture),
        normal_variant.map_or(variant, Cow::Borrowed),
    )
}

fn lower(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.chars().any(char::is_uppercase) {
        Cow::Owned(text.to_lowercase())
    } else {
        text
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse(text)
    }
}

impl fmt::Display for Platform {
    /// Writes the parts that are not empty, `os/architecture/variant`; `unknown` for the empty platform.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return formatter.write_str("unknown");
        }
        formatter.write_str(&self.os)?;
        for part in [&self.architecture, &self.variant] {
            if !part.is_empty() {
                write!(formatter, "/{part}")?;
            }
        }
        Ok(())
    }
}

/// Whether [`Platform::parse`] accepts `text`; usable in constants.
///
/// ```
/// use llb::value::platform::is_valid_platform;
///
/// const { assert!(is_valid_platform("linux/arm/v7")) };
/// assert!(!is_valid_platform("linux"));
/// ```
#[must_use]
pub const fn is_valid_platform(text: &str) -> bool {
    let text = text.as_bytes();
    let mut slashes = 0;
    let mut start = 0;
    let mut index = 0;
    while index < text.len() {
        match text[index] {
            b'/' if index == start => return false,
            b'/' => {
                slashes += 1;
                start = index + 1;
            }
            b'_' | b'.' | b'-' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        index += 1;
    }
    start < text.len() && (slashes == 1 || slashes == 2)
}

/// Gives a [`Platform`] from a literal, checked when the program is compiled.
///
/// ```
/// use llb::value::Platform;
///
/// assert_eq!(llb::platform!("linux/arm64"), Platform::LINUX_ARM64);
/// ```
///
/// A mistake does not compile:
///
/// ```compile_fail
/// let platform = llb::platform!("arm64");
/// ```
#[macro_export]
macro_rules! platform {
    ($platform:expr) => {{
        const PLATFORM: &str = $platform;
        const _: () = assert!(
            $crate::value::platform::is_valid_platform(PLATFORM),
            "invalid platform: expected os/architecture or os/architecture/variant, such as linux/arm/v7"
        );
        $crate::value::platform::checked(PLATFORM)
    }};
}

/// The platform of a checked literal; [`platform!`](crate::platform) is written with it.
#[doc(hidden)]
#[must_use]
pub fn checked(text: &'static str) -> Platform {
    Platform::parse(text).expect("the literal was checked when the program was compiled")
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformError {
    text: Box<str>,
}

impl fmt::Display for PlatformError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "invalid platform {:?}: expected os/architecture or os/architecture/variant (hint: write linux/amd64 or linux/arm/v7)",
            self.text
        )
    }
}

impl std::error::Error for PlatformError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Platform {
        let mut parts = text.split('/').map(|part| Cow::Owned(part.to_owned()));
        Platform {
            os: parts.next().unwrap(),
            architecture: parts.next().unwrap(),
            variant: parts.next().unwrap_or_default(),
            ..Platform::default()
        }
    }

    #[test]
    fn normal_forms_are_those_of_containerd() {
        let cases = [
            ("Linux/i386/x", "linux/386/"),
            ("linux/x86_64/v1", "linux/amd64/"),
            ("linux/AMD64/V2", "linux/amd64/v2"),
            ("linux/x86-64/", "linux/amd64/"),
            ("linux/aarch64/", "linux/arm64/"),
            ("linux/arm64/8", "linux/arm64/"),
            ("linux/arm64/v8.0", "linux/arm64/"),
            ("linux/arm64/9", "linux/arm64/v9"),
            ("linux/arm64/v9.0", "linux/arm64/v9"),
            ("linux/arm64/v9.2", "linux/arm64/v9.2"),
            ("linux/armhf/v6", "linux/arm/v7"),
            ("linux/armel/v7", "linux/arm/v6"),
            ("linux/arm/", "linux/arm/v7"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/arm/5", "linux/arm/v5"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/arm/8", "linux/arm/v8"),
            ("macOS/arm64/v8", "darwin/arm64/"),
            ("FreeBSD/RISCV64/x", "freebsd/riscv64/x"),
            ("/amd64/", "linux/amd64/"),
        ];
        for (given, expected) in cases {
            let normal = raw(given).normalized();
            assert_eq!(normal, raw(expected), "{given}");
            assert_eq!(
                normal.clone().normalized(),
                normal,
                "{given} is not a fixed point"
            );
        }
    }

    #[test]
    fn features_are_sorted_without_duplicates_and_the_version_stays() {
        let platform = Platform {
            os_version: "10.0".into(),
            os_features: vec!["z".into(), "a".into(), "z".into()],
            ..Platform::WINDOWS
        };
        let normal = platform.normalized();
        assert_eq!(normal.os_features, ["a", "z"]);
        assert_eq!(normal.os_version, "10.0");
    }

    #[test]
    fn the_default_system_is_an_argument() {
        assert_eq!(
            Platform::new("", "amd64").normalized_for("windows"),
            Platform::WINDOWS
        );
    }

    #[test]
    fn text_round_trips() {
        for text in [
            "linux/amd64",
            "linux/arm/v7",
            "windows/amd64",
            "linux/riscv64",
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Platform::default().to_string(), "unknown");
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "linux/amd 64",
            "linux/arm/",
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn constants_are_normal() {
        for platform in [
            Platform::LINUX_AMD64,
            Platform::LINUX_ARM,
            Platform::LINUX_ARMEL,
            Platform::LINUX_S390X,
        ] {
            assert_eq!(platform.clone().normalized(), platform);
        }
    }
}
