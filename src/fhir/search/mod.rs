//! What a resource offers to search, and what a search asks for.
//!
//! [`ParameterTable`] compiles SearchParameters to walkers and [extracts](ParameterTable::extract)
//! [`SearchValue`]s from resources; [`query`] parses names and values of search URLs, and says with
//! [`query::RangeCondition`] when a stored interval matches.
//!
//! Source: R4 search.html; searchparameter.html.

mod compile;
mod convert;
mod error;
mod expression;
mod json_path;
mod key;
mod program;
pub mod query;
mod table;
mod value;

pub use error::SearchError;
pub use json_path::Part;
pub use key::Key;
pub use table::{ParameterTable, Progress, SearchParameter};
pub use value::{NumericValue, SearchValue};

/// The type of a search parameter (R4 valueset-search-param-type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum ParameterType {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

impl ParameterType {
    /// Its code in `search-param-type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::String => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Composite => "composite",
            Self::Quantity => "quantity",
            Self::Uri => "uri",
            Self::Special => "special",
        }
    }
}
