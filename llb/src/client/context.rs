//! Docker contexts and builders of buildx: addresses by name.
//!
//! Both are read from the files that `docker context` and `docker buildx` keep below the Docker
//! configuration: `contexts/meta/<sha256 of the name>/meta.json`, with certificates in `contexts/tls`, and
//! `buildx/instances/<name>`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::address::Address;
use super::dial::Dial;
use super::discover::Environment;
use super::error::{Error, ErrorKind};
use super::tls::Tls;
use crate::session::hex;

/// The socket of Docker's default context.
const DEFAULT: &str = "/var/run/docker.sock";

/// The address that a name stands for; other addresses are their own.
pub(super) fn follow(address: &Address, environment: &Environment) -> Result<Address, Error> {
    match address {
        Address::Context(name) if name.is_empty() => match &environment.docker_host {
            Some(host) => docker_host(host, environment),
            None => match current(environment) {
                Some((name, _)) => context(&name, environment),
                None => Ok(Address::unix(DEFAULT)),
            },
        },
        Address::Context(name) => context(name, environment),
        Address::Builder(name) => builder(name, environment),
        other => Ok(other.clone()),
    }
}

/// The name of the Docker context that is chosen by the environment, or by the configuration (`false`), unless it is the
/// default one.
pub(super) fn current(environment: &Environment) -> Option<(String, bool)> {
    let (name, is_chosen) = if let Some(name) = &environment.docker_context {
        (name.clone(), true)
    } else {
        let directory = environment.docker_config.as_deref()?;
        let config = fs::read(directory.join("config.json")).ok()?;
        let config: Value = serde_json::from_slice(&config).ok()?;
        (config.get("currentContext")?.as_str()?.to_owned(), false)
    };
    (!name.is_empty() && name != "default").then_some((name, is_chosen))
}

/// The address in `DOCKER_HOST`.
pub(super) fn docker_host(host: &str, environment: &Environment) -> Result<Address, Error> {
    let tls = environment
        .docker_certificates
        .as_deref()
        .map(Tls::directory);
    Address::docker_host(host, tls)
}

/// The engine of a Docker context.
pub(super) fn context(name: &str, environment: &Environment) -> Result<Address, Error> {
    if name == "default" {
        return match &environment.docker_host {
            Some(host) => docker_host(host, environment),
            None => Ok(Address::unix(DEFAULT)),
        };
    }
    let fail = |what: String| {
        Error::new(
            ErrorKind::Address,
            format!("docker context `{name}` {what}"),
        )
        .hint("list contexts with `docker context ls`, or set BUILDKIT_HOST")
    };
    let Some(directory) = &environment.docker_config else {
        return Err(fail(
            "cannot be read, HOME and DOCKER_CONFIG are not set".into(),
        ));
    };
    let id = hex(&Sha256::digest(name.as_bytes()));
    let file = directory.join("contexts/meta").join(&id).join("meta.json");
    let meta = read(&file).map_err(|reason| fail(format!("cannot be read: {reason}")))?;
    let endpoint = &meta["Endpoints"]["docker"];
    let host = endpoint["Host"].as_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| fail("has no docker endpoint".into()))?;
    if endpoint["SkipTLSVerify"] == Value::Bool(true) {
        return Err(fail(
            "skips the verification of certificates, which is not supported".into(),
        ));
    }
    let certificates = directory.join("contexts/tls").join(&id).join("docker");
    let tls = certificates.is_dir().then(|| Tls::directory(&certificates));
    Address::docker_host(host, tls)
        .map_err(|error| fail(format!("cannot be used: {}", error.message())))
}

