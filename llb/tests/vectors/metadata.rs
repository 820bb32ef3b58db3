//! What travels beside an op.

use llb::ProgressGroup;
use llb::prelude::*;

use crate::support::{marshal, options, vectors};

fn a() -> State {
    image("a")
}

fn group(id: &str, name: &str, weak: bool) -> ProgressGroup {
    ProgressGroup {
        id: id.to_owned(),
        name: name.to_owned(),
        weak,
    }
}

vectors! {
    meta_ignore_cache => a().run(shlex("x").ignore_cache());
    meta_description => {
        a().run(shlex("x").description("b", "1").description("a", "").name("n").description("b", "2"))
    };
    meta_description_empty => a().run(shlex("x"));
    meta_export_cache => a().run(shlex("x").export_cache(true));
    meta_without_export_cache => a().run(shlex("x").export_cache(false));
    meta_without_default_export_cache => a().run(shlex("x").export_cache(true).export_cache(None));
    meta_progress_group => {
        let pull = Image::new("a").progress_group(group("id1", "pull", true)).state();
        pull.run(shlex("x").progress_group(group("id2", "run", false)))
    };
    meta_require => a().run(shlex("x").require("a==1").require("b==2").require("c==3"));
    meta_marshal_require => {
        let state = Image::new("a").require("i").state().run(shlex("x"));
        marshal(&state, &options().require("m"))
    };
    meta_marshal_ignore_cache => marshal(&a().run(shlex("x")), &options().ignore_cache());
    meta_marshal_progress_resources => {
        let state = a().run(shlex("x").cpu_shares(3));
        marshal(&state, &options().progress_group(group("g", "n", false)).memory_limit(7))
    };
    meta_marshal_description => marshal(&a().run(shlex("x")), &options().description("base", "1"));
    // Defaults of a state are options that those of the marshal follow.
    meta_set_marshal_defaults => marshal(&a().run(shlex("x")), &options().require("d").ignore_cache());
}
