//! Takes a chain of a million execs through everything that graphs are for, in a thread with two mebibytes of stack.
//!
//! `cargo run --release -p llb-benches --bin million`
//!
//! It prints a JSON object with the seconds of each step and the most memory of the process, for a quarter of the size
//! and for all of it, each in a process of its own. It fails if a result is not what it must be, or if the memory grows
//! faster than the chain.

use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use llb::Definition;
use llb_benches::{Shape, options};
use serde_json::{Map, Value, json};

/// What tasks of an async runtime and threads get unless they ask for more.
const STACK: usize = 2 << 20;

/// Four times the ops may take so many times the memory: tables grow in steps.
const MOST_GROWTH: f64 = 5.0;

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Arguments {
    /// The number of execs
    #[arg(long, default_value_t = 1_000_000)]
    n: usize,
    /// Only this size, in this process
    #[arg(long)]
    one: bool,
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let report = if arguments.one {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let measured = thread.spawn(move || measure(arguments.n))?;
        measured.join().map_err(|_| "the thread panicked")??
    } else {
        let (quarter, whole) = (in_process(arguments.n / 4)?, in_process(arguments.n)?);
        let memory = |report: &Value| report["peak_memory_bytes"].as_f64();
        let growth = memory(&whole).zip(memory(&quarter));
        let growth = growth.map_or(f64::INFINITY, |(whole, quarter)| whole / quarter);
        if growth > MOST_GROWTH {
            return Err(format!("four times the ops take {growth:.2} times the memory").into());
        }
        json!({"quarter": quarter, "whole": whole, "memory_growth": growth})
    };
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

fn in_process(n: usize) -> Result<Value, Fault> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--one", "--n", &n.to_string()])
        .output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{n} execs failed ({}): {error}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn measure(n: usize) -> Result<Value, Fault> {
    let mut seconds = Map::new();
    let state = step(&mut seconds, "build", || Shape::Chain.build(n));
    let definition = step(&mut seconds, "marshal", || state.marshal(&options()))?;
    step(&mut seconds, "drop_graph", || drop(state));
    let bytes = step(&mut seconds, "to_bytes", || definition.to_bytes());
    let read = step(&mut seconds, "decode", || Definition::from_bytes(&bytes))?;
    check("decoding", read == definition)?;
    drop(definition);
    let again = step(&mut seconds, "canonical", || read.canonical())?;
    check("going through a graph", again == read)?;
    drop(again);
    let text = step(&mut seconds, "text", || read.to_text());
    check("the text", text.lines().count() > 5 * n)?;
    drop(text);
    let findings = step(&mut seconds, "verify", || read.verify());
    check("the check", findings.is_empty())?;
    step(&mut seconds, "drop_definition", || drop(read));
    Ok(json!({
        "n": n,
        "definition_bytes": bytes.len(),
        "seconds": seconds,
        "peak_memory_bytes": peak_memory()?,
    }))
}

fn step<R>(seconds: &mut Map<String, Value>, name: &str, run: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = run();
    let elapsed = start.elapsed().as_secs_f64();
    seconds.insert(name.to_owned(), json!((elapsed * 1000.0).round() / 1000.0));
    result
}

fn check(what: &str, is_right: bool) -> Result<(), Fault> {
    if is_right {
        return Ok(());
    }
    Err(format!("{what} gives something else").into())
}

/// The most memory that the process has had, as Linux counts it.
fn peak_memory() -> Result<u64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes = kibibytes.ok_or("/proc/self/status has no VmHWM")?;
    Ok(kibibytes.parse::<u64>()? * 1024)
}
