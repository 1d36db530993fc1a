//! The functions, by name.
//!
//! Source: FHIRPath N1, section 5; 2.0.0 for boundaries, `sort` and string functions added since; R4
//! fhirpath.html#functions.

mod collections;
mod conversion;
mod fhir;
mod math;
mod strings;

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::ast::Call;
use super::error::FhirPathError;
use super::evaluate::{Items, Outcome, Run, Scope, only};
use super::item::System;

pub(super) use strings::pattern;

/// Declares the functions: variant, name, fewest and most arguments, and what runs it.
macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal $run:path;)*) => {
        /// A function of FHIRPath.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::fhirpath) enum Function { $($variant),* }

        impl Function {
            /// The function called `name`.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// The fewest and the most arguments it takes.
            pub fn arity(self) -> (usize, usize) {
                match self { $(Self::$variant => ($least, $most)),* }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        /// Runs a call over its input.
        pub(super) fn call<'a>(
            run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>,
        ) -> Outcome<'a> {
            run.charge(1 + input.len())?;
            match call.function { $(Function::$variant => $run(run, call, input, scope)),* }
        }
    };
}

functions! {
    Empty "empty" 0 0 collections::empty;
    Exists "exists" 0 1 collections::exists;
    All "all" 1 1 collections::all;
    AllTrue "allTrue" 0 0 collections::all_booleans;
    AnyTrue "anyTrue" 0 0 collections::all_booleans;
    AllFalse "allFalse" 0 0 collections::all_booleans;
    AnyFalse "anyFalse" 0 0 collections::all_booleans;
    SubsetOf "subsetOf" 1 1 collections::subset_of;
    SupersetOf "supersetOf" 1 1 collections::superset_of;
    Count "count" 0 0 collections::count;
    Distinct "distinct" 0 0 collections::distinct;
    IsDistinct "isDistinct" 0 0 collections::is_distinct;
    Where "where" 1 1 collections::filter;
    Select "select" 1 1 collections::select;
    Repeat "repeat" 1 1 collections::repeat;
    OfType "ofType" 1 1 conversion::of_type;
    Single "single" 0 0 collections::single_item;
    First "first" 0 0 collections::first;
    Last "last" 0 0 collections::last;
    Tail "tail" 0 0 collections::tail;
    Skip "skip" 1 1 collections::skip;
    Take "take" 1 1 collections::take;
    Intersect "intersect" 1 1 collections::intersect;
    Exclude "exclude" 1 1 collections::exclude;
    Union "union" 1 1 collections::union;
    Combine "combine" 1 1 collections::combine;
    Aggregate "aggregate" 1 2 collections::aggregate;
    Sort "sort" 0 16 collections::sort;
    Iif "iif" 2 3 collections::iif;
    Not "not" 0 0 collections::not;
    Children "children" 0 0 collections::children;
    Descendants "descendants" 0 0 collections::descendants;
    Trace "trace" 1 2 collections::trace;
    Is "is" 1 1 conversion::is;
    As "as" 1 1 conversion::cast;
    Type "type" 0 0 conversion::type_of;
    ToBoolean "toBoolean" 0 0 conversion::convert;
    ToInteger "toInteger" 0 0 conversion::convert;
    ToDecimal "toDecimal" 0 0 conversion::convert;
    ToString "toString" 0 0 conversion::convert;
    ToDate "toDate" 0 0 conversion::convert;
    ToDateTime "toDateTime" 0 0 conversion::convert;
    ToTime "toTime" 0 0 conversion::convert;
    ToQuantity "toQuantity" 0 1 conversion::convert;
    ConvertsToBoolean "convertsToBoolean" 0 0 conversion::converts;
    ConvertsToInteger "convertsToInteger" 0 0 conversion::converts;
    ConvertsToDecimal "convertsToDecimal" 0 0 conversion::converts;
    ConvertsToString "convertsToString" 0 0 conversion::converts;
    ConvertsToDate "convertsToDate" 0 0 conversion::converts;
    ConvertsToDateTime "convertsToDateTime" 0 0 conversion::converts;
    ConvertsToTime "convertsToTime" 0 0 conversion::converts;
    ConvertsToQuantity "convertsToQuantity" 0 1 conversion::converts;
    IndexOf "indexOf" 1 1 strings::index_of;
    LastIndexOf "lastIndexOf" 1 1 strings::index_of;
    Substring "substring" 1 2 strings::substring;
    StartsWith "startsWith" 1 1 strings::test;
    EndsWith "endsWith" 1 1 strings::test;
    Contains "contains" 1 1 strings::test;
    Matches "matches" 1 1 strings::matches;
    MatchesFull "matchesFull" 1 1 strings::matches;
    Replace "replace" 2 2 strings::replace;
    ReplaceMatches "replaceMatches" 2 2 strings::replace_matches;
    Upper "upper" 0 0 strings::map;
    Lower "lower" 0 0 strings::map;
    Trim "trim" 0 0 strings::map;
    Length "length" 0 0 strings::length;
    ToChars "toChars" 0 0 strings::to_chars;
    Split "split" 1 1 strings::split;
    Join "join" 0 1 strings::join;
    Encode "encode" 1 1 strings::encode;
    Decode "decode" 1 1 strings::decode;
    Escape "escape" 1 1 strings::escape;
    Unescape "unescape" 1 1 strings::unescape;
    Abs "abs" 0 0 math::unary;
    Ceiling "ceiling" 0 0 math::unary;
    Floor "floor" 0 0 math::unary;
    Truncate "truncate" 0 0 math::unary;
    Exp "exp" 0 0 math::unary;
    Ln "ln" 0 0 math::unary;
    Sqrt "sqrt" 0 0 math::unary;
    Log "log" 1 1 math::binary;
    Power "power" 1 1 math::binary;
    Round "round" 0 1 math::round;
    Precision "precision" 0 0 math::precision;
    LowBoundary "lowBoundary" 0 1 math::boundary;
    HighBoundary "highBoundary" 0 1 math::boundary;
    Comparable "comparable" 1 1 math::comparable;
    Now "now" 0 0 conversion::clock;
    Today "today" 0 0 conversion::clock;
    TimeOfDay "timeOfDay" 0 0 conversion::clock;
    Extension "extension" 1 1 fhir::extension;
    HasValue "hasValue" 0 0 fhir::has_value;
    GetValue "getValue" 0 0 fhir::get_value;
    Resolve "resolve" 0 0 fhir::resolve;
    MemberOf "memberOf" 1 1 fhir::member_of;
    ConformsTo "conformsTo" 1 1 fhir::conforms_to;
    HtmlChecks "htmlChecks" 0 0 fhir::html_checks;
}

