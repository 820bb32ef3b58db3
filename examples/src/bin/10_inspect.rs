//! What will a build ask of the daemon, and what does a change run again?
//!
//! A definition is data: ops with their digests, in the order of their dependencies. An op whose digest stays the same
//! is the same work; the ones that differ between two definitions are those that a change touches.

use std::collections::BTreeSet;

use llb::prelude::*;
use llb::value::Capability;
use llb::{CUSTOM_NAME, OpDigest};

fn app(python: &str, greeting: &str) -> State {
    let base = image(format!("python:{python}"));
    base.merge([
        base.fork(|state| state.run(sh("pip install flask").name("install packages"))),
        base.fork(|state| {
            state.file(mkfile("/etc/greeting", 0o644, greeting).name("write config"))
        }),
    ])
}

fn digests(definition: &Definition) -> BTreeSet<OpDigest> {
    definition
        .ops()
        .iter()
        .map(llb::DefinitionOp::digest)
        .collect()
}

fn main() -> Result<(), llb::Error> {
    let before = app("3.12", "hello\n").marshal(&MarshalOptions::linux_amd64())?;
    println!(
        "{} ops, {} bytes",
        before.ops().len(),
        before.to_bytes().len()
    );
    let caps: Vec<_> = before
        .required_caps()
        .iter()
        .map(Capability::name)
        .collect();
    println!("needs {}", caps.join(", "));

    for (change, after) in [
        ("another greeting", app("3.12", "good morning\n")),
        ("another Python", app("3.13", "hello\n")),
    ] {
        let after = after.marshal(&MarshalOptions::linux_amd64())?;
        let known = digests(&before);
        let new = after
            .ops()
            .iter()
            .filter(|op| !known.contains(&op.digest()));
        let names: Vec<_> = new
            .filter_map(|op| op.metadata().description.get(CUSTOM_NAME))
            .map(String::as_str)
            .collect();
        println!("{change} runs again: {}", names.join(", "));
    }
    Ok(())
}
