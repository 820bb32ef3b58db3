//! `#[layer]`: a function that returns a layer, of one that takes the state it is put on.

mod expand;
mod signature;

pub(crate) use expand::expand;
