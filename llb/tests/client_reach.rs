//! Every way to a daemon, with the engines of the testbed at its end.
//!
//! Programs that lead there (ssh, docker, podman, kubectl) are stand-ins that write down how they were called and join
//! the engine with `llb dial-stdio`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(
    clippy::disallowed_methods,
    reason = "files, environment and clock are what the tool is about"
)]

#[path = "client/testbed.rs"]
#[expect(dead_code, reason = "shared with the tests of the client")]
mod testbed;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use llb::client::{Address, Client, Engine, ErrorKind, Export, Solve, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testbed::{Testbed, unique};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

fn socket() -> PathBuf {
    match Testbed::find().address("containerd") {
        Address::Unix(path) => path,
        other => panic!("the testbed's engines listen on sockets, not {other}"),
    }
}

/// A home with stand-ins for programs, in `bin`.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["ssh", "docker", "podman", "kubectl"] {
        let script = format!(
            "#!/bin/sh\n\
             echo \"{name} $*\" >> {log}\n\
             echo \"${{DOCKER_CONTEXT-}}\" >> {log}.context\n\
             case \"$*\" in *broken*) echo 'no such place' >&2; exit 7;; *system*) raw=--raw;; esac\n\
             exec {llb} dial-stdio $raw --addr unix://{socket}\n",
            log = home.path().join("log").display(),
            llb = env!("CARGO_BIN_EXE_llb"),
            socket = socket().display(),
        );
        let file = bin.join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    home
}

