//! Graph construction by shape and size: `cargo bench -p llb-benches`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use llb_benches::{Shape, options};

fn fresh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fresh");
    for shape in Shape::ALL {
        for n in [100, 1000] {
            let options = options();
            let vertices = shape
                .build(n)
                .marshal(&options)
                .map_or(0, |definition| definition.ops().len());
            group.throughput(Throughput::Elements(vertices as u64));
            group.bench_with_input(BenchmarkId::new(shape.to_string(), n), &n, |bencher, &n| {
                bencher.iter(|| shape.build(n).marshal(&options));
            });
        }
    }
    group.finish();
}

criterion_group!(graph, fresh);
criterion_main!(graph);
