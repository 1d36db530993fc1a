//! Search: parsed parameters become [`Condition`]s, conditions become one statement that carries the
//! access predicate.
//!
//! [`query`] reads the parameters of a request, [`compile`] (with [`chain`] and [`composite`]) turns each into
//! a condition and a place to start from, [`statement`] picks the start and writes the SQL, [`page`] runs it, [`include`] fetches
//! what the matches point at and what points at them.

mod bounds;
mod chain;
pub(crate) mod compile;
mod composite;
mod condition;
mod context;
mod count;
mod filter;
mod include;
mod merge;
mod near;
mod page;
mod plan;
mod query;
mod sort;
mod start;
mod statement;
mod words;

pub(crate) use condition::{Condition, write_range};
pub use context::{CompartmentOf, SearchContext};
pub use page::{Entry, EntryMode, Page};
pub(crate) use query::expect_few;
pub use query::{Ignored, Include, SearchQuery, Total};
pub use sort::{Cursor, SortKey};
