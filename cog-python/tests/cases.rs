//! The program behind `cargo xtask cog-cases`, tried with cases of our own.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a panic in a test is its report; the program uses more"
)]

#[path = "../examples/cog_cases/run/mod.rs"]
mod run;

use run::{Outcome, cases, try_case};

const CASES: &str = include_str!("cases.json");

#[test]
fn every_case_comes_out_as_its_name_says() {
    let cases = cases(CASES).unwrap();
    assert!(cases.len() > 20);
    for case in &cases {
        let (wanted, found) = match try_case(case) {
            Outcome::Right => ("right", String::new()),
            Outcome::Wrong(differences) => ("wrong", differences.join("\n")),
            Outcome::Apart { ours, why } => ("apart", format!("{why}\n{ours}")),
        };
        assert!(
            case.id.starts_with(wanted),
            "{} is {wanted}\n{found}",
            case.id
        );
    }
}
