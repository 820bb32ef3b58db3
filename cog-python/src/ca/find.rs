//! Where a bundle comes from.

use super::{Bundle, CaError, Certificates, SECRET_LIMIT};
use crate::base64;

/// Variables that name the whole bundle of the host, in order of trust.
const WHOLE: [&str; 5] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
];

/// Variable that names certificates in addition to those a program knows.
const ADDITIONAL: &str = "NODE_EXTRA_CA_CERTS";

/// Bundles of common systems, to which a certificate of one's own is added.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What [`find`] asks its host. [`Disk`] is the real one.
pub trait Host {
    /// Value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// Text of a file.
    fn read(&self, path: &str) -> std::io::Result<String>;
    /// Names of the files in a folder; `None` when the path is no folder.
    fn list(&self, path: &str) -> Option<Vec<String>>;
}

/// The computer this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Host for Disk {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &str) -> std::io::Result<String> {
        // Text around certificates may be in any encoding.
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, path: &str) -> Option<Vec<String>> {
        let entries = std::fs::read_dir(path).ok()?;
        Some(
            entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
        )
    }
}

/// What [`find`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The bundle; none when nothing names one.
    pub bundle: Option<Bundle>,
    /// Variables that were passed over because what they name is not usable, each a sentence.
    pub passed_over: Vec<String>,
}

/// Finds the bundle for build steps.
///
/// `given` is the value of `--ca-cert`; `only` leaves the host's own bundle out. What the user
/// named for this program must be usable; what the host's variables name may be stale.
pub fn find(host: &dyn Host, given: Option<&str>, only: bool) -> Result<Found, CaError> {
    let mut passed_over = Vec::new();
    let own = match given {
        Some(value) => Some(("--ca-cert".to_owned(), value.to_owned())),
        None => host
            .variable("COG_CA_CERT")
            .filter(|value| !value.is_empty())
            .map(|value| ("COG_CA_CERT".to_owned(), value)),
    };
    let own = match own {
        Some((origin, value)) => {
            let certificates = read(host, &origin, &value)?;
            Some((origin, certificates))
        }
        None => None,
    };
    let parts = match own {
        Some(own) if only => vec![own],
        Some(own) => {
            let whole = named(host, &WHOLE, &mut passed_over).or_else(|| system_bundle(host));
            whole.into_iter().chain([own]).collect()
        }
        None => match named(host, &WHOLE, &mut passed_over) {
            Some(whole) => vec![whole],
            None => match named(host, &[ADDITIONAL], &mut passed_over) {
                Some(additional) => system_bundle(host)
                    .into_iter()
                    .chain([additional])
                    .collect(),
                None => {
                    return Ok(Found {
                        bundle: None,
                        passed_over,
                    });
                }
            },
        },
    };
    let origin = parts
        .iter()
        .map(|(origin, _)| origin.as_str())
        .collect::<Vec<_>>()
        .join(" and ");
    let mut certificates = Certificates::default();
    for (_, part) in parts {
        certificates.extend(part);
    }
    let pem = certificates.to_pem();
    let count = certificates.len();
    if pem.len() > SECRET_LIMIT {
        return Err(CaError::TooLarge {
            origin,
            certificates: count,
            bytes: pem.len(),
        });
    }
    Ok(Found {
        bundle: Some(Bundle {
            pem,
            certificates: count,
            origin,
        }),
        passed_over,
    })
}

/// What this program itself trusts, as PEM: the bundle of [`find`], or that of the system.
pub fn roots(host: &dyn Host, given: Option<&str>, only: bool) -> Result<Option<String>, CaError> {
    let named = find(host, given, only)?.bundle;
    Ok(named
        .map(|bundle| bundle.pem().to_owned())
        .or_else(|| Some(system_bundle(host)?.1.to_pem())))
}

/// The first of some variables that names usable certificates.
fn named(
    host: &dyn Host,
    variables: &[&str],
    passed_over: &mut Vec<String>,
) -> Option<(String, Certificates)> {
    variables.iter().find_map(|name| {
        let path = host.variable(name).filter(|path| !path.is_empty())?;
        match read_file(host, name, &path) {
            Ok(certificates) => Some((format!("{name} ({path})"), certificates)),
            Err(error) => {
                passed_over.push(error.to_string());
                None
            }
        }
    })
}

