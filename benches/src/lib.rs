//! The graphs that graph construction is measured on.
//!
//! Each shape is the same graph that can be written with BuildKit's Go client, down to the digest of its head, so that
//! figures can be set side by side. [`Shape::head`] has the digests that the Go client gives.

mod counter;
#[cfg(feature = "engines")]
pub mod measure;

use std::fmt;
use std::str::FromStr;

use llb::prelude::*;

pub use counter::{Allocated, Counter};

/// A family of graphs, one for each size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Commands one after the other, each with an environment and a cache mount: N + 2 ops.
    Chain,
    /// Branches of one base, merged: 2N + 3 ops.
    Fan,
    /// Two commands on each merge of the two before: 3N + 2 ops, and 2 to the N paths.
    Ladder,
    /// File ops with three actions and a kibibyte of data each: N + 2 ops.
    Files,
    /// An image with N Python packages as branches: 2N + 8 ops.
    Pyimg,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 5] = [
        Self::Chain,
        Self::Fan,
        Self::Ladder,
        Self::Files,
        Self::Pyimg,
    ];

    /// The shape's graph of size `n`.
    pub fn build(self, n: usize) -> State {
        match self {
            Self::Chain => chain(n),
            Self::Fan => fan(n),
            Self::Ladder => ladder(n),
            Self::Files => files(n),
            Self::Pyimg => pyimg(n),
        }
    }

    /// One more op on a state.
    pub fn append(state: &State, n: usize) -> State {
        state.run(shell(format!("echo appended {n}")))
    }

    /// What the head's digest must be, where it is known: what the Go client (BuildKit of August 2026) gives.
    pub fn head(self, n: usize) -> Option<&'static str> {
        let known = match (self, n) {
            (Self::Chain, 100) => {
                "8aa95cb31baa6ce29321e85f8817c48639a7ec755ce77163578942bbc637e727"
            }
            (Self::Chain, 1000) => {
                "057e5b689baaece9a71672c30822583f999a70b2fc15ab2c27816d4d7f84b252"
            }
            (Self::Chain, 10_000) => {
                "4ae1f948c0e4d37385e54b3feba1a5168098139a7f94f6a330930c0c9c55d08e"
            }
            (Self::Fan, 100) => "abf8dd0a42c04f0f0b821d9baca4ca7a03a0e40c23eac72a6a78e5d42586e1af",
            (Self::Fan, 1000) => "e76cc6b4e9a270ca248a6f2d62e2580344767c63c85604e6b5e538c87a4f54e1",
            (Self::Fan, 10_000) => {
                "13b41f6fb0267aaaf8ac1cc536530f7b72aac3db3a419b7e83e1150bfa831ebd"
            }
            (Self::Fan, 100_000) => {
                "549d394bc05927fa60bc18c43ce77f8740198466aa1f73ac04946694f82a52fe"
            }
            (Self::Ladder, 100) => {
                "ed18e822cdb9f32a0581292261677bdf1df5e64ec9c02d78a6dfbc0920ea5a02"
            }
            (Self::Ladder, 1000) => {
                "e75832d2e1f2e06ec5ce894a1cd62a84cb9f5d984adbd16746dac5140b62eaf1"
            }
            (Self::Ladder, 10_000) => {
                "ea8f6d9e9ae03fd15f3f798e283e1cace7d39e126dd60bd99a3fddae719c2a80"
            }
            (Self::Files, 100) => {
                "e312df71f578ee4b9b848d12764397b3e70c207b00e2e9550e03a5d78082f1b0"
            }
            (Self::Files, 1000) => {
                "ffb700893809fcb976a29eeda2338dfbe415fe3c91338691d5db7e30c69f6950"
            }
            (Self::Files, 10_000) => {
                "8cd86ba85154a8e976a472c611433aaa7d2e028c6782b8e21e75cb38403962ea"
            }
            (Self::Pyimg, 50) => "df42486f4a560c75e5cf66524e8f507a8f3ebe9362819550318a40755fdc58ad",
            (Self::Pyimg, 100) => {
                "1c0ea0f8320497dc41e95a534584b4895d77e6e65b45e979338e94a12328f3f5"
            }
            (Self::Pyimg, 1000) => {
                "16c58a621b44f4da67e6d74e3f4494c02739c48119d4d35cf3e287c0db8ab810"
            }
            _ => return None,
        };
        Some(known)
    }
}

/// What all shapes are marshalled with.
pub fn options() -> MarshalOptions {
    MarshalOptions::linux_amd64().local_unique_id("bench")
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Chain => "chain",
            Self::Fan => "fan",
            Self::Ladder => "ladder",
            Self::Files => "files",
            Self::Pyimg => "pyimg",
        })
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(|shape| shape.to_string());
        Self::ALL
            .into_iter()
            .find(|shape| shape.to_string() == text)
            .ok_or_else(|| format!("expected one of {}", names.join(", ")))
    }
}

