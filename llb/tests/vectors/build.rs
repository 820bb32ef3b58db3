//! Nested builds.

use llb::Build;
use llb::prelude::*;
use llb::value::Platform;

use crate::support::vectors;

vectors! {
    build_basic => Build::new(image("a")).state();
    build_filename => Build::new(image("a")).filename("my.llb").state();
    build_constraints => Build::new(image("a")).platform(Platform::LINUX_ARM64).name("nested").require("w").state();
}
