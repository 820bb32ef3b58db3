//! The frontend as BuildKit starts it.

fn main() -> llb_example_frontend::Result<()> {
    llb_example_frontend::serve()
}
