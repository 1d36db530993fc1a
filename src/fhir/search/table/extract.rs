//! Running the programs of a resource type over a resource.
//!
//! Most parameters of a type find nothing in a given resource. So the paths are entered from the
//! resource's own members: one look-up a member says which paths begin there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SearchParameter;
use crate::json::Value;
use crate::search::SearchValue;
use crate::search::convert::SPECIAL_VALUES;
use crate::search::program::{Component, Composite, Leaf, Program, Step, enter, walk};

/// Where a path is: the positions of its parameter and of its leaf there.
type Start = (u16, u16);

/// Which paths begin at which property of a resource type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Entrances {
    /// Sorted by property.
    by_property: Vec<(Box<str>, Vec<Start>)>,
    /// Positions of the parameters that look at the resource as a whole.
    whole: Vec<u16>,
}

impl Entrances {
    pub(super) fn of(parameters: &[SearchParameter]) -> Self {
        let mut by_property = BTreeMap::<&str, Vec<Start>>::new();
        let mut whole = Vec::new();
        for (position, parameter) in parameters.iter().enumerate() {
            let properties = match &parameter.program {
                Program::Values(leaves) => {
                    leaves.iter().map(|leaf| leaf.path.first().and_then(Step::property)).collect()
                }
                Program::Test(_) | Program::Composite(_) => None,
                Program::Stored => Some(Vec::new()),
            };
            match properties {
                Some(properties) => properties.into_iter().enumerate().for_each(|(leaf, property)| {
                    by_property.entry(property).or_default().push((position as u16, leaf as u16));
                }),
                None => whole.push(position as u16),
            }
        }
        let by_property = by_property.into_iter().map(|(name, starts)| (name.into(), starts)).collect();
        Self { by_property, whole }
    }

    /// Calls `emit` with each value that each of `parameters` finds.
    pub(super) fn extract<'r>(
        &'r self,
        parameters: &'r [SearchParameter],
        base: &str,
        resource: &'r Value<'_>,
        emit: &mut impl FnMut(&'r SearchParameter, SearchValue<'r>),
    ) {
        let Some(members) = resource.as_object() else {
            return;
        };
        for (name, member) in members.iter() {
            for (position, leaf) in self.starting_at(name) {
                let parameter = &parameters[usize::from(*position)];
                let Program::Values(leaves) = &parameter.program else {
                    continue;
                };
                let leaf = &leaves[usize::from(*leaf)];
                let mut found = |value| leaf.conversion.convert(value, base, &mut |value| emit(parameter, value));
                if let Some((first, rest)) = leaf.path.split_first() {
                    enter(first, rest, member, resource, &mut found);
                }
            }
        }
        for position in &self.whole {
            let parameter = &parameters[usize::from(*position)];
            parameter.extract_whole(base, resource, &mut |value| emit(parameter, value));
        }
    }

    fn starting_at(&self, property: &str) -> &[Start] {
        match self.by_property.binary_search_by(|(name, _)| name.as_ref().cmp(property)) {
            Ok(at) => &self.by_property[at].1,
            Err(_) => &[],
        }
    }
}

impl SearchParameter {
    /// As [`Entrances::extract`], of one parameter that looks at the resource as a whole.
    fn extract_whole<'r>(&'r self, base: &str, resource: &'r Value<'_>, emit: &mut dyn FnMut(SearchValue<'r>)) {
        match &self.program {
            Program::Values(leaves) => read(leaves, base, resource, resource, emit),
            Program::Test(condition) => {
                if let Some(holds) = condition.holds(resource, resource) {
                    let code = if holds { "true" } else { "false" };
                    emit(SearchValue::Token { system: Some(SPECIAL_VALUES), code: Some(code), text: None });
                }
            }
            Program::Composite(composites) => {
                let mut left = MOST_COMBINATIONS;
                for Composite { base: path, components } in composites {
                    walk(path, resource, resource, &mut |at| combine(components, base, at, resource, &mut left, emit));
                }
            }
            Program::Stored => {}
        }
    }
}

/// Converts all that the leaves find from `start`.
fn read<'r>(
    leaves: &'r [Leaf],
    base: &str,
    start: &'r Value<'_>,
    resource: &'r Value<'_>,
    emit: &mut dyn FnMut(SearchValue<'r>),
) {
    for leaf in leaves {
        walk(&leaf.path, start, resource, &mut |found| leaf.conversion.convert(found, base, emit));
    }
}

/// Most combinations of one resource: a composite whose components repeat in one element, each by itself, has as many
/// as the product of their numbers.
const MOST_COMBINATIONS: usize = 10_000;

/// Emits every combination of one value from each component, as many as are `left`.
fn combine<'r>(
    components: &'r [Component],
    base: &str,
    start: &'r Value<'_>,
    resource: &'r Value<'_>,
    left: &mut usize,
    emit: &mut dyn FnMut(SearchValue<'r>),
) {
    let mut combinations = Vec::new();
    // From the last to the first: a value of a measurement is absent more often than its code.
    for component in components.iter().rev() {
        let mut values = Vec::new();
        let start = if component.from_resource { resource } else { start };
        read(&component.leaves, base, start, resource, &mut |value| values.push(value));
        if values.is_empty() {
            return;
        }
        combinations.push(values);
    }
    let mut chosen = vec![0; combinations.len()];
    while *left > 0 {
        *left -= 1;
        let values = combinations.iter().zip(&chosen).rev().map(|(values, at)| values[*at].clone());
        emit(SearchValue::Composite(values.collect()));
        // Counts up, each digit in the base of its component's number of values.
        let Some(place) = (0..chosen.len()).find(|place| chosen[*place] + 1 < combinations[*place].len()) else {
            return;
        };
        chosen[..place].fill(0);
        chosen[place] += 1;
    }
}
