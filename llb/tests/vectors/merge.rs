//! Merges and differences.

use llb::prelude::*;
use llb::value::Platform;
use llb::{Diff, Merge};

use crate::support::vectors;

vectors! {
    merge_two => merge([image("a"), image("b")]);
    merge_duplicates => {
        let a = image("a");
        merge([a.clone(), a, image("b"), image("a")])
    };
    merge_drops_scratch => merge([scratch(), image("a"), scratch(), image("b"), scratch()]);
    merge_one => Merge::new([scratch(), image("a")]).name("lost").state();
    merge_none => merge([scratch(), scratch()]);
    merge_empty => merge::<State>([]);
    merge_state_values => {
        let a = Image::new("a").platform(Platform::LINUX_ARM64).state().env("A", "1").dir("/a");
        let b = image("b").env("B", "2").dir("/b");
        merge([scratch().env("S", "s"), a, b]).run(shlex("x"))
    };
    merge_constraints => {
        Merge::new([image("a"), image("b")])
            .name("m")
            .ignore_cache()
            .platform(Platform::LINUX_ARM64)
            .require("f")
            .state()
            .run(shlex("x"))
    };

    merge_new_direct => Merge::new([image("a"), image("b")]).exact().state();
    merge_err_new_one => Merge::new([image("a")]).exact().state();

    diff_basic => {
        let a = image("a");
        diff(&a, a.run(shlex("x")))
    };
    diff_same => {
        let a = image("a");
        diff(&a, &a)
    };
    diff_scratch_lower => Diff::new(scratch(), image("a")).name("lost").state();
    diff_new_scratch_lower => Diff::new(scratch(), image("a")).exact().state();
    diff_scratch_upper => diff(image("a"), scratch());
    diff_scratch_both => diff(scratch(), scratch());
    diff_state_values => {
        let lower = Image::new("a").platform(Platform::LINUX_ARM64).state().env("L", "1").dir("/l");
        let upper = image("b").env("U", "1").dir("/u");
        diff(lower, upper).run(shlex("x"))
    };
}
