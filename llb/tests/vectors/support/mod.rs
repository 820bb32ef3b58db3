//! Runs vectors: the same program in Go and in Rust must give the same definition, to the byte.

pub(crate) mod load;
mod wire;

use std::fmt::Write as _;

use llb::{Definition, Error, MarshalOptions, State};
use load::Vector;
use serde_json::Value;

/// What a translated program gives.
pub(crate) enum Outcome {
    Marshalled(Result<Definition, Error>),
    /// What accessors return.
    Values(Value),
}

impl From<State> for Outcome {
    fn from(state: State) -> Self {
        marshal(&state, &options())
    }
}

impl From<Result<State, Error>> for Outcome {
    fn from(state: Result<State, Error>) -> Self {
        match state {
            Ok(state) => state.into(),
            Err(error) => Self::Marshalled(Err(error)),
        }
    }
}

impl From<Value> for Outcome {
    fn from(values: Value) -> Self {
        Self::Values(values)
    }
}

/// The options of nearly all vectors.
pub(crate) fn options() -> MarshalOptions {
    options_for(llb::value::Platform::LINUX_AMD64)
}

/// The options of nearly all vectors, for another platform.
pub(crate) fn options_for(platform: llb::value::Platform) -> MarshalOptions {
    use llb::Constrain as _;

    MarshalOptions::new(platform).local_unique_id("vec-unique")
}

/// Marshals with options of the vector's own.
pub(crate) fn marshal(state: &State, options: &MarshalOptions) -> Outcome {
    Outcome::Marshalled(state.marshal(options))
}

/// Declares the vectors of an area: a test for each, and the list of them.
///
/// The test has the vector's name, with `_` for `-`.
macro_rules! vectors {
    ($($name:ident => $program:expr;)*) => {
        pub(crate) const COVERED: &[&str] = &[$(stringify!($name)),*];

        mod vectors {
            $(#[test]
            fn $name() {
                crate::support::check(stringify!($name), super::programs::$name());
            })*
        }

        mod programs {
            #[allow(clippy::wildcard_imports, unused_imports, reason = "the programs read like those of a user")]
            use super::*;

            $(pub(super) fn $name() -> crate::support::Outcome {
                $program.into()
            })*
        }
    };
}
pub(crate) use vectors;

/// Compares what a program gives with the vector of that name.
#[track_caller]
pub(crate) fn check(test: &str, outcome: Outcome) {
    let name = test.replace('_', "-");
    let vector = Vector::load(&name);
    if let Err(report) = compare(&vector, outcome) {
        panic!("vector {name} differs\n\n{}\n\n{report}", vector.program());
    }
}

fn compare(vector: &Vector, outcome: Outcome) -> Result<(), String> {
    match (outcome, vector.error(), vector.values()) {
        (Outcome::Values(values), None, Some(expected)) if values == *expected => Ok(()),
        (Outcome::Values(values), None, Some(expected)) => {
            Err(difference(&format!("{expected:#}"), &format!("{values:#}")))
        }
        (Outcome::Marshalled(Err(error)), Some(expected), None) => {
            let message = error.to_string();
            if message.contains(expected) {
                Ok(())
            } else {
                Err(format!("expected error {expected:?}, got {message:?}"))
            }
        }
        (Outcome::Marshalled(Ok(_)), Some(expected), None) => {
            Err(format!("expected error {expected:?}, got none"))
        }
        (Outcome::Marshalled(Err(error)), None, None) => {
            Err(format!("expected no error, got: {error}"))
        }
        (Outcome::Marshalled(Ok(definition)), None, None) => {
            compare_definitions(vector, &definition)
        }
        _ => Err(
            "the program gives values where the vector has a definition, or the other way round"
                .to_owned(),
        ),
    }
}

fn compare_definitions(vector: &Vector, definition: &Definition) -> Result<(), String> {
    let (expected, actual) = (vector.definition(), definition.to_bytes());
    if expected != actual {
        let (expected, actual) = (wire::definition(&expected), wire::definition(&actual));
        return Err(difference(&expected, &actual));
    }
    // Equal bytes leave only what is not in them: the accessors.
    let ops = vector.ops();
    if ops.len() != definition.ops().len() {
        return Err(format!(
            "expected {} ops, got {}",
            ops.len(),
            definition.ops().len()
        ));
    }
    for ((bytes, digest), op) in ops.iter().zip(definition.ops()) {
        if *bytes != op.bytes() || *digest != op.digest().to_string() {
            return Err(format!("op {digest} differs from {}", op.digest()));
        }
    }
    let head = definition
        .head()
        .map(|digest| digest.to_string())
        .unwrap_or_default();
    if head == vector.head() {
        Ok(())
    } else {
        Err(format!("expected head {}, got {head}", vector.head()))
    }
}

/// A line diff: `-` expected only, `+` actual only.
fn difference(expected: &str, actual: &str) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let actual: Vec<&str> = actual.lines().collect();
    // The length of the longest common subsequence of what follows each pair of lines.
    let mut common = vec![vec![0_u32; actual.len() + 1]; expected.len() + 1];
    for left in (0..expected.len()).rev() {
        for right in (0..actual.len()).rev() {
            common[left][right] = if expected[left] == actual[right] {
                common[left + 1][right + 1] + 1
            } else {
                common[left + 1][right].max(common[left][right + 1])
            };
        }
    }
    let (mut left, mut right) = (0, 0);
    let mut report = String::new();
    while left < expected.len() || right < actual.len() {
        let (mark, line) =
            if left < expected.len() && right < actual.len() && expected[left] == actual[right] {
                (left, right) = (left + 1, right + 1);
                (' ', expected[left - 1])
            } else if right == actual.len()
                || left < expected.len() && common[left + 1][right] >= common[left][right + 1]
            {
                left += 1;
                ('-', expected[left - 1])
            } else {
                right += 1;
                ('+', actual[right - 1])
            };
        writeln!(report, "{mark} {line}").unwrap();
    }
    report
}
