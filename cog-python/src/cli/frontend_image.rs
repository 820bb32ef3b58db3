//! `frontend-image`: this program as an image that BuildKit starts as a frontend.

use std::fs;
use std::path::{Path, PathBuf};

use llb::client::Solve;
use llb::gateway::frontend_image as image_of;
use llb::lower::Helper;
use llb::progress::Display;
use llb::{MarshalOptions, local};

use super::args::FrontendImageCommand;
use super::build::{Target, connect, failure, outputs, result, run};
use super::{Failure, print};

/// Runs the command.
pub(super) fn frontend_image(command: &FrontendImageCommand) -> Result<(), Failure> {
    let program = match &command.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()
            .map_err(|error| Failure::new(format!("this program cannot be found: {error}")))?,
    };
    let program = fs::canonicalize(&program).map_err(|error| unreadable(&program, &error))?;
    check_static(&program)?;
    let (Some(folder), Some(name)) = (program.parent(), program.file_name()) else {
        return Err(Failure::new(format!(
            "`{}` does not name a file",
            program.display()
        )));
    };
    let name = name.to_string_lossy();
    let platform = command.platform.as_str().parse().map_err(|error| {
        Failure::new(format!("platform `{}`: {error}", command.platform.as_str()))
    })?;
    let files = local("program").include([&*name]);
    let state = image_of(files, &format!("/{name}"));
    // Where the program looks for what installs wheels: beside itself.
    let state = helpers()?.into_iter().fold(state, |state, helper| {
        let target = format!("/llb-helper-linux-{}", helper.platform().architecture);
        state.copy(helper.state(), helper.path(), target)
    });
    let config = state.image_config().to_json(&platform);
    let solve = Solve::state(&state, &MarshalOptions::new(platform))
        .map_err(|error| Failure::new(error.to_string()))?
        .local("program", folder);
    let target = Target {
        outputs: outputs(&command.output, command.push, false),
        ..Target::default()
    };
    let tag = command.tag.as_str();
    let solve = target.outputs.iter().fold(solve, |solve, output| {
        let export = output.export(tag);
        solve.export(if output.kind.is_image() {
            export.config(config.clone())
        } else {
            export
        })
    });
    let mut progress = Display::stderr(command.progress);
    let outcome = run(async {
        let client = connect(command.builder.addr.as_deref(), None).await?;
        let solved = client.solve(solve, &mut progress).await;
        solved.map_err(|error| failure(&error, None))
    })?;
    print(&result(&target, tag, &outcome))
}

/// The programs that install wheels: at least one.
fn helpers() -> Result<Vec<Helper>, Failure> {
    let helpers = Helper::find_all().map_err(|error| Failure::new(error.to_string()))?;
    if helpers.is_empty() {
        return Err(
            Failure::new("there is no llb-helper, which installs wheels, for the image of the frontend")
                .hint("name it with the variable LLB_HELPER, or put llb-helper-linux-ARCHITECTURE beside this program"),
        );
    }
    Ok(helpers)
}

fn unreadable(program: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read `{}`: {error}", program.display()))
}

/// Refuses a program that could not be started in an image that holds nothing else.
fn check_static(program: &PathBuf) -> Result<(), Failure> {
    let bytes = fs::read(program).map_err(|error| unreadable(program, &error))?;
    match has_interpreter(&bytes) {
        Some(false) => Ok(()),
        Some(true) => Err(Failure::new(format!(
            "`{}` needs shared libraries, and the image of a frontend holds nothing but the program",
            program.display()
        ))
        .hint("link it with `cargo rustc --release --package cog-python --bin cog-python -- -C target-feature=+crt-static`, and name it with `--program`")),
        None => Err(Failure::new(format!(
            "`{}` is no 64-bit Linux program",
            program.display()
        ))),
    }
}

/// Whether an ELF file names a program that loads its libraries; nothing for what is none.
fn has_interpreter(elf: &[u8]) -> Option<bool> {
    /// Type of the program header that names the loader (`PT_INTERP`).
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        let mut wide = [0; 8];
        wide[..length].copy_from_slice(bytes);
        usize::try_from(u64::from_le_bytes(wide)).ok()
    };
    // 64 bits, little-endian: both platforms that Cog has a runtime for.
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let kind = number(table.checked_add(index * size)?, 4)?;
        if u32::try_from(kind) == Ok(INTERPRETER) {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 52]);
        }
        bytes
    }

    #[test]
    fn programs_with_a_loader_are_told_from_those_without() {
        assert_eq!(has_interpreter(&elf(&[1, 4])), Some(false));
        assert_eq!(has_interpreter(&elf(&[6, 3, 1])), Some(true));
        for cut in [0, 5, 40, 63] {
            assert_ne!(has_interpreter(&elf(&[3])[..cut]), Some(true));
        }
        assert_eq!(
            has_interpreter(b"#!/bin/sh\necho a script is no program\n"),
            None
        );
    }
}
