//! What the compiler says about mistakes: one mistake per file in `ui/`, with the message beside it.
//!
//! `TRYBUILD=overwrite cargo test -p llb-macros --test ui` writes the messages anew; read them as prose before they are
//! committed: found, expected, how to fix it.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
