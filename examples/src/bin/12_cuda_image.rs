//! How do I keep gigabytes of wheels in layers that a change of the code leaves alone?
//!
//! Each group of wheels is a fork, and so a layer of its own, which stays in every registry and on every machine that
//! has it. The code joins beside them: nothing runs on top of the merge.

use llb::prelude::*;

/// Installs Python packages from an index, the same in every build.
#[layer(name = "pip: {packages:?}")]
fn pip(base: State, packages: &[&str], index: Option<&str>) -> State {
    let install = match index {
        Some(index) => sh!("pip install --no-deps --no-compile --index-url {index} {packages...}"),
        None => sh!("pip install --no-deps --no-compile {packages...}"),
    };
    base.run(
        install
            .mount(cache("/root/.cache/pip", "pip"))
            .env("SOURCE_DATE_EPOCH", "0"),
    )
}

fn main() -> Result<(), llb::Error> {
    const TORCH_INDEX: &str = "https://download.pytorch.org/whl/cu124";

    let model = llb::graph! {
        from image("python:3.12-slim");
        env PYTHONDONTWRITEBYTECODE = "1";
        image_env NVIDIA_VISIBLE_DEVICES = "all";
        image_env NVIDIA_DRIVER_CAPABILITIES = "compute,utility";

        fork cuda = pip(&["nvidia-cublas-cu12==12.4.5.8", "nvidia-cudnn-cu12==9.1.0.70"], None);
        fork torch = pip(&["torch==2.6.0"], Some(TORCH_INDEX));
        fork others = pip(&["numpy==2.2.1", "pillow==11.1.0"], None);
        fork weights {
            copy http("https://weights.example.com/model.safetensors", filename = "model.safetensors") "." => "/weights";
        }
        fork code {
            copy local("context", exclude = [".git", "weights", "**/__pycache__"]) "." => "/src";
        }
        merge cuda + torch + others + weights + code;

        workdir "/src";
        cmd ["python", "predict.py"];
    };
    print!(
        "{}",
        model.marshal(&MarshalOptions::linux_amd64())?.to_text()
    );
    Ok(())
}
