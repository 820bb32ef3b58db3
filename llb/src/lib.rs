//! LLB graphs.
