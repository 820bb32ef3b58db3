//! Measures one shape at one size and prints one JSON object.
//!
//! `cargo run --release -p llb-benches --bin shapes -- --shape chain --n 1000 --iters 30`
//!
//! Times are wall-clock nanoseconds. `fresh` is a graph built and marshalled from nothing; `sha256_floor` is SHA-256
//! alone over the same op bytes in the same run, which no implementation can go below.

use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use llb_benches::{Counter, Shape, options};
use serde_json::{Map, Value, json};
use sha2::Digest as _;

#[global_allocator]
static COUNTER: Counter = Counter::new();

#[derive(Debug, Parser)]
struct Arguments {
    /// Which graph: chain, fan, ladder, files or pyimg
    #[arg(long)]
    shape: Shape,
    /// Its size
    #[arg(long)]
    n: usize,
    /// How often each measurement is taken
    #[arg(long, default_value_t = 30)]
    iters: usize,
    /// The one measurement to take, for a profiler to look at
    #[arg(long)]
    only: Option<String>,
    /// Also writes the graph's definition to this file
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments {
        shape,
        n,
        iters,
        only,
        write,
    } = Arguments::parse();
    let options = options();
    let state = shape.build(n);
    let definition = state.marshal(&options)?;
    let vertices = definition.ops().len();
    let op_bytes: usize = definition.ops().iter().map(|op| op.bytes().len()).sum();
    let head = definition
        .head()
        .map(|head| head.to_string())
        .unwrap_or_default();
    if let Some(expected) = shape.head(n)
        && head != format!("sha256:{expected}")
    {
        return Err(
            format!("the head is {head}, but the Go client gives sha256:{expected}").into(),
        );
    }

    let bytes = definition.to_bytes();
    if let Some(file) = write {
        std::fs::write(file, &bytes)?;
    }

    let mut report = Map::new();
    report.insert("shape".into(), json!(shape.to_string()));
    report.insert("n".into(), json!(n));
    report.insert("vertices".into(), json!(vertices));
    report.insert("op_bytes".into(), json!(op_bytes));
    report.insert("definition_bytes".into(), json!(bytes.len()));
    report.insert("head".into(), json!(head));

    let mut bench = Bench {
        iters,
        only,
        vertices,
        report: &mut report,
    };
    bench.measure("build_only", || (), |()| shape.build(n));
    bench.measure(
        "marshal",
        || shape.build(n),
        |state| {
            let definition = state.marshal(&options);
            (state, definition)
        },
    );
    bench.measure(
        "fresh",
        || (),
        |()| {
            let state = shape.build(n);
            let definition = state.marshal(&options);
            (state, definition)
        },
    );
    bench.measure("remarshal", || (), |()| state.marshal(&options));
    let mut appended = 0;
    bench.measure(
        "append_one",
        || (),
        |()| {
            appended += 1;
            Shape::append(&state, appended).marshal(&options)
        },
    );
    bench.measure("to_bytes", || (), |()| definition.to_bytes());
    bench.measure("text_print", || (), |()| definition.to_text());
    bench.measure("decode", || (), |()| llb::Definition::from_bytes(&bytes));
    bench.measure(
        "drop",
        || {
            let state = shape.build(n);
            let definition = state.marshal(&options);
            (state, definition)
        },
        drop,
    );
    bench.measure(
        "sha256_floor",
        || (),
        |()| {
            for op in definition.ops() {
                black_box(sha2::Sha256::digest(black_box(op.bytes())));
            }
        },
    );
    writeln!(std::io::stdout(), "{}", Value::Object(report))?;
    Ok(())
}

/// Has the allocator keep the memory that an iteration frees for the next one, as a process that builds several graphs
/// does by and by. glibc gives back what is free at the end of its memory, from twice the largest block that it has ever
/// taken back: so it takes back a large one, and another one is put at the end while the result of an iteration is
/// alive. Nothing is written to either.
fn keep_pages() -> Vec<u8> {
    drop(black_box(Vec::<u8>::with_capacity(31 << 20)));
    black_box(Vec::with_capacity(30 << 20))
}

struct Bench<'a> {
    iters: usize,
    only: Option<String>,
    vertices: usize,
    report: &'a mut Map<String, Value>,
}

impl Bench<'_> {
    /// Times `run` on what `prepare` makes; making it and dropping the result are outside the time. What it allocates is
    /// counted once, before that.
    fn measure<P, R>(
        &mut self,
        name: &str,
        mut prepare: impl FnMut() -> P,
        mut run: impl FnMut(P) -> R,
    ) {
        if self.only.as_deref().is_some_and(|only| only != name) {
            return;
        }
        let prepared = prepare();
        let (first, allocated) = COUNTER.count(|| black_box(run(prepared)));
        let pin = keep_pages();
        drop(first);
        let mut times = Vec::with_capacity(self.iters);
        for _ in 0..self.iters.max(1) {
            let prepared = prepare();
            let start = Instant::now();
            let result = black_box(run(prepared));
            times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
            drop(result);
        }
        drop(pin);
        times.sort_unstable();
        let median = times[times.len() / 2];
        #[expect(
            clippy::cast_precision_loss,
            reason = "far fewer nanoseconds than 2^52"
        )]
        let per_vertex = median as f64 / self.vertices.max(1) as f64;
        let value = json!({
            "median_ns": median,
            "min_ns": times[0],
            "median_ns_per_vertex": (per_vertex * 100.0).round() / 100.0,
            "allocs": allocated.times,
            "alloc_bytes": allocated.bytes,
        });
        self.report.insert(name.into(), value);
    }
}
