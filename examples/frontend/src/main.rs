//! The frontend as BuildKit starts it.

use llb::gateway::Result;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    llb_example_frontend::frontend().serve().await
}
