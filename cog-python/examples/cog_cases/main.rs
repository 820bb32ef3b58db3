//! Tries worked cases of Cog: `cargo xtask cog-cases FILE`.
//!
//! A case has an input, such as a `cog.yaml` with its requirements, and the answer that Cog itself gave. Each is answered
//! by this crate, and the answers are compared:
//!
//! * **right**: all recorded values are ours, too. A refusal is right when we refuse as well and name the same things, in
//!   our words;
//! * **wrong**: a value differs;
//! * **apart**: the recorded answer is a defect of Cog, either flagged as such in the file, or one that this crate knows
//!   by its number. Our answer is printed with the reason, and counts as neither.
//!
//! The last line is `N right, N wrong`; the exit code is 1 if any is wrong.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a program that reports"
)]

mod run;

use std::process::ExitCode;

use run::{Outcome, cases, try_case};

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: cog_cases FILE");
        return ExitCode::from(2);
    };
    let cases = std::fs::read_to_string(&file)
        .map_err(|error| error.to_string())
        .and_then(|text| cases(&text));
    let cases = match cases {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("error: `{file}`: {error}");
            return ExitCode::from(2);
        }
    };
    let (mut right, mut wrong) = (0, 0);
    let mut apart = Vec::new();
    for case in &cases {
        match try_case(case) {
            Outcome::Right => right += 1,
            Outcome::Wrong(differences) => {
                wrong += 1;
                println!("wrong  {} ({})", case.id, case.kind);
                for difference in differences {
                    println!("         {difference}");
                }
            }
            Outcome::Apart { ours, why } => apart.push((case, ours, why)),
        }
    }
    for (case, ours, why) in &apart {
        println!("apart  {} ({})", case.id, case.kind);
        println!("         why:  {why}");
        println!("         ours: {ours}");
    }
    println!("{} apart", apart.len());
    println!("{right} right, {wrong} wrong");
    if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