impl Function {
    /// Whether its argument is a type.
    pub fn takes_type(self) -> bool {
        matches!(self, Self::OfType | Self::Is | Self::As)
    }

    /// Whether its first argument is a regular expression.
    pub fn takes_pattern(self) -> bool {
        matches!(self, Self::Matches | Self::MatchesFull | Self::ReplaceMatches)
    }

    /// Whether its result depends on the order of its input.
    pub fn needs_order(self) -> bool {
        matches!(self, Self::First | Self::Last | Self::Tail | Self::Skip | Self::Take)
    }

    /// Whether its result has no order of its own.
    pub fn is_unordered(self) -> bool {
        matches!(self, Self::Children | Self::Descendants)
    }
}

/// The argument number `index`, a collection.
fn argument<'a>(run: &mut Run<'a, '_>, call: &'a Call, index: usize, scope: Scope<'a, '_>) -> Outcome<'a> {
    call.arguments.get(index).map_or(Ok(Vec::new()), |argument| run.eval(argument, scope))
}

/// The only value of a collection; None where it is empty.
fn value<'a>(items: &Items<'a>, function: Function) -> Result<Option<System<'a>>, FhirPathError> {
    match only(items, function.name())? {
        None => Ok(None),
        Some(item) => item.system().map(Some).ok_or_else(|| unfit(function, &item.type_info().name)),
    }
}

fn unfit(function: Function, type_name: &str) -> FhirPathError {
    FhirPathError::execution(format!("{}() is not defined for {type_name}", function.name()))
}

/// The only string of a collection; None where it is empty.
fn string<'a>(items: &Items<'a>, function: Function) -> Result<Option<Cow<'a, str>>, FhirPathError> {
    match value(items, function)? {
        None => Ok(None),
        Some(System::String(text)) => Ok(Some(text)),
        Some(other) => Err(unfit(function, other.type_name())),
    }
}

/// The argument number `index`, a string.
fn string_argument<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    index: usize,
    scope: Scope<'a, '_>,
) -> Result<Option<Cow<'a, str>>, FhirPathError> {
    string(&argument(run, call, index, scope)?, call.function)
}

/// The argument number `index`, an integer.
fn integer_argument<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    index: usize,
    scope: Scope<'a, '_>,
) -> Result<Option<i64>, FhirPathError> {
    match value(&argument(run, call, index, scope)?, call.function)? {
        None => Ok(None),
        Some(System::Integer(number)) => Ok(Some(number)),
        Some(other) => Err(unfit(call.function, other.type_name())),
    }
}

/// A number as a decimal.
fn decimal(items: &Items<'_>, function: Function) -> Result<Option<Decimal>, FhirPathError> {
    match value(items, function)? {
        None => Ok(None),
        Some(value) => value.decimal().map(Some).ok_or_else(|| unfit(function, value.type_name())),
    }
}
