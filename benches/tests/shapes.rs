//! The program that measures shapes, run on small ones: what it prints is what others compare.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::process::Command;

use llb_benches::Shape;
use serde_json::Value;

const MEASURES: [&str; 10] = [
    "build_only",
    "marshal",
    "fresh",
    "remarshal",
    "append_one",
    "to_bytes",
    "decode",
    "text_print",
    "drop",
    "sha256_floor",
];

fn run(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_shapes"))
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_shape_is_reported_whole() {
    for (shape, vertices) in Shape::ALL.into_iter().zip([102, 203, 302, 102, 208]) {
        let report = run(&["--shape", &shape.to_string(), "--n", "100", "--iters", "2"]);
        assert_eq!(report["shape"], shape.to_string());
        assert_eq!(report["n"], 100);
        assert_eq!(report["vertices"], vertices, "{shape}");
        assert_eq!(
            report["head"],
            format!("sha256:{}", shape.head(100).unwrap())
        );
        let number = |value: &Value| value.as_u64().unwrap();
        assert!(number(&report["definition_bytes"]) > number(&report["op_bytes"]));
        for name in MEASURES {
            let measure = &report[name];
            let (median, least) = (&measure["median_ns"], &measure["min_ns"]);
            assert!(number(least) <= number(median), "{shape} {name}");
            #[expect(clippy::cast_precision_loss, reason = "few nanoseconds")]
            let median_per_vertex = number(median) as f64 / f64::from(vertices);
            let per_vertex = measure["median_ns_per_vertex"].as_f64().unwrap();
            assert!(
                (per_vertex - median_per_vertex).abs() < 0.01,
                "{shape} {name}"
            );
            assert!(measure["allocs"].is_u64() && measure["alloc_bytes"].is_u64());
        }
        assert_eq!(report.as_object().unwrap().len(), 6 + MEASURES.len());
        // Nothing that allocates can be mistaken for nothing, and the floor is nothing but hashing.
        assert!(number(&report["fresh"]["allocs"]) > 0);
        assert_eq!(report["sha256_floor"]["allocs"], 0);
    }
}

#[test]
fn sizes_of_the_table_have_the_head_of_the_go_client() {
    // Op bytes and definition bytes are those of the Go client too.
    for (shape, op_bytes, definition_bytes) in [
        (Shape::Chain, 20121, 45508),
        (Shape::Fan, 37213, 74370),
        (Shape::Ladder, 42021, 98909),
        (Shape::Files, 134_645, 152_132),
        (Shape::Pyimg, 60275, 107_833),
    ] {
        let report = run(&["--shape", &shape.to_string(), "--n", "100", "--iters", "1"]);
        assert_eq!(report["op_bytes"], op_bytes, "{shape}");
        assert_eq!(report["definition_bytes"], definition_bytes, "{shape}");
    }
}

#[test]
fn the_definition_is_written_where_asked() {
    let file = std::env::temp_dir().join(format!("llb-shapes-{}.pb", std::process::id()));
    let path = file.to_str().unwrap();
    let report = run(&[
        "--shape", "chain", "--n", "3", "--iters", "1", "--write", path,
    ]);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let definition = llb::Definition::from_bytes(&bytes).unwrap();
    assert_eq!(report["head"], definition.head().unwrap().to_string());
    assert_eq!(report["definition_bytes"], bytes.len());
}

#[test]
fn a_small_million_goes_all_the_way() {
    let output = Command::new(env!("CARGO_BIN_EXE_million"))
        .args(["--n", "2000"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["whole"]["n"], 2000);
    for step in ["build", "marshal", "decode", "canonical", "verify"] {
        assert!(report["whole"]["seconds"][step].is_f64(), "{step}");
    }
}
