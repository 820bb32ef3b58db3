//! How often building and marshalling a graph allocates, which no other process on the machine can change.

use llb_benches::{Counter, Shape, options};

#[global_allocator]
static COUNTER: Counter = Counter::new();

/// One test, so that no other thread allocates.
#[test]
fn a_vertex_takes_few_allocations() {
    let options = options();
    for (shape, most) in [
        (Shape::Chain, 6),
        (Shape::Fan, 4),
        (Shape::Ladder, 4),
        (Shape::Pyimg, 8),
    ] {
        let once = shape.build(1000).marshal(&options).unwrap();
        let ((state, definition), allocated) = COUNTER.count(|| {
            let state = shape.build(1000);
            let definition = state.marshal(&options).unwrap();
            (state, definition)
        });
        assert_eq!(once, definition);
        let vertices = definition.ops().len() as u64;
        assert!(
            allocated.times <= most * vertices,
            "{shape}: {} allocations for {vertices} ops, expected at most {most} an op",
            allocated.times
        );
        let (again, allocated) = COUNTER.count(|| state.marshal(&options).unwrap());
        assert_eq!(again, definition);
        assert_eq!(allocated.times, 0, "{shape}: nothing is made again");
    }
}
