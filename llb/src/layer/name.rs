//! Names of layers, made of the name of a function and its arguments.
//!
//! `#[layer]` writes `Name::new("apt").with((&&&Shown(&packages)).words("packages"))`: what an argument shows is chosen
//! by its type, the first that fits of [`ShownAsArgument`], [`ShownByDisplay`] and [`Nothing`]. Rust has no
//! specialization, so the choice is made by the number of references that method lookup has to take away.

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// A longer name is cut: progress has one line for it.
const LONGEST_NAME: usize = 96;

/// The name of a layer while its arguments are put in.
#[derive(Debug)]
pub struct Name {
    text: String,
    is_open: bool,
}

impl Name {
    /// The name of the function alone.
    pub fn new(function: &str) -> Self {
        Self {
            text: function.to_owned(),
            is_open: false,
        }
    }

    /// Adds what one argument shows.
    #[must_use = "this returns the longer name"]
    pub fn with(mut self, words: Vec<String>) -> Self {
        for word in words {
            self.text.push_str(if self.is_open { ", " } else { "(" });
            self.text.push_str(&word);
            self.is_open = true;
        }
        self
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        let Name { mut text, is_open } = name;
        let close = if is_open { ")" } else { "" };
        if text.chars().count() + close.len() > LONGEST_NAME {
            text = text
                .chars()
                .take(LONGEST_NAME - 1 - close.len())
                .chain(['…'])
                .collect();
        }
        text + close
    }
}

/// An argument of a layer, by reference.
#[derive(Debug)]
pub struct Shown<'a, T: ?Sized>(pub &'a T);

/// The first choice: the argument knows what it shows.
pub trait ShownAsArgument {
    /// The words that stand in the name; none leaves the argument out.
    fn words(&self, parameter: &str) -> Vec<String>;
}

/// The second choice: the argument as its `Display` writes it.
pub trait ShownByDisplay {
    /// The one word that stands in the name.
    fn words(&self, parameter: &str) -> Vec<String>;
}

/// The last choice: the argument is left out.
pub trait Nothing {
    /// No words.
    fn words(&self, parameter: &str) -> Vec<String>;
}

impl<T: Argument + ?Sized> ShownAsArgument for &&Shown<'_, T> {
    fn words(&self, parameter: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.0.show(parameter, &mut words);
        words
    }
}

impl<T: fmt::Display + ?Sized> ShownByDisplay for &Shown<'_, T> {
    fn words(&self, _: &str) -> Vec<String> {
        vec![self.0.to_string()]
    }
}

impl<T: ?Sized> Nothing for Shown<'_, T> {
    fn words(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Arguments that are more or less than one word: lists, options, switches.
pub trait Argument {
    /// Adds the words that stand in the name.
    fn show(&self, parameter: &str, words: &mut Vec<String>);
}

/// A switch shows the name of its parameter when it is on.
impl Argument for bool {
    fn show(&self, parameter: &str, words: &mut Vec<String>) {
        if *self {
            words.push(parameter.to_owned());
        }
    }
}

macro_rules! by_display {
    ($($type:ty)*) => {$(
        impl Argument for $type {
            fn show(&self, _: &str, words: &mut Vec<String>) {
                words.push(self.to_string());
            }
        }
    )*};
}
by_display!(str String char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);

macro_rules! by_path {
    ($($type:ty)*) => {$(
        impl Argument for $type {
            fn show(&self, _: &str, words: &mut Vec<String>) {
                words.push(self.display().to_string());
            }
        }
    )*};
}
by_path!(Path PathBuf);

impl<T: Argument> Argument for [T] {
    fn show(&self, parameter: &str, words: &mut Vec<String>) {
        for item in self {
            item.show(parameter, words);
        }
    }
}

impl<T: Argument, const LENGTH: usize> Argument for [T; LENGTH] {
    fn show(&self, parameter: &str, words: &mut Vec<String>) {
        self[..].show(parameter, words);
    }
}

impl<T: Argument> Argument for Vec<T> {
    fn show(&self, parameter: &str, words: &mut Vec<String>) {
        self[..].show(parameter, words);
    }
}

impl<T: Argument> Argument for Option<T> {
    fn show(&self, parameter: &str, words: &mut Vec<String>) {
        if let Some(value) = self {
            value.show(parameter, words);
        }
    }
}

macro_rules! by_target {
    ($($type:ty)*) => {$(
        impl<T: Argument + ?Sized> Argument for $type {
            fn show(&self, parameter: &str, words: &mut Vec<String>) {
                (**self).show(parameter, words);
            }
        }
    )*};
}
by_target!(&T &mut T Box<T> Rc<T> Arc<T>);

impl<T: Argument + ToOwned + ?Sized> Argument for std::borrow::Cow<'_, T> {
    fn show(&self, parameter: &str, words: &mut Vec<String>) {
        (**self).show(parameter, words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_give_their_items_and_switches_their_name() {
        let name = Name::new("apt")
            .with((&&&Shown(&["git", "curl"])).words("packages"))
            .with((&&&Shown(&Some(String::from("x")))).words("suite"))
            .with((&&&Shown(&None::<u8>)).words("level"))
            .with((&&&Shown(&true)).words("slim"))
            .with((&&&Shown(&false)).words("quiet"));
        assert_eq!(String::from(name), "apt(git, curl, x, slim)");
    }

    #[test]
    #[expect(
        clippy::needless_borrow,
        reason = "the references choose between the traits"
    )]
    fn other_types_are_shown_by_display_or_left_out() {
        struct Opaque;
        let name = Name::new("fetch")
            .with((&&&Shown(&crate::value::Platform::LINUX_ARM)).words("platform"))
            .with((&&&Shown(&Opaque)).words("opaque"))
            .with((&&&Shown(&crate::State::scratch())).words("state"));
        assert_eq!(String::from(name), "fetch(linux/arm/v7)");
        assert_eq!(
            String::from(Name::new("fetch").with((&&&Shown(&Opaque)).words(""))),
            "fetch"
        );
    }

    #[test]
    fn long_names_are_cut() {
        let name = Name::new("apt").with(vec!["é".repeat(200)]);
        let name = String::from(name);
        assert_eq!(name.chars().count(), LONGEST_NAME);
        assert!(name.ends_with("é…)"), "{name}");
    }
}
