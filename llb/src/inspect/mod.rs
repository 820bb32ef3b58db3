//! Reading graphs: pure functions over definitions, whoever made them.

mod text;
