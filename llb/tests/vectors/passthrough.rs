//! Passthroughs: order without data.

use llb::Passthrough;
use llb::prelude::*;

use crate::support::vectors;

vectors! {
    passthrough_requires => image("a").dir("/w").requires("gate", [image("b"), image("c")]).run(shlex("x"));
    passthrough_requires_none => image("a").requires::<State>("gate", []);
    passthrough_requires_scratch_dep => image("a").requires("gate", [scratch()]);
    passthrough_new => {
        Passthrough::new("id").input(image("a")).output(scratch()).output(image("b")).output(image("c")).state()
    };
    passthrough_output_at => {
        let both = Passthrough::new("id").output(image("a")).output(image("b")).name("p").states();
        merge([&both[1], &both[0]])
    };
    passthrough_err_no_id => image("a").requires("", [image("b")]);
    passthrough_err_no_inputs => Passthrough::new("id").output(scratch()).state();
    passthrough_err_no_outputs => Passthrough::new("id").input(image("a")).state();
    passthrough_err_output_index => Passthrough::new("id").output(image("a")).state_at(3);
    passthrough_err_scratch_self => scratch().requires("gate", [image("b")]);
}
