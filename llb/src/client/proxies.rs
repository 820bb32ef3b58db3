//! Proxies that the Docker configuration has for builds.
//!
//! `proxies` in `config.json` has them by the address of the daemon, or for all (`default`). `docker build` and buildx
//! (`GetProxyConfig`, v0.29) give them to frontends as build arguments, unless the user gave the same one.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::session::docker_config;

/// Keys of the configuration, and the build arguments that frontends know.
const NAMES: [(&str, &str); 5] = [
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
];

/// Adds the proxies for a daemon to the attributes of a build.
pub(super) fn add(
    attributes: &mut BTreeMap<String, String>,
    directory: &Path,
    daemon: &str,
) -> Result<(), String> {
    let config = docker_config::read(directory)?;
    let of = |name: &str| config.get("proxies").and_then(|proxies| proxies.get(name));
    let Some(proxies) = of(daemon).or_else(|| of("default")) else {
        return Ok(());
    };
    for (key, name) in NAMES {
        let value = proxies.get(key).and_then(Value::as_str).unwrap_or_default();
        let argument = format!("build-arg:{name}");
        // Frontends take the name in either case.
        let is_given = attributes
            .keys()
            .any(|given| given.eq_ignore_ascii_case(&argument));
        if !value.is_empty() && !is_given {
            attributes.insert(argument, value.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(config: &str, given: &[&str], daemon: &str) -> Result<Vec<String>, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.json"), config).unwrap();
        let given = given
            .iter()
            .map(|name| ((*name).to_owned(), "given".into()));
        let mut attributes: BTreeMap<String, String> = given.collect();
        add(&mut attributes, home.path(), daemon)?;
        let text = |(name, value)| format!("{name}={value}");
        Ok(attributes.into_iter().map(text).collect())
    }

    const CONFIG: &str = r#"{"proxies": {
        "default": {"httpProxy": "http://all:1", "noProxy": "a,b", "allProxy": ""},
        "tcp://far:2376": {"httpsProxy": "http://far:2"}}}"#;

    #[test]
    fn those_of_the_daemon_come_before_those_for_all() {
        let all = [
            "build-arg:HTTP_PROXY=http://all:1",
            "build-arg:NO_PROXY=a,b",
        ];
        assert_eq!(added(CONFIG, &[], "unix:///d.sock").unwrap(), all);
        let far = ["build-arg:HTTPS_PROXY=http://far:2"];
        assert_eq!(added(CONFIG, &[], "tcp://far:2376").unwrap(), far);
        assert!(added("{}", &[], "tcp://far:2376").unwrap().is_empty());
    }

    #[test]
    fn what_the_user_gave_stays_in_either_case() {
        let given = ["build-arg:http_proxy", "build-arg:NO_PROXY"];
        let expected = ["build-arg:NO_PROXY=given", "build-arg:http_proxy=given"];
        assert_eq!(added(CONFIG, &given, "x").unwrap(), expected);
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        let error = added(r#"{"proxies": "secret"#, &[], "x").unwrap_err();
        assert!(error.contains("config.json is not valid JSON"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn without_a_file_there_are_none() {
        let home = tempfile::tempdir().unwrap();
        let mut attributes = BTreeMap::new();
        add(&mut attributes, home.path(), "x").unwrap();
        assert!(attributes.is_empty());
    }
}
