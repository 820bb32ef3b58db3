//! Builds the same graphs with `llb` and with `bollard-llb`, the other maintained builder, in one run.
//!
//! `cargo bench -p llb-benches --bench peers -- --n 1000 --iters 30`
//!
//! It prints a JSON object for each shape: nanoseconds for each op of building and marshalling from nothing, and how
//! many times as long the other crate takes: the median over pairs of one graph each, and that of
//! the least times of both. The two take
//! turns, so that whatever else the machine does meets both. Before that it makes sure that both give the same ops.

mod graphs;

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use clap::Parser;
use graphs::{Common, agree};
use serde_json::{Value, json};

/// The other crate uses the call stack for depth.
const STACK: usize = 1 << 30;

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Arguments {
    /// The size of each graph
    #[arg(long, default_value_t = 1000)]
    n: usize,
    /// How often each graph is built by each
    #[arg(long, default_value_t = 30)]
    iters: usize,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Fault> {
    let Arguments { n, iters, .. } = Arguments::parse();
    let thread = std::thread::Builder::new().stack_size(STACK);
    let measured = thread.spawn(move || {
        let mut out = std::io::stdout();
        for shape in Common::ALL {
            writeln!(out, "{}", measure(shape, n, iters.max(1))?)?;
        }
        Ok(())
    })?;
    measured.join().map_err(|_| "the thread panicked")?
}

fn measure(shape: Common, n: usize, iters: usize) -> Result<Value, Fault> {
    let (ours, theirs) = (shape.ours(n)?, shape.theirs(n)?);
    if !agree(&ours, &theirs) {
        return Err(format!("the two give different ops for {} {n}", shape.name()).into());
    }
    let vertices = ours.ops().len() as u64;
    let (mut our_times, mut their_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..iters {
        let (ours, theirs) = (time(|| shape.ours(n)), time(|| shape.theirs(n)));
        our_times.push(ours);
        their_times.push(theirs);
        ratios.push(theirs * 1000 / ours.max(1));
    }
    ratios.sort_unstable();
    let [ours_median, theirs_median] = [&mut our_times, &mut their_times].map(|times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let figures = |median: u64, times: &[u64]| {
        json!({
            "median_ns": median,
            "min_ns": times[0],
            "median_ns_per_vertex": median / vertices,
        })
    };
    Ok(json!({
        "shape": shape.name(),
        "n": n,
        "vertices": vertices,
        "head": ours.head().map(|head| head.to_string()),
        "llb": figures(ours_median, &our_times),
        "bollard-llb": figures(theirs_median, &their_times),
        "median_ratio": thousandths(ratios[iters / 2]),
        "ratio_of_least": thousandths(their_times[0] * 1000 / our_times[0].max(1)),
    }))
}

fn thousandths(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / 1000.0
}

/// The nanoseconds that a call takes; dropping its result is outside of them.
fn time<R>(run: impl FnOnce() -> R) -> u64 {
    let start = Instant::now();
    let result = black_box(run());
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    drop(result);
    elapsed
}
