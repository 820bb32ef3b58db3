//! Merges on real engines against the trees that must come out: as they are where the engine has merges, lowered where it
//! has none.
//!
//! Without arguments all cases of `tests/data/merge-cases` run. `--dir DIR` takes another folder of such cases,
//! `--random N` that many random ones (with `--seed N`), whose trees on both engines are compared; other arguments are
//! names of cases. `cargo xtask merge-cases` starts it with all that it needs.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program that looks at files and reports"
)]

mod arguments;
mod build;
mod case;
mod compare;
mod engine;
mod graph;
mod random;
#[path = "../client/testbed.rs"]
#[expect(dead_code, reason = "shared with the tests of the client")]
mod testbed;
mod tree;

use std::process::ExitCode;

use arguments::Arguments;
use build::Outcome;
use case::Case;
use engine::Engine;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let cases = match arguments.cases() {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if cases.is_empty() {
        return ExitCode::SUCCESS;
    }
    let (merges, lowers) = tokio::join!(Engine::start("containerd"), Engine::start("graphdriver"));
    let is_right = if arguments.random.is_some() {
        compare_engines(&merges, &lowers, &cases).await
    } else {
        let (merged, lowered) = tokio::join!(merges.run(&cases), lowers.run(&cases));
        report(&merges, &cases, &merged) & report(&lowers, &cases, &lowered)
    };
    if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints what is not as it should be, and the count; gives whether all is as the cases say.
fn report(engine: &Engine, cases: &[Case], outcomes: &[Outcome]) -> bool {
    let mut is_right = true;
    for (case, outcome) in cases.iter().zip(outcomes) {
        let what = match outcome {
            Outcome::Equal { note: None, .. } => continue,
            Outcome::Equal {
                note: Some(note), ..
            } => format!("equal, {note}"),
            Outcome::Different { differences, .. } => {
                let known = case.is_known_to_differ(engine.lowers());
                is_right &= known;
                let known = if known { " (as the case says)" } else { "" };
                format!("DIFFERENT{known}: {}", differences.join("; "))
            }
            Outcome::Refused(reason) => {
                is_right = false;
                format!("REFUSED: {reason}")
            }
        };
        println!("{} {}: {what}", engine.name, case.id);
    }
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    println!(
        "{}: {} equal, {} different, {} refused",
        engine.name,
        count(|outcome| matches!(outcome, Outcome::Equal { .. })),
        count(|outcome| matches!(outcome, Outcome::Different { .. })),
        count(|outcome| matches!(outcome, Outcome::Refused(_))),
    );
    is_right
}

/// Runs cases without expected trees: what both engines make must be the same.
async fn compare_engines(merges: &Engine, lowers: &Engine, cases: &[Case]) -> bool {
    let (merged, lowered) = tokio::join!(merges.trees(cases), lowers.trees(cases));
    let mut counts = [0; 3];
    let mut chains = 0;
    for ((case, merged), lowered) in cases.iter().zip(merged).zip(lowered) {
        let what = match (merged, lowered) {
            (Ok(merged), Ok(lowered)) => {
                chains += usize::from(lowered.is_chain);
                let (merged, lowered) = if lowered.is_chain {
                    (
                        merged.without_directory_times(),
                        lowered.without_directory_times(),
                    )
                } else {
                    (merged, lowered)
                };
                let mut differences = merged.tree.differences(&lowered.tree);
                if !differences.is_empty() {
                    // Where overlay storage puts a merge together wrongly, its layers are right.
                    let layers = build::layers(merges, case).await;
                    if layers.is_ok_and(|layers| layers.differences(&lowered.tree).is_empty()) {
                        println!(
                            "{}: equal, by the layers of its image, for the engine's files differ: {}",
                            case.id,
                            differences.join("; ")
                        );
                        differences.clear();
                    }
                }
                if differences.is_empty() {
                    counts[0] += 1;
                    continue;
                }
                counts[1] += 1;
                format!("DIFFERENT: {}", differences.join("; "))
            }
            // Steps that fail by themselves fail on both.
            (Err(_), Err(_)) => {
                counts[0] += 1;
                continue;
            }
            (Err(error), _) | (_, Err(error)) => {
                counts[2] += 1;
                format!("REFUSED by one: {error}")
            }
        };
        println!("{}: {what}\n{}", case.id, case.text());
    }
    let [equal, different, refused] = counts;
    println!(
        "random: {equal} equal, {different} different, {refused} refused ({chains} as a chain)"
    );
    different == 0 && refused == 0
}
