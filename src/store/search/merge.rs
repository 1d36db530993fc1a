//! What one parameter asks of resources of several types, as one clause.
//!
//! Facts and index entries of different types have different keys, so that for most conditions "any of the keys"
//! says the same of a row as "the key of its type". Where it does not, each type is asked by name.

use salus_fhir::Key;

use super::condition::Condition;
use super::start::{Clause, Start};

/// One clause that says of a row what the clause of its type says.
pub(super) fn merge(types: &[String], clauses: Vec<Clause>) -> Clause {
    let rank = clauses.iter().map(|clause| clause.rank).max().unwrap_or(u8::MAX);
    let implied = clauses.iter().all(|clause| clause.implied);
    let (conditions, starts): (Vec<_>, Vec<_>) = clauses.into_iter().map(|one| (one.condition, one.start)).unzip();
    let start = starts.into_iter().collect::<Option<Vec<_>>>().map(merge_starts);
    Clause { condition: merge_conditions(types, conditions), start, rank, implied }
}

fn merge_conditions(types: &[String], mut conditions: Vec<Condition>) -> Condition {
    if conditions.windows(2).all(|two| two[0] == two[1]) {
        return conditions.pop().unwrap_or(Condition::Nothing);
    }
    if let Some(facts) = all(&conditions, |one| match one {
        Condition::AnyFact(facts) => Some(facts.as_slice()),
        _ => None,
    }) {
        return Condition::AnyFact(facts.concat());
    }
    if let Some(rows) = all(&conditions, |one| match one {
        Condition::Rows(rows) => Some(rows.as_slice()),
        _ => None,
    }) {
        return Condition::Rows(rows.concat());
    }
    if let Some(negated) = all(&conditions, |one| match one {
        Condition::Not(not) => Some((**not).clone()),
        _ => None,
    }) {
        return Condition::Not(Box::new(merge_conditions(types, negated)));
    }
    // Entries of one type's key are never those of another's row.
    if conditions.iter().all(|one| matches!(one, Condition::Range { .. } | Condition::Text { .. })) {
        return Condition::Any(conditions);
    }
    let of_type =
        |(name, condition): (&String, Condition)| Condition::All(vec![Condition::OfType(name.clone()), condition]);
    Condition::Any(types.iter().zip(conditions).map(of_type).collect())
}

fn all<'c, T>(conditions: &'c [Condition], is: impl Fn(&'c Condition) -> Option<T>) -> Option<Vec<T>> {
    conditions.iter().map(is).collect()
}

/// Any of the starts; as one walk of the same kind where that is possible.
pub(super) fn merge_starts(starts: Vec<Start>) -> Start {
    let mut all: Vec<Start> = Vec::new();
    for start in starts {
        match (all.last_mut(), start) {
            (Some(Start::Rows(rows)), Start::Rows(more)) => rows.extend::<Vec<Key>>(more),
            (Some(Start::Keys(keys)), Start::Keys(more)) => keys.extend(more),
            (Some(Start::Updated { types, test }), Start::Updated { types: more, test: same }) if *test == same => {
                types.extend(more);
            }
            (_, start) => all.push(start),
        }
    }
    Start::any(all)
}
