//! What is above and below what in a CodeSystem (R4 codesystem.html#hierarchy).

use std::collections::{BTreeMap, BTreeSet};

use salus_fhir::json::Value;

/// The codes of a system, each with those right above and right below it.
#[derive(Default)]
pub(super) struct Hierarchy {
    parents: BTreeMap<String, Vec<String>>,
    children: BTreeMap<String, Vec<String>>,
}

impl Hierarchy {
    /// Of all concepts of a CodeSystem.
    pub fn of(system: &Value<'_>) -> Self {
        let mut hierarchy = Self::default();
        hierarchy.add(system, None);
        for (code, parents) in &hierarchy.parents {
            for parent in parents {
                hierarchy.children.entry(parent.clone()).or_default().push(code.clone());
            }
        }
        hierarchy
    }

    /// All codes.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.parents.keys().map(String::as_str)
    }

    /// Whether the system has the code.
    pub fn contains(&self, code: &str) -> bool {
        self.parents.contains_key(code)
    }

    /// Adds the concepts below `at`: by nesting, and by the property `parent` (R4 codesystem.html#hierarchy).
    fn add(&mut self, at: &Value<'_>, parent: Option<&str>) {
        for concept in at.items("concept") {
            let Some(code) = concept.get_str("code") else { continue };
            let named = concept.items("property").iter().filter(|one| one.get_str("code") == Some("parent"));
            let named = named.filter_map(|one| one.get_str("valueCode"));
            let parents = self.parents.entry(code.to_owned()).or_default();
            parents.extend(parent.into_iter().chain(named).map(str::to_owned));
            self.add(concept, Some(code));
        }
    }

    /// A code and all above it.
    pub fn ancestors(&self, code: &str) -> BTreeSet<String> {
        reached(&self.parents, code)
    }

    /// A code and all below it.
    pub fn descendants(&self, code: &str) -> BTreeSet<String> {
        reached(&self.children, code)
    }
}

/// `from`, and all that is reached from it, circles and all.
fn reached(steps: &BTreeMap<String, Vec<String>>, from: &str) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(code) = open.pop() {
        if found.insert(code.to_owned()) {
            open.extend(steps.get(code).into_iter().flatten().map(String::as_str));
        }
    }
    found
}