fn system_bundle(host: &dyn Host) -> Option<(String, Certificates)> {
    SYSTEM_BUNDLES.iter().find_map(|path| {
        let certificates = Certificates::parse(&host.read(path).ok()?).ok()?;
        Some(((*path).to_owned(), certificates))
    })
}

fn read_file(host: &dyn Host, origin: &str, path: &str) -> Result<Certificates, CaError> {
    let text = host.read(path).map_err(|error| CaError::Read {
        origin: origin.to_owned(),
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Certificates::parse(&text).map_err(|problem| CaError::Pem {
        origin: format!("{origin} ({path})"),
        problem,
    })
}

/// Certificates that a user gives: the path of a file or a folder, PEM text, or base64 of PEM text. `origin` is what errors
/// call it.
///
/// # Errors
///
/// There are none, or they cannot be read.
pub fn read(host: &dyn Host, origin: &str, value: &str) -> Result<Certificates, CaError> {
    let parse = |text: &str| {
        Certificates::parse(text).map_err(|problem| CaError::Pem {
            origin: origin.to_owned(),
            problem,
        })
    };
    let value = value.trim();
    if value.starts_with("-----BEGIN ") {
        return parse(value);
    }
    if let Some(mut names) = host.list(value) {
        names.retain(|name| {
            [".crt", ".pem"]
                .iter()
                .any(|suffix| name.to_ascii_lowercase().ends_with(suffix))
        });
        names.sort();
        let mut certificates = Certificates::default();
        for name in names {
            certificates.extend(read_file(host, origin, &format!("{value}/{name}"))?);
        }
        if certificates.is_empty() {
            let origin = format!("{origin} ({value})");
            return Err(CaError::Pem {
                origin,
                problem: super::PemError::Empty,
            });
        }
        return Ok(certificates);
    }
    match host.read(value) {
        Ok(_) => read_file(host, origin, value),
        Err(error) => match base64::decode(value).and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(text) if text.contains("-----BEGIN ") => parse(&text),
            // Long values are no paths; they may be anything, so they are not repeated.
            _ if value.len() > 255 || value.contains('\n') => Err(CaError::Unusable {
                origin: origin.to_owned(),
            }),
            _ => Err(CaError::Read {
                origin: origin.to_owned(),
                path: value.to_owned(),
                reason: error.to_string(),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;

    use super::*;

    #[derive(Default)]
    struct Fake {
        variables: BTreeMap<&'static str, String>,
        files: BTreeMap<String, String>,
    }

    impl Host for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).cloned()
        }
        fn read(&self, path: &str) -> io::Result<String> {
            self.files
                .get(path)
                .cloned()
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        }
        fn list(&self, path: &str) -> Option<Vec<String>> {
            let prefix = format!("{path}/");
            let names: Vec<_> = self
                .files
                .keys()
                .filter_map(|file| Some(file.strip_prefix(&prefix)?.to_owned()))
                .collect();
            (!names.is_empty()).then_some(names)
        }
    }

    /// Certificate number `n`, as far as the reader looks.
    fn certificate(n: u8) -> String {
        let body = ["MAMCAQA=", "MAMCAQE=", "MAMCAQI="][usize::from(n)];
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    fn host(variables: &[(&'static str, &str)], files: &[(&str, String)]) -> Fake {
        Fake {
            variables: variables
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            files: files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), text.clone()))
                .collect(),
        }
    }

    fn found(host: &Fake, given: Option<&str>, only: bool) -> Bundle {
        find(host, given, only).unwrap().bundle.unwrap()
    }

    #[test]
    fn nothing_named_is_no_bundle() {
        let system = host(
            &[],
            &[("/etc/ssl/certs/ca-certificates.crt", certificate(0))],
        );
        assert_eq!(find(&system, None, false), Ok(Found::default()));
    }

    #[test]
    fn a_stale_variable_is_passed_over() {
        let host = host(
            &[("SSL_CERT_FILE", "/gone"), ("CURL_CA_BUNDLE", "/b")],
            &[("/b", certificate(1))],
        );
        let found = find(&host, None, false).unwrap();
        assert_eq!(found.bundle.unwrap().pem(), certificate(1));
        assert_eq!(
            found.passed_over,
            ["SSL_CERT_FILE: cannot read `/gone`: entity not found"]
        );
    }

    #[test]
    fn additional_certificates_of_node_are_added_to_the_systems() {
        let host = host(
            &[("NODE_EXTRA_CA_CERTS", "/extra")],
            &[
                ("/extra", certificate(1)),
                ("/etc/ssl/cert.pem", certificate(0)),
            ],
        );
        assert_eq!(
            found(&host, None, false).pem(),
            [certificate(0), certificate(1)].concat()
        );
    }

    #[test]
    fn the_first_variable_of_the_host_wins() {
        let host = host(
            &[
                ("CURL_CA_BUNDLE", "/b"),
                ("SSL_CERT_FILE", "/a"),
                ("PIP_CERT", ""),
            ],
            &[("/a", certificate(0)), ("/b", certificate(1))],
        );
        let bundle = found(&host, None, false);
        assert_eq!(bundle.pem(), certificate(0));
        assert_eq!(bundle.origin(), "SSL_CERT_FILE (/a)");
    }

    #[test]
    fn a_certificate_of_ones_own_is_added_to_the_hosts() {
        let host = host(
            &[("COG_CA_CERT", "/own")],
            &[
                ("/own/b.pem", certificate(1)),
                ("/own/a.crt", certificate(2)),
                ("/own/readme", "x".into()),
                ("/etc/ssl/cert.pem", certificate(0)),
            ],
        );
        let bundle = found(&host, None, false);
        assert_eq!(
            bundle.pem(),
            [certificate(0), certificate(2), certificate(1)].concat()
        );
        assert_eq!(bundle.origin(), "/etc/ssl/cert.pem and COG_CA_CERT");
        assert_eq!(found(&host, Some("/own/b.pem"), true).pem(), certificate(1));
    }

    #[test]
    fn pem_and_base64_are_taken_as_values() {
        let host = host(&[], &[]);
        let bundle = found(&host, Some(&certificate(1)), false);
        assert_eq!(
            (bundle.pem(), bundle.certificates()),
            (certificate(1).as_str(), 1)
        );
        let base64 =
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BTUNBUUU9Ci0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";
        assert_eq!(found(&host, Some(base64), false).pem(), certificate(1));
    }

    #[test]
    fn what_is_named_must_be_usable() {
        let host = host(&[("COG_CA_CERT", "/gone")], &[("/bad", "text".into())]);
        insta::assert_snapshot!(find(&host, None, false).unwrap_err(), @"COG_CA_CERT: cannot read `/gone`: entity not found");
        insta::assert_snapshot!(find(&host, Some("/bad"), true).unwrap_err(), @"--ca-cert (/bad): there is no `-----BEGIN CERTIFICATE-----` in it");
        insta::assert_snapshot!(find(&host, Some(&"x\n".repeat(200)), true).unwrap_err(), @"--ca-cert: the value is neither a file, a folder, PEM certificates nor base64 of PEM certificates");
    }

    #[test]
    fn a_bundle_larger_than_a_secret_says_the_way_out() {
        let mut text = String::new();
        for number in 0_u32..30_000 {
            // Distinct sequences: 0x30 0x06 and the six letters of a number.
            let body = base64::encode(format!("0\u{6}{number:06}").as_bytes());
            text += &[
                "-----BEGIN CERTIFICATE-----",
                &body,
                "-----END CERTIFICATE-----",
                "",
            ]
            .join("\n");
        }
        let host = host(&[("SSL_CERT_FILE", "/big")], &[("/big", text)]);
        let error = find(&host, None, false).unwrap_err().to_string();
        assert!(
            error.contains("30000 certificates have 2010000 bytes"),
            "{error}"
        );
        assert!(error.contains("--ca-only"), "{error}");
    }

    #[test]
    fn the_secrets_name_the_mounted_file() {
        let host = host(&[], &[]);
        let bundle = found(&host, Some(&certificate(1)), false);
        let secrets = bundle.secrets();
        assert_eq!(
            secrets[1],
            ("ca-bundle.path", b"/run/secrets/ca-bundle.crt".as_slice())
        );
        assert!(
            super::super::VARIABLES
                .iter()
                .all(|(_, id)| secrets.iter().any(|(name, _)| name == id))
        );
    }
}
