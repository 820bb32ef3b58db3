use llb::prelude::*;

#[layer]
struct Tools;

fn main() {}
