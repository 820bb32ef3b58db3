//! What is set side by side is the same: both crates give the same ops.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

#[path = "../benches/peers/graphs.rs"]
mod graphs;

use graphs::{Common, agree};
use llb_benches::Shape;

/// The other crate uses the call stack for depth.
fn with_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 30);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn both_crates_build_the_same_ops() {
    with_stack(|| {
        for shape in Common::ALL {
            let (ours, theirs) = (shape.ours(100).unwrap(), shape.theirs(100).unwrap());
            let heads = (ours.head().unwrap(), theirs.root().unwrap());
            assert!(agree(&ours, &theirs), "{}", shape.name());
            assert_eq!(heads.0.to_string(), heads.1.to_string());
            // What tells them apart would show.
            assert!(!agree(&shape.ours(101).unwrap(), &theirs));
        }
    });
}

#[test]
fn shared_shapes_have_the_head_of_the_go_client() {
    with_stack(|| {
        for (common, shape) in [
            (Common::Chain, Shape::Chain),
            (Common::Ladder, Shape::Ladder),
        ] {
            let head = common.theirs(100).unwrap().root().unwrap().to_string();
            assert_eq!(head, format!("sha256:{}", shape.head(100).unwrap()));
        }
    });
}
