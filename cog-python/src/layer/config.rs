//! What a container of the image takes over.

use llb::State;

use crate::plan::ImageConfig;

/// Gives a state its image configuration: on top of the base's own, as a Dockerfile does.
pub fn configure(state: &State, config: &ImageConfig) -> State {
    let mut state = state.clone();
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
