//! LLB graphs.

pub mod value;
