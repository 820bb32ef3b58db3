//! Reading graphs: pure functions over definitions, whoever made them.

pub(crate) mod canonical;
mod dot;
pub(crate) mod graph;
mod label;
mod name;
mod text;
mod tree;

pub(crate) use label::main_input;

/// Characters that do not show, or that make a reader see another text than there is.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