fn llb(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let path = format!("{}:/usr/bin:/bin", home.join("bin").display());
    Command::new(env!("CARGO_BIN_EXE_llb"))
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn programs_lead_to_daemons() {
    for (address, command) in [
        (
            "ssh://me@far",
            "ssh -T -o BatchMode=yes -o ConnectTimeout=30 -l me -- far buildctl dial-stdio",
        ),
        (
            "docker-container://b",
            "docker exec -i b buildctl dial-stdio",
        ),
        (
            "podman-container://b",
            "podman exec -i b buildctl dial-stdio",
        ),
        (
            "kube-pod://b?namespace=ci",
            "kubectl --namespace=ci exec -i b -- buildctl dial-stdio",
        ),
    ] {
        let home = home();
        let info = llb(home.path(), &["info", "--addr", address], &[]);
        assert!(info.status.success(), "{}", text(&info.stderr));
        let said = text(&info.stdout);
        assert!(
            said.starts_with(&format!("address: {address}\nengine: BuildKit\n")),
            "{said}"
        );
        let log = fs::read_to_string(home.path().join("log")).unwrap();
        assert_eq!(log, format!("{command}\n"), "one connection for everything");
    }
}

#[test]
fn names_lead_to_daemons() {
    let home = home();
    let docker = home.path().join(".docker");
    let instances = docker.join("buildx/instances");
    fs::create_dir_all(&instances).unwrap();
    let builder =
        r#"{"Name":"b","Driver":"docker-container","Nodes":[{"Name":"b0","Endpoint":"far"}]}"#;
    fs::write(instances.join("b"), builder).unwrap();
    let socket = format!("unix://{}", socket().display());
    for (variable, value, said) in [
        ("BUILDKIT_HOST", &*socket, "engine: Docker, API"),
        ("DOCKER_HOST", &*socket, "engine: Docker, API"),
        ("DOCKER_HOST", "ssh://far", "engine: Docker, API"),
        (
            "BUILDX_BUILDER",
            "b",
            "address: docker-container://buildx_buildkit_b0\nengine: BuildKit",
        ),
    ] {
        let info = llb(home.path(), &["info"], &[(variable, value)]);
        assert!(
            info.status.success(),
            "{variable}={value}: {}",
            text(&info.stderr)
        );
        assert!(text(&info.stdout).contains(said), "{}", text(&info.stdout));
    }
    let contexts = fs::read_to_string(home.path().join("log.context")).unwrap();
    assert_eq!(contexts.lines().last(), Some("far"));
}

#[test]
fn a_build_runs_through_a_program() {
    let home = home();
    let out = home.path().join("out").display().to_string();
    fs::create_dir(home.path().join("in")).unwrap();
    fs::write(home.path().join("in/id"), unique()).unwrap();
    let graph = home.path().join("graph.llb").display().to_string();
    fs::write(&graph, "%in = local \"context\"\nreturn %in\n").unwrap();
    let built = llb(
        home.path(),
        &[
            "solve",
            &graph,
            "--addr",
            "ssh://far",
            "--local",
            &format!("context={}", home.path().join("in").display()),
            "--output",
            &format!("type=local,dest={out}"),
        ],
        &[],
    );
    assert!(built.status.success(), "{}", text(&built.stderr));
    assert_eq!(
        fs::read(home.path().join("in/id")).unwrap(),
        fs::read(home.path().join("out/id")).unwrap()
    );
}

#[test]
fn what_cannot_be_reached_says_what_was_tried_and_why() {
    let home = home();
    let run = |variables: &[(&str, &str)]| {
        let failed = llb(home.path(), &["info"], variables);
        assert_eq!(failed.status.code(), Some(1));
        text(&failed.stderr)
    };
    insta::assert_snapshot!(run(&[("BUILDKIT_HOST", "ssh://broken")]), @"
    error: no BuildKit daemon or Docker engine was found; tried:
      BUILDKIT_HOST=ssh://broken: cannot reach a daemon at ssh://broken: `ssh` says: no such place
    hint: run the command by hand to see more: ssh -T -o BatchMode=yes -o ConnectTimeout=30 -- broken buildctl dial-stdio
    ");
    insta::assert_snapshot!(run(&[("DOCKER_HOST", "ssh://broken")]), @"
    error: no BuildKit daemon or Docker engine was found; tried:
      DOCKER_HOST=ssh://broken: cannot reach a daemon at ssh://broken: `ssh` says: no such place
    hint: run the command by hand to see more: ssh -T -o BatchMode=yes -o ConnectTimeout=30 -- broken docker system dial-stdio
    ");
    insta::assert_snapshot!(run(&[("BUILDKIT_HOST", "nerdctl-container://b")]), @"
    error: no BuildKit daemon or Docker engine was found; tried:
      BUILDKIT_HOST=nerdctl-container://b: cannot reach a daemon at nerdctl-container://b: the program `nerdctl` is not installed, or not in PATH
    hint: run the command by hand to see more: nerdctl exec -i b buildctl dial-stdio
    ");
    insta::assert_snapshot!(run(&[("BUILDKIT_HOST", "tcp://127.0.0.1:1")]), @"
    error: no BuildKit daemon or Docker engine was found; tried:
      BUILDKIT_HOST=tcp://127.0.0.1:1: cannot reach a daemon at tcp://127.0.0.1:1: nothing listens there
    hint: start the daemon with this address, and check host and port
    ");
    insta::assert_snapshot!(run(&[("BUILDX_BUILDER", "none")]).replace(&*home.path().to_string_lossy(), "HOME"), @"
    error: no BuildKit daemon or Docker engine was found; tried:
      BUILDX_BUILDER=none: builder `none` is none: there is neither HOME/.docker/buildx/instances/none nor a Docker context of that name
    hint: list builders with `docker buildx ls`
    ");
}

/// An authority, and certificates it has signed.
struct Certificates {
    home: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("ca.pem"), authority.pem()).unwrap();
        let new = Self { home, authority };
        let (certificate, key) = new.sign("client");
        fs::write(new.home.path().join("cert.pem"), certificate.pem()).unwrap();
        fs::write(new.home.path().join("key.pem"), key.serialize_pem()).unwrap();
        new
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    /// Puts TLS before the engine's socket, and wants certificates of clients.
    async fn serve(&self, protocol: &[u8]) -> u16 {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = self.sign("daemon.test");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(near).await else {
                        return;
                    };
                    let mut far = UnixStream::connect(socket()).await.unwrap();
                    drop(copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        port
    }
}

fn at(port: u16, tls: Tls) -> Address {
    let address: Address = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    address.with_tls(tls).unwrap()
}

#[tokio::test]
async fn builds_go_over_tls_with_certificates_on_both_sides() {
    let certificates = Certificates::new();
    // What Docker engines insist on.
    let port = certificates.serve(b"http/1.1").await;
    let tls = Tls::directory(certificates.home.path()).server_name("daemon.test");
    let client = Client::connect(&at(port, tls)).await.unwrap();
    assert!(matches!(client.engine(), Engine::Docker { .. }));
    let out = certificates.home.path().join("out");
    let id = unique();
    let state = llb::scratch().mkfile("/id", 0o644, id.clone());
    let solve = Solve::state(&state, &llb::MarshalOptions::linux_amd64()).unwrap();
    client
        .solve(solve.export(Export::local(&out)), &mut ())
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(out.join("id")).unwrap(), id);
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_told() {
    let certificates = Certificates::new();
    let port = certificates.serve(b"http/1.1").await;
    let home = certificates.home.path();
    let good = Tls::directory(home).server_name("daemon.test");
    let others = Certificates::new();
    for (tls, part) in [
        (
            Tls::directory(home).server_name("other.test"),
            "not valid for name",
        ),
        (
            good.clone().ca(others.home.path().join("ca.pem")),
            "invalid peer certificate",
        ),
        (
            Tls::new()
                .ca(home.join("ca.pem"))
                .server_name("daemon.test"),
            "ertificate",
        ),
        (good.clone().ca(home.join("none.pem")), "none.pem"),
        (good.ca(home.join("key.pem")), "has no certificate"),
    ] {
        let error = Client::connect(&at(port, tls)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let plain: Address = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    let error = Client::connect(&plain).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}
