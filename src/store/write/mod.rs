//! Changes, and how they become rows.
//!
//! [`change`] says what is asked; [`batch`] lays the rows of many changes out as columns, so that one
//! statement writes them all; [`commit`] locks, checks and writes a set of changes with its audit
//! records in one transaction; [`group`] joins the creates of many requests in one; [`transaction`]
//! resolves a transaction Bundle into such a set, and [`references`] what its resources point at.

mod batch;
mod change;
mod commit;
mod conditional;
mod group;
mod references;
pub mod transaction;

pub use change::{Change, Content, Method, Precondition, Written};
pub(crate) use group::Creations;
