//! Parameters that find no more than others of their type together: `combo-code` is `code` and
//! `component-code`, `patient` is `subject` where that is a Patient. An index needs no rows of their own.

use super::SearchParameter;
use crate::search::program::{Composite, Condition, Leaf, Program, Step};

/// Fills in [`SearchParameter::parts`] of the parameters of one type.
pub(super) fn find(list: &mut [SearchParameter]) {
    let same: Vec<Option<String>> = list.iter().map(|one| twin(one, list)).collect();
    for (parameter, twin) in list.iter_mut().zip(same) {
        parameter.parts.extend(twin);
    }
    let unions: Vec<Vec<String>> = list.iter().map(|one| union(one, list)).collect();
    for (parameter, parts) in list.iter_mut().zip(unions) {
        parameter.parts.extend(parts);
    }
}

/// A parameter that finds the same elements: one that comes before it, or one that it only narrows to a type
/// of target.
fn twin(parameter: &SearchParameter, list: &[SearchParameter]) -> Option<String> {
    let same = |other: &&SearchParameter| {
        other.kind == parameter.kind
            && other.components == parameter.components
            && match (&other.program, &parameter.program) {
                (Program::Values(theirs), Program::Values(own)) if theirs == own => other.code < parameter.code,
                (Program::Values(theirs), Program::Values(own)) => {
                    own.len() == theirs.len() && own.iter().zip(theirs).all(|(own, theirs)| narrows(own, theirs))
                }
                (Program::Composite(theirs), Program::Composite(own)) => theirs == own && other.code < parameter.code,
                _ => false,
            }
    };
    list.iter().find(same).map(|other| other.code.clone())
}

/// Whether `own` is `theirs` but for a test at its end that the reference is to some type.
fn narrows(own: &Leaf, theirs: &Leaf) -> bool {
    match own.path.split_last() {
        Some((Step::Filter(Condition::RefersTo(_)), path)) => {
            path == theirs.path && own.conversion == theirs.conversion
        }
        _ => false,
    }
}

/// Parameters that each find some of what this one finds, and together all of it; none where there are none.
fn union(parameter: &SearchParameter, list: &[SearchParameter]) -> Vec<String> {
    if !parameter.parts.is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let covered = match &parameter.program {
        Program::Values(own) => cover(own, parameter, list, &mut parts, |program| match program {
            Program::Values(leaves) => Some(leaves.as_slice()),
            _ => None,
        }),
        Program::Composite(own) => cover(own, parameter, list, &mut parts, composites),
        Program::Test(_) | Program::Stored => false,
    };
    if covered { parts } else { Vec::new() }
}

fn composites(program: &Program) -> Option<&[Composite]> {
    match program {
        Program::Composite(composites) => Some(composites),
        _ => None,
    }
}

/// Whether the smaller parameters of the same kind cover `own`; they are added to `parts`.
fn cover<T: PartialEq>(
    own: &[T],
    parameter: &SearchParameter,
    list: &[SearchParameter],
    parts: &mut Vec<String>,
    pieces: impl Fn(&Program) -> Option<&[T]>,
) -> bool {
    let mut covered = vec![false; own.len()];
    for other in list.iter().filter(|other| other.kind == parameter.kind && other.parts.is_empty()) {
        let Some(theirs) = pieces(&other.program).filter(|theirs| !theirs.is_empty() && theirs.len() < own.len())
        else {
            continue;
        };
        let at: Option<Vec<usize>> = theirs.iter().map(|piece| own.iter().position(|known| known == piece)).collect();
        if let Some(at) = at
            && at.iter().any(|&position| !covered[position])
        {
            at.iter().for_each(|&position| covered[position] = true);
            parts.push(other.code.clone());
        }
    }
    !covered.is_empty() && covered.into_iter().all(|one| one)
}
