//! Layers by themselves, without a cog.yaml.

use cog_python::layer::{
    CudaRepository, Interpreter, StepOptions, check, cuda_apt, cuda_wheels, folders_of, venv,
};
use llb::client::{Export, Solve};
use llb::lower::{Helper, Policy};
use llb::prelude::*;

use crate::common::helper;
use crate::support::{ENGINES, Testbed, solve, unique};

/// Builds a state on every engine; what it checks is in its steps.
fn builds(state: &State) {
    let testbed = Testbed::find();
    for engine in ENGINES {
        let build = Solve::state(state, &MarshalOptions::linux_amd64()).unwrap();
        let helper = Helper::from_path(helper()).unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let build = build
            .lowering(Policy::new().helper(helper))
            .export(Export::tar(folder.path().join("files.tar")));
        solve(&testbed.address(engine), build);
    }
}

#[test]
fn an_environment_is_a_layer() {
    let python = Interpreter::in_path("3.11".parse().unwrap());
    let options = StepOptions::default();
    let image = image("python:3.11-slim").layer(venv("/opt/other", &python, &options));
    // What is first in `PATH` is the Python of the environment, and it has pip.
    let command = "test \"$(python -c 'import sys; print(sys.prefix)')\" = /opt/other && python -m pip --version";
    builds(&image.layer(check(&["/bin/sh", "-ec", command], &options)));
}

#[test]
fn parts_of_cuda_come_from_a_repository() {
    // A repository with one package, in the file system itself.
    let make = "mkdir -p /repository /tmp/p/DEBIAN /tmp/p/usr/local/cuda-12.4 && cd /repository && \
        printf 'Package: cuda-cudart-12-4\\nVersion: 12.4.1\\nArchitecture: all\\nMaintainer: Test <test@example.com>\\nDescription: test\\n' > /tmp/p/DEBIAN/control && \
        echo cudart > /tmp/p/usr/local/cuda-12.4/cudart && \
        dpkg-deb --build /tmp/p cudart.deb && \
        (dpkg-deb --field cudart.deb; echo Filename: ./cudart.deb; echo Size: $(stat -c %s cudart.deb); \
         echo SHA256: $(sha256sum cudart.deb | cut -d' ' -f1)) > Packages";
    let unique = format!("echo {} >/dev/null", unique());
    let base = image("debian:bookworm-slim")
        .run(args(["/bin/sh", "-ec", &format!("{unique}; {make}")]).network(Network::None));
    let repository = CudaRepository::of("file:/repository ./", None);
    let options = StepOptions::new(cog_python::plan::Network::Host);
    let installed = base.layer(cuda_apt(&["cuda-cudart-12-4"], &repository, &options));
    let command = "grep cudart /usr/local/cuda-12.4/cudart && ! grep -s . /etc/apt/sources.list.d/cog-python-cuda.list";
    builds(&installed.layer(check(&["/bin/sh", "-ec", command], &options)));
}

#[test]
fn what_is_built_with_tools_is_taken_without_them() {
    let options = StepOptions::default();
    let make = "mkdir -p /opt/kernels/lib && echo built > /opt/kernels/lib/kernel && touch /usr/bin/compiler";
    let devel =
        image("debian:bookworm-slim").run(args(["/bin/sh", "-ec", make]).network(Network::None));
    let image = image("python:3.11-slim")
        .layer(folders_of(&["/opt/kernels"], &devel))
        .layer(cuda_wheels("/opt/venv", "3.11", &["cublas"]));
    let command = "grep built /opt/kernels/lib/kernel && ! test -e /usr/bin/compiler && \
        test \"$LD_LIBRARY_PATH\" = /opt/venv/lib/python3.11/site-packages/nvidia/cublas/lib";
    builds(&image.layer(check(&["/bin/sh", "-ec", command], &options)));
}
