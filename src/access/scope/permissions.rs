//! The five SMART permissions and sets of them.

use std::fmt;

/// One SMART v2 permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Permission {
    /// `c`: type-level create.
    Create,
    /// `r`: instance-level read, vread and history.
    Read,
    /// `u`: instance-level update (also where it creates) and patch.
    Update,
    /// `d`: instance-level delete.
    Delete,
    /// `s`: type- and system-level search and history.
    Search,
}

impl Permission {
    /// All five, in the order of `cruds`.
    pub const ALL: [Self; 5] = [Self::Create, Self::Read, Self::Update, Self::Delete, Self::Search];

    /// Its letter in a scope: `c`, `r`, `u`, `d` or `s`.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Read => "r",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Search => "s",
        }
    }

    /// Whether it changes data.
    pub fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }
}

/// A set of [`Permission`]s. Its [`Display`](fmt::Display) is the letters in order: `rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// `rs`, v1 `.read`.
    pub const READ: Self = Self::of(&[Permission::Read, Permission::Search]);
    /// `cud`, v1 `.write`.
    pub const WRITE: Self = Self::of(&[Permission::Create, Permission::Update, Permission::Delete]);
    /// `cruds`, v1 `.*`.
    pub const ALL: Self = Self::of(&Permission::ALL);

    /// The set of `permissions`.
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Whether `permission` is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both sets.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of this set is in `other`.
    pub fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The permissions in the order of `cruds`.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }

    /// The v1 name of exactly this set: `read`, `write` or `*`.
    pub fn v1_name(self) -> Option<&'static str> {
        match self {
            Self::READ => Some("read"),
            Self::WRITE => Some("write"),
            Self::ALL => Some("*"),
            _ => None,
        }
    }

    /// The set that a v1 name stands for.
    pub fn from_v1_name(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Self::READ),
            "write" => Some(Self::WRITE),
            "*" => Some(Self::ALL),
            _ => None,
        }
    }

    /// Reads v2 letters: a subset of `cruds`, not empty, each at most once and in this order.
    pub fn from_letters(letters: &str) -> Option<Self> {
        let mut rest = Permission::ALL.into_iter();
        let mut set = Self::NONE;
        for letter in letters.chars() {
            let permission = rest.find(|permission| permission.letter().starts_with(letter))?;
            set.0 |= 1 << permission as u8;
        }
        (!set.is_empty()).then_some(set)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|permission| f.write_str(permission.letter()))
    }
}
