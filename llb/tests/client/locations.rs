//! What a daemon tells of the lines that made a failed step.

use llb::CallerLocations;
use llb::client::Solve;
use llb::prelude::*;

use super::testbed::{engine, unique};

#[layer]
fn failing(base: State, id: &str) -> State {
    base.mkdir("/made", 0o755)
        .run(sh(format!("echo {id} > /made/id && exit 9")).network(Network::None))
}

#[tokio::test]
async fn a_failed_step_is_reported_with_the_layers_it_was_made_in() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let base = image("debian:bookworm-slim");
        let (inner, outer) = (line!() - 8, line!() + 1);
        let state = base.layer(failing(&unique()));
        let options = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Positions);
        let solve = Solve::state(&state, &options).unwrap();
        let root = env!("CARGO_MANIFEST_DIR");
        let error = client
            .solve(solve.source_texts(root), &mut ())
            .await
            .unwrap_err();
        let places: Vec<_> = error
            .sources()
            .iter()
            .map(|source| source.ranges[0].0)
            .collect();
        // The op's own line comes first, as buildctl shows it too.
        assert_eq!(places, [inner, outer], "{name}: {error}");
        assert_eq!(error.step().unwrap().exit_code, Some(9), "{name}: {error}");
        for source in error.sources() {
            assert_eq!(
                (source.filename.as_str(), source.language.as_str()),
                (file!(), "rust")
            );
            assert!(
                source.text.contains("base.mkdir(\"/made\", 0o755)"),
                "{name}"
            );
        }
    }
}
