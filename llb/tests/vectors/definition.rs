//! Definitions as states.

use crate::support::vectors;

vectors! {}