/// The first node of a builder of buildx.
pub(super) fn builder(name: &str, environment: &Environment) -> Result<Address, Error> {
    let fail = |what: String| {
        Error::new(ErrorKind::Address, format!("builder `{name}` {what}"))
            .hint("list builders with `docker buildx ls`")
    };
    let Some(directory) = &environment.buildx_config else {
        return Err(fail(
            "cannot be read, HOME, DOCKER_CONFIG and BUILDX_CONFIG are not set".into(),
        ));
    };
    // A name is a file there; buildx has no others.
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(is_name) || name.starts_with('.') {
        return Err(fail("has a name that no builder has".into()));
    }
    let file = directory.join("instances").join(name);
    if !file.exists() {
        // Every Docker context is a builder of its own, called like it.
        return context(name, environment).map_err(|_| {
            let file = file.display();
            fail(format!(
                "is none: there is neither {file} nor a Docker context of that name"
            ))
        });
    }
    let group = read(&file).map_err(|reason| fail(format!("cannot be read: {reason}")))?;
    let node = &group["Nodes"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (node_name, endpoint) = (text(&node["Name"]), text(&node["Endpoint"]));
    let option = |key: &str| node["DriverOpts"][key].as_str().map(str::to_owned);
    let driver = text(&group["Driver"]);
    let address = match driver.as_str() {
        "docker-container" => {
            let address = format!("docker-container://buildx_buildkit_{node_name}");
            let dial = Dial::read(
                &address,
                "docker-container",
                &address["docker-container://".len()..],
            );
            dial.map(|dial| {
                Address::Dial(match endpoint.as_str() {
                    "" | "default" => dial,
                    endpoint if endpoint.contains("://") => {
                        dial.with_variable("DOCKER_HOST", endpoint)
                    }
                    context => dial.with_variable("DOCKER_CONTEXT", context),
                })
            })
        }
        "remote" => remote(&endpoint, option),
        "docker" if endpoint.contains("://") => Address::docker_host(&endpoint, None),
        "docker" => context(&endpoint, environment),
        "kubernetes" => {
            // A deployment is called like the node, and `kubectl exec` finds one of its pods.
            let query = endpoint.split_once('?').map_or("", |(_, query)| query);
            let mut named = query
                .split('&')
                .filter_map(|field| field.strip_prefix("deployment="));
            let deployment = named.next().unwrap_or(&node_name).replace('_', "-");
            let namespace = option("namespace").unwrap_or_default();
            let query = format!("namespace={namespace}");
            let rest = format!("deployment/{deployment}?{query}");
            Dial::read(&format!("kube-pod://{rest}"), "kube-pod", &rest).map(Address::Dial)
        }
        other => return Err(fail(format!("has the unknown driver `{other}`"))),
    };
    address.map_err(|error| fail(format!("cannot be used: {}", error.message())))
}

/// The endpoint of the driver `remote`, with the certificates of its options.
fn remote(endpoint: &str, option: impl Fn(&str) -> Option<String>) -> Result<Address, Error> {
    let address: Address = endpoint.parse()?;
    let (ca, certificate, key) = (option("cacert"), option("cert"), option("key"));
    let name = option("servername");
    if ca.is_none() && certificate.is_none() && name.is_none() {
        return Ok(address);
    }
    let mut tls = Tls::new();
    if let Some(ca) = ca {
        tls = tls.ca(ca);
    }
    if let Some((certificate, key)) = certificate.zip(key) {
        tls = tls.certificate(certificate, key);
    }
    if let Some(name) = name {
        tls = tls.server_name(name);
    }
    address.with_tls(tls)
}

fn read(file: &Path) -> Result<Value, String> {
    let shown = file.display();
    let text = fs::read(file).map_err(|error| format!("{shown}: {error}"))?;
    serde_json::from_slice(&text).map_err(|_| format!("{shown} is no JSON"))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::client) fn docker_config(context: &str, host: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let config = json!({"currentContext": context}).to_string();
        fs::write(directory.path().join("config.json"), config).unwrap();
        let id = hex(&Sha256::digest(context.as_bytes()));
        let meta = directory.path().join("contexts/meta").join(&id);
        fs::create_dir_all(&meta).unwrap();
        let text = json!({"Name": context, "Endpoints": {"docker": {"Host": host}}});
        fs::write(meta.join("meta.json"), text.to_string()).unwrap();
        directory
    }

    fn environment(directory: &tempfile::TempDir) -> Environment {
        Environment {
            docker_config: Some(directory.path().to_owned()),
            buildx_config: Some(directory.path().join("buildx")),
            ..Environment::default()
        }
    }

    #[test]
    fn contexts_lead_to_engines_anywhere() {
        let config = docker_config("far", "ssh://me@far");
        let address = context("far", &environment(&config)).unwrap();
        assert!(
            address
                .command_line()
                .unwrap()
                .ends_with("far docker system dial-stdio")
        );
        let here: Address = "docker://".parse().unwrap();
        assert_eq!(follow(&here, &environment(&config)).unwrap(), address);

        let config = docker_config("secure", "tcp://far:2376");
        let tls = config.path().join("contexts/tls");
        let tls = tls.join(hex(&Sha256::digest("secure"))).join("docker");
        fs::create_dir_all(&tls).unwrap();
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            fs::write(tls.join(name), "").unwrap();
        }
        let Address::Tls(authority, found) = context("secure", &environment(&config)).unwrap()
        else {
            panic!("the context has certificates");
        };
        assert_eq!(authority, "far:2376");
        assert_eq!(found, Tls::directory(&tls));
        assert!(found.ca.is_some() && found.certificate.is_some());
    }

    #[test]
    fn contexts_that_cannot_be_used_are_named() {
        let config = docker_config("far", "gopher://far");
        for (name, parts) in [
            ("far", ["`far`", "gopher://far"]),
            ("gone", ["`gone`", "meta.json"]),
        ] {
            let error = context(name, &environment(&config)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Address);
            let text = error.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn builders_lead_to_their_first_node() {
        let config = docker_config("far", "unix:///far.sock");
        let instances = config.path().join("buildx/instances");
        fs::create_dir_all(&instances).unwrap();
        let node = |driver: &str, endpoint: &str, options: Value| {
            json!({
                "Name": "b", "Driver": driver,
                "Nodes": [{"Name": "b0", "Endpoint": endpoint, "DriverOpts": options}],
            })
        };
        for (group, expected) in [
            (
                node("docker-container", "far", json!({})),
                "docker exec -i buildx_buildkit_b0 buildctl dial-stdio",
            ),
            (node("docker", "far", json!(null)), "unix:///far.sock"),
            (
                node(
                    "remote",
                    "tcp://far:1234",
                    json!({"cacert": "/ca", "cert": "/c", "key": "/k"}),
                ),
                "tcp://far:1234",
            ),
            (
                node("remote", "kube-pod://p", json!({})),
                "kubectl exec -i p -- buildctl dial-stdio",
            ),
            (
                node(
                    "kubernetes",
                    "kubernetes:///b?deployment=b-0",
                    json!({"namespace": "ci"}),
                ),
                "kubectl --namespace=ci exec -i deployment/b-0 -- buildctl dial-stdio",
            ),
        ] {
            fs::write(instances.join("b"), group.to_string()).unwrap();
            let address = builder("b", &environment(&config)).unwrap();
            let shown = address
                .command_line()
                .unwrap_or_else(|| address.to_string());
            assert_eq!(shown, expected);
            assert_eq!(
                matches!(address, Address::Tls(..)),
                expected.starts_with("tcp")
            );
        }
        assert_eq!(
            builder("far", &environment(&config)).unwrap(),
            Address::unix("/far.sock")
        );
        for name in ["none", "../config.json", ""] {
            let error = builder(name, &environment(&config)).unwrap_err();
            assert!(error.to_string().contains("docker buildx ls"), "{error}");
        }
    }
}
