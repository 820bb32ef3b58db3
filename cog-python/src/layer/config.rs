//! What a container of the image takes over.

use llb::State;

use crate::plan::ImageConfig;

/// A layer that changes no files: it adds an image configuration on top of the base's own,
/// as a Dockerfile does.
#[llb::layer]
pub fn configure(mut state: State, #[layer(skip)] config: &ImageConfig) -> State {
    for folder in config.path.iter().rev() {
        state = state.prepend_path(folder);
    }
    for (name, value) in &config.environment {
        state = state.image_env(name, value);
    }
    for (name, value) in &config.labels {
        state = state.label(name, value);
    }
    for port in &config.exposed_ports {
        state = state.expose(port);
    }
    state
        .workdir(&config.working_directory)
        .entrypoint(&config.entrypoint)
        .cmd(&config.command)
}
