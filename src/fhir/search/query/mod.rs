//! The vocabulary of search URLs: names, modifiers, prefixes, values, and when a value matches.
//!
//! Source: R4 search.html.

mod filter;
mod name;
mod range;
mod split;
mod text;
mod values;

pub use filter::{Filter, FilterOperator, FilterStep};
pub use name::{MAX_CHAIN, Modifier, ParameterName};
pub use range::{Comparison, Joint, Operator, Piece, Prefix, RangeCondition, parse_prefixed};
pub use split::{escape, split_components, split_unescaped, split_values, unescape};
pub use text::normalize_string;
pub use values::{
    DateQuery, NumberQuery, OfTypeQuery, QuantityQuery, ReferenceQuery, StringQuery, System, TokenQuery, UriQuery,
};
