//! Changes, and how they become rows.
//!
//! [`change`] says what is asked, [`look`] what is there; [`batch`] gathers the rows of changes and [`columns`]
//! lays them out, so that one statement writes them all; [`commit`] checks and writes a set of changes with its
//! audit records in one transaction; [`group`] joins those of many requests in one; [`transaction`] resolves a
//! transaction Bundle into such a set, [`references`] what its resources point at, and [`patch`] makes the next
//! version of what is patched; [`rewrite`] puts the facts of versions right that are there.

mod batch;
mod change;
mod columns;
mod commit;
mod conditional;
mod group;
mod look;
mod patch;
mod references;
mod rewrite;
pub mod transaction;

pub use change::{Change, Content, Method, Precondition, Written};
pub(crate) use group::Groups;
pub(crate) use look::{Current, Entries, WITH_ENTRIES, entries};
pub use patch::Revise;
pub(crate) use rewrite::{Rewrite, Strings};