fn shell(script: impl AsRef<str>) -> llb::Exec {
    args(["sh", "-c", script.as_ref()])
}

fn alpine() -> State {
    image("docker.io/library/alpine:3.20")
}

fn chain(n: usize) -> State {
    (0..n).fold(alpine(), |state, i| {
        let step = i.to_string();
        state.run(
            shell(format!("echo step {step}"))
                .env("STEP", step)
                .env("MODE", "bench")
                .mount(cache("/cache", "bench-cache")),
        )
    })
}

fn fan(n: usize) -> State {
    let base = alpine();
    let branches = (0..n).map(|i| diff(&base, base.run(shell(format!("echo branch {i}")))));
    merge([base.clone()].into_iter().chain(branches))
}

fn ladder(n: usize) -> State {
    (0..n).fold(alpine(), |state, i| {
        merge([
            state.run(shell(format!("echo left {i}"))),
            state.run(shell(format!("echo right {i}"))),
        ])
    })
}

fn files(n: usize) -> State {
    let image = alpine();
    (0..n).fold(scratch(), |state, i| {
        let first = u8::try_from(31 * i % 256).unwrap_or(0);
        let data: Vec<u8> = (0..1024_u16)
            .map(|j| first.wrapping_add((7 * j).to_le_bytes()[0]))
            .collect();
        state.file(
            mkdir(format!("/d{i}"), 0o755)
                .parents()
                .mkfile(format!("/d{i}/f"), 0o644, data)
                .copy(&image, "/etc/os-release", format!("/d{i}/os-release")),
        )
    })
}

fn pyimg(n: usize) -> State {
    let base = Image::new("docker.io/nvidia/cuda:12.6.0-cudnn-runtime-ubuntu24.04")
        .name("[base] cuda")
        .state()
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env(
            "PATH",
            "/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
    let apt = base.run(
        shell(
            "apt-get update && apt-get install -y --no-install-recommends git curl build-essential",
        )
        .mount(cache("/var/cache/apt", "apt-cache").sharing(Sharing::Locked))
        .mount(cache("/var/lib/apt", "apt-lib").sharing(Sharing::Locked))
        .name("[apt] install"),
    );
    let python = apt
        .run(
            shell("curl -LsSf https://astral.sh/uv/install.sh | sh && uv python install 3.12")
                .mount(cache("/root/.cache/uv", "uv"))
                .name("[python] install"),
        )
        .env("PYTHONUNBUFFERED", "1")
        .dir("/app");
    let packages = (0..n).map(|i| {
        let package = format!("package-{i}==1.{}.{}", i % 10, i % 7);
        let installed = python.run(
            args(["pip", "install", "--no-deps", &package])
                .mount(cache("/root/.cache/pip", "pip"))
                .name(format!("[pip] package-{i}")),
        );
        diff(&python, installed)
    });
    let assembled = llb::Merge::new([python.clone()].into_iter().chain(packages))
        .name("[pip] assemble")
        .state()
        .env("APP_HOME", "/app")
        .env("PYTHONPATH", "/app/src");
    let context = local("context")
        .exclude([".git", "**/__pycache__"])
        .shared_key_hint("context")
        .name("[internal] load build context");
    assembled
        .file(
            copy(context, "/", "/app")
                .contents_only()
                .create_destination()
                .name("[app] copy"),
        )
        .run(args(["python", "-m", "compileall", "-q", "."]).name("[app] compile"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_the_graph_that_the_go_client_makes() {
        for shape in Shape::ALL {
            for n in [100, 1000] {
                let definition = shape.build(n).marshal(&options()).unwrap();
                let head = definition.head().unwrap().to_string();
                assert_eq!(
                    head,
                    format!("sha256:{}", shape.head(n).unwrap()),
                    "{shape} {n}"
                );
            }
        }
    }

    #[test]
    fn whole_definitions_are_those_of_the_go_client() {
        use sha2::Digest as _;
        for (shape, expected) in [
            (
                Shape::Chain,
                "f428a323feb79b9cb75147280913b4e7a694f1f81214909fbdc5eb64c6550a74",
            ),
            (
                Shape::Fan,
                "5700d7f54ccbd517365f6cd2527824f69d9f4d006bc011a19ee6b5aeccb5b42c",
            ),
            (
                Shape::Ladder,
                "55026ad73aebfbdaed59cdc6adfe8e0e9e6e039e8881d98fadba1b317a0adf48",
            ),
            (
                Shape::Files,
                "c1d7a3f1df6f953dbdefe53c8a89afe9dd84abc97ef4a37c8dcb4fe8738042f2",
            ),
            (
                Shape::Pyimg,
                "2419c2b54c825c0e7b8fc87d2e79d2e142c181ad6eefcc0161a582937d6591e5",
            ),
        ] {
            let bytes = shape.build(100).marshal(&options()).unwrap().to_bytes();
            let digest = sha2::Sha256::digest(&bytes);
            let digest = digest
                .iter()
                .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            assert_eq!(digest, expected, "{shape}");
        }
    }
}
