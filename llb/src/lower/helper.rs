//! The program that applies differences inside a build.

use crate::definition::{Definition, MarshalOptions};
use crate::error::{Error, ErrorKind, Problem};
use crate::file::mkfile;
use crate::state::{State, scratch};
use crate::value::Platform;

/// Where the program is in the file system that it is carried in.
const PROGRAM: &str = "/llb-helper";

/// The helper program, for one platform: `llb-helper` of this workspace, which `cargo xtask helper` builds.
///
/// It is one static file, a good megabyte, and travels in the graph as a file op's content: no registry, no image and
/// no other state of the build is needed, and the digest of the op pins the program. Where a graph should stay small, it
/// can come from an image instead ([`Helper::from_state`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The file system it is in.
    pub(super) definition: Definition,
    /// Its absolute path there.
    pub(super) path: String,
    pub(super) platform: Platform,
}

impl Helper {
    /// The architectures that a helper can be for, as Go names them.
    pub const ARCHITECTURES: &[&str] =
        &["amd64", "arm64", "riscv64", "ppc64le", "s390x", "loong64"];

    /// A helper from its bytes. They say for which platform they are.
    ///
    /// # Errors
    ///
    /// The bytes are no static Linux program for a platform that is known here.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let bytes = bytes.into();
        let platform = platform_of(&bytes).map_err(|found| {
            let message = format!(
                "the helper must be a 64-bit ELF program for Linux on x86-64, ARM, RISC-V, POWER, s390x or LoongArch, found {found}"
            );
            let problem = Problem::without_location(ErrorKind::Lowering, message);
            Error::new(vec![problem.hint("build it with `cargo xtask helper`")])
        })?;
        let file = mkfile(PROGRAM, 0o755, bytes).created(0);
        let state = scratch().file(crate::Constrain::name(file, "carry llb-helper"));
        Self::from_state(&state, PROGRAM, platform)
    }

    /// A helper in a file system that has nothing to do with the build, such as an image, at an absolute path.
    ///
    /// ```
    /// use llb::lower::Helper;
    /// use llb::prelude::*;
    /// use llb::value::Platform;
    ///
    /// let image = image("registry.example/llb-helper:0.1");
    /// let helper = Helper::from_state(&image, "/llb-helper", Platform::LINUX_AMD64)?;
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with the state.
    pub fn from_state(
        state: &State,
        path: impl Into<String>,
        platform: Platform,
    ) -> Result<Self, Error> {
        Ok(Self {
            definition: state.marshal(&MarshalOptions::new(platform.clone()))?,
            path: path.into(),
            platform,
        })
    }

    /// The platform it runs on.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The file system that it is in, to run it in or to mount it from.
    pub fn state(&self) -> State {
        self.definition.state().platform(&self.platform)
    }

    /// Its absolute path in that file system.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The smallest file that passes for a helper: for examples and snapshots, where nothing is run.
    pub fn example_bytes() -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01".to_vec();
        header.resize(64, 0);
        (header[16], header[18]) = (2, 62);
        header
    }
}

/// ELF's numbers of machines, which byte order they have, and what Go calls them.
const MACHINES: &[(u16, bool, &str)] = &[
    (62, true, "amd64"),
    (183, true, "arm64"),
    (243, true, "riscv64"),
    (21, true, "ppc64le"),
    (22, false, "s390x"),
    (258, true, "loong64"),
];

/// The platform that an ELF header is for, or what the bytes are instead.
fn platform_of(bytes: &[u8]) -> Result<Platform, String> {
    let Some(header) = bytes
        .get(..20)
        .filter(|header| header.starts_with(b"\x7fELF"))
    else {
        return Err(match bytes {
            [] => "nothing".to_owned(),
            [b'#', b'!', ..] => "a script".to_owned(),
            _ => "no ELF file".to_owned(),
        });
    };
    if header[4] != 2 {
        return Err("a 32-bit program".to_owned());
    }
    let is_little = header[5] == 1;
    let number = [header[18], header[19]];
    let machine = if is_little {
        u16::from_le_bytes(number)
    } else {
        u16::from_be_bytes(number)
    };
    let known = MACHINES
        .iter()
        .find(|(number, order, _)| (*number, *order) == (machine, is_little));
    match known {
        Some((_, _, architecture)) => Ok(Platform::new("linux", *architecture)),
        None => Err(format!("machine number {machine}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_machines_are_known_by_name() {
        let names: Vec<_> = MACHINES.iter().map(|(_, _, name)| *name).collect();
        assert_eq!(names, Helper::ARCHITECTURES);
    }

    #[test]
    fn bytes_say_for_which_platform_they_are() {
        let helper = Helper::from_bytes(Helper::example_bytes()).unwrap();
        assert_eq!(*helper.platform(), Platform::LINUX_AMD64);
        let mut arm = Helper::example_bytes();
        arm[18] = 183;
        let helper = Helper::from_bytes(arm).unwrap();
        assert_eq!(helper.platform().to_string(), "linux/arm64");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for (bytes, part) in [
            (&b"#!/bin/sh"[..], "found a script"),
            (b"", "found nothing"),
            (
                b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0",
                "found a 32-bit program",
            ),
        ] {
            let error = Helper::from_bytes(bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
