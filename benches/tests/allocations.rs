//! How often building and marshalling a graph allocates, which no other process on the machine can change.

use std::alloc::System;

use llb_benches::{Shape, options};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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
        let region = Region::new(ALLOCATOR);
        let state = shape.build(1000);
        let definition = state.marshal(&options).unwrap();
        let change = region.change();
        assert_eq!(once, definition);
        let allocations = change.allocations + change.reallocations;
        let vertices = definition.ops().len();
        assert!(
            allocations <= most * vertices,
            "{shape}: {allocations} allocations for {vertices} ops, expected at most {most} an op"
        );
        let again = Region::new(ALLOCATOR);
        drop(state.marshal(&options).unwrap());
        assert_eq!(
            again.change().allocations,
            0,
            "{shape}: nothing is made again"
        );
    }
}
