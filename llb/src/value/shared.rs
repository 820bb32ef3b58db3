//! Values that many have in common, such as the run contexts of states.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A type with a value that most have, such as the run context of scratch.
pub(crate) trait Usual: Clone + 'static {
    fn usual() -> &'static Self;
}

/// A value that clones share until one of them changes it. Nothing is counted for the usual one.
pub(crate) struct Shared<T>(Option<Arc<T>>);

impl<T: Usual> Shared<T> {
    /// The usual value.
    pub(crate) const USUAL: Self = Self(None);

    /// The value, to change it for this clone alone.
    pub(crate) fn make_mut(&mut self) -> &mut T {
        let value = self.0.get_or_insert_with(|| Arc::new(T::usual().clone()));
        Arc::make_mut(value)
    }

    /// Whether one is a clone of the other, and neither has been changed since.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(&raw const **self, &raw const **other)
    }
}

impl<T: Usual> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::usual(),
        }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Some(Arc::new(value)))
    }
}

impl<T: Usual + PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}

impl<T: Usual + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}
