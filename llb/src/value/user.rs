//! Owners of files: numeric ids, or names that BuildKit looks up in a root file system.

use std::borrow::Cow;

/// A user or a group of a file action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserOpt {
    /// A numeric id.
    Id(u32),
    /// A name, looked up in `/etc/passwd` or `/etc/group` of the file system the action works on.
    Name(Cow<'static, str>),
}

impl UserOpt {
    /// Reads one part of `user:group` as BuildKit's client does.
    ///
    /// `root` and the empty text are id 0. A decimal number that fits a signed 32-bit integer, with or without a sign,
    /// is an id, negative ones wrapping around; anything else is a name, also a number that does not fit.
    ///
    /// ```
    /// use llb::value::UserOpt;
    ///
    /// assert_eq!(UserOpt::parse("1000"), UserOpt::Id(1000));
    /// assert_eq!(UserOpt::parse("bob"), UserOpt::Name("bob".into()));
    /// ```
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "root" => Self::Id(0),
            text => match text.parse::<i32>() {
                Ok(id) => Self::Id(id.cast_unsigned()),
                Err(_) => Self::Name(Cow::Owned(text.to_owned())),
            },
        }
    }
}

impl From<u32> for UserOpt {
    fn from(id: u32) -> Self {
        Self::Id(id)
    }
}

/// The owner a file action gives to what it makes.
///
/// The default names neither user nor group. That is not the same as no owner at all: an op with an empty `Owner` has
/// an empty message where an op without one has nothing, so their digests differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The user; `None` leaves it to BuildKit.
    pub user: Option<UserOpt>,
    /// The group; `None` leaves it to BuildKit.
    pub group: Option<UserOpt>,
}

impl Owner {
    /// An owner of numeric user and group id.
    #[must_use]
    pub const fn ids(user: u32, group: u32) -> Self {
        Self {
            user: Some(UserOpt::Id(user)),
            group: Some(UserOpt::Id(group)),
        }
    }

    /// Reads `user` or `user:group`, each an id or a name; only the first colon splits.
    ///
    /// Never fails: what is no id is a name. See [`UserOpt::parse`].
    ///
    /// ```
    /// use llb::value::{Owner, UserOpt};
    ///
    /// let owner = Owner::parse("bob:100");
    /// assert_eq!(owner.user, Some(UserOpt::Name("bob".into())));
    /// assert_eq!(owner.group, Some(UserOpt::Id(100)));
    /// ```
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((user, group)) => Self {
                user: Some(UserOpt::parse(user)),
                group: Some(UserOpt::parse(group)),
            },
            None => Self {
                user: Some(UserOpt::parse(text)),
                group: None,
            },
        }
    }
}

impl From<&str> for Owner {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl From<(u32, u32)> for Owner {
    fn from((user, group): (u32, u32)) -> Self {
        Self::ids(user, group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &'static str) -> UserOpt {
        UserOpt::Name(Cow::Borrowed(text))
    }

    #[test]
    fn owners_are_read_as_go_reads_them() {
        use UserOpt::Id;
        let cases = [
            ("007:+5", Id(7), Some(Id(5))),
            ("-1:4294967295", Id(u32::MAX), Some(name("4294967295"))),
            (":", Id(0), Some(Id(0))),
            ("", Id(0), None),
            ("a:b:c", name("a"), Some(name("b:c"))),
            (
                "2147483647:2147483648",
                Id(2_147_483_647),
                Some(name("2147483648")),
            ),
            ("bob:staff", name("bob"), Some(name("staff"))),
            ("root", Id(0), None),
            ("bob", name("bob"), None),
            ("+:-", name("+"), Some(name("-"))),
            (" 1", name(" 1"), None),
        ];
        for (text, user, group) in cases {
            let expected = Owner {
                user: Some(user),
                group,
            };
            assert_eq!(Owner::parse(text), expected, "{text:?}");
        }
    }
}
