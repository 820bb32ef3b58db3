//! Models: where one is pushed to ([`ModelReference`]), and what an image says about the model in it ([`Model`]).

mod found;
mod reference;
mod resolver;

pub use found::{Model, NoModel, Origin};
pub use reference::{ModelError, ModelReference, Variables, Version};
pub use resolver::{FoundImage, ImageStore, ResolveError, ResolveMode, Resolver};
