//! Search: parsed parameters become [`Condition`]s, conditions become one statement that carries the
//! access predicate.
//!
//! [`query`] reads the parameters of a request, [`known`] says which there are, [`context`] says where it looks, [`compile`] turns each parameter into
//! a condition and a place to start from, with a module for each type of parameter and [`merge`] where there are several
//! types. [`terminology`] writes out sets of codes before that. [`intervals`] and [`bounds`] say which stretches of an
//! index dates and numbers are found in. [`plan`] picks the start, [`statement`] and [`count`](mod@count) write the SQL, [`page`] runs it, [`include`]
//! fetches what the matches point at and what points at them.

mod bounds;
mod chain;
pub(crate) mod compile;
mod composite;
mod condition;
mod context;
mod count;
mod filter;
mod include;
mod intervals;
mod known;
mod lastn;
mod merge;
mod meta;
mod near;
mod page;
mod plan;
mod query;
mod range;
mod reference;
mod sort;
mod start;
mod statement;
mod terminology;
mod text;
mod text_test;
mod token;
mod words;

pub(crate) use condition::{Condition, write_range};
pub use context::{CompartmentOf, SearchContext};
pub use lastn::Dated;
pub use meta::MetaList;
pub use page::{Entry, EntryMode, Page};
pub(crate) use query::expect_few;
pub use query::{Ignored, Include, SearchQuery, Total};
pub use sort::{Cursor, SortKey};
pub(crate) use terminology::FilterSets;
