//! Which codes a required binding allows.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::json::Value;

/// The expansion of a value set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeSet {
    /// Canonical URL of the value set, without version.
    pub value_set: String,
    /// The code systems its codes come from.
    systems: Vec<String>,
    /// Codes, each with the index of its system; sorted.
    codes: Vec<(String, u16)>,
}

impl CodeSet {
    /// Whether `code` is in it, whatever its system.
    pub fn contains(&self, code: &str) -> bool {
        self.position(code).is_some()
    }

    /// Whether `code` of `system` is in it.
    pub fn contains_coding(&self, system: &str, code: &str) -> bool {
        let start = self.codes.partition_point(|(present, _)| present.as_str() < code);
        self.codes[start..]
            .iter()
            .take_while(|(present, _)| present == code)
            .any(|(_, index)| self.systems[usize::from(*index)] == system)
    }

    /// The system `code` belongs to, if it is in the set (the first, where several have it).
    pub fn system(&self, code: &str) -> Option<&str> {
        let system = self.codes[self.position(code)?].1;
        self.systems.get(usize::from(system)).map(String::as_str)
    }

    /// All codes, sorted.
    pub fn codes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.codes.iter().map(|(code, _)| code.as_str())
    }

    /// All codes with their systems.
    pub fn codings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.codes.iter().map(|(code, index)| (self.systems[usize::from(*index)].as_str(), code.as_str()))
    }

    fn position(&self, code: &str) -> Option<usize> {
        let start = self.codes.partition_point(|(present, _)| present.as_str() < code);
        self.codes.get(start).filter(|(present, _)| present == code).map(|_| start)
    }

    fn new(value_set: &str, members: BTreeMap<String, Vec<String>>) -> Self {
        let mut set = Self { value_set: value_set.to_owned(), systems: Vec::new(), codes: Vec::new() };
        for (index, (system, codes)) in members.into_iter().enumerate() {
            set.systems.push(system);
            set.codes.extend(codes.into_iter().map(|code| (code, index as u16)));
        }
        set.codes.sort();
        set.codes.dedup();
        set
    }
}

/// The value sets and code systems of the packages, as far as expansion needs them.
#[derive(Default)]
pub(super) struct Terminology {
    /// Codes of the complete code systems, by canonical URL.
    code_systems: HashMap<String, Vec<String>>,
    value_sets: HashMap<String, Vec<Include>>,
}

/// One `ValueSet.compose.include`.
#[derive(Clone)]
struct Include {
    system: Option<String>,
    /// None for all codes of the system.
    codes: Option<Vec<String>>,
    value_sets: Vec<String>,
}

/// Value sets that include each other in a circle, or deeper than this, are not expanded.
const MAX_INCLUDE_DEPTH: usize = 16;

impl Terminology {
    /// Takes a CodeSystem in, if it lists all its codes.
    pub(super) fn add_code_system(&mut self, resource: &Value<'_>) {
        let complete = resource.get_str("content") == Some("complete");
        if let (true, Some(url)) = (complete, resource.get_str("url")) {
            let mut codes = Vec::new();
            collect_codes(resource, &mut codes);
            self.code_systems.insert(url.to_owned(), codes);
        }
    }

    /// Takes a ValueSet in, unless it selects codes by filters or exclusion, which nothing here
    /// evaluates: its list then counts as unknown.
    pub(super) fn add_value_set(&mut self, resource: &Value<'_>) {
        let (Some(url), Some(compose)) = (resource.get_str("url"), resource.get("compose")) else {
            return;
        };
        let includes = compose.items("include");
        let filtered = includes.iter().any(|include| include.get("filter").is_some());
        if filtered || compose.get("exclude").is_some() {
            return;
        }
        self.value_sets.insert(url.to_owned(), includes.iter().map(Include::from_json).collect());
    }

    /// All codes of a value set, or None where they cannot be known from the packages.
    pub(super) fn expand(&self, url: &str) -> Option<CodeSet> {
        Some(CodeSet::new(url, self.members(url, 0)?))
    }

    fn members(&self, url: &str, depth: usize) -> Option<BTreeMap<String, Vec<String>>> {
        if depth > MAX_INCLUDE_DEPTH {
            return None;
        }
        let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for include in self.value_sets.get(url)? {
            for (system, codes) in self.included(include, depth)? {
                members.entry(system).or_default().extend(codes);
            }
        }
        Some(members)
    }

    /// What one include adds: the codes that its system and all its value sets have in common
    /// (R4 valueset.html#compositions).
    fn included(&self, include: &Include, depth: usize) -> Option<BTreeMap<String, Vec<String>>> {
        let mut parts = Vec::new();
        if let Some(system) = &include.system {
            let codes = match &include.codes {
                Some(codes) => codes.clone(),
                None => self.code_systems.get(system)?.clone(),
            };
            parts.push(BTreeMap::from([(system.clone(), codes)]));
        }
        for value_set in &include.value_sets {
            parts.push(self.members(value_set, depth + 1)?);
        }
        let mut parts = parts.into_iter();
        let mut common = parts.next()?;
        for part in parts {
            for (system, codes) in &mut common {
                codes.retain(|code| part.get(system).is_some_and(|other| other.contains(code)));
            }
        }
        Some(common)
    }
}

impl Include {
    fn from_json(include: &Value<'_>) -> Self {
        let code = |concept: &Value<'_>| concept.get_str("code").map(str::to_owned);
        let concepts = include.get("concept").and_then(Value::as_array);
        Self {
            system: include.get_str("system").map(str::to_owned),
            codes: concepts.map(|concepts| concepts.iter().filter_map(code).collect()),
            value_sets: include
                .items("valueSet")
                .iter()
                .filter_map(|url| url.as_str().map(|url| without_version(url).to_owned()))
                .collect(),
        }
    }
}

/// Codes of `concept`, and of the concepts nested in it, at any depth.
fn collect_codes(parent: &Value<'_>, codes: &mut Vec<String>) {
    for concept in parent.items("concept") {
        codes.extend(concept.get_str("code").map(str::to_owned));
        collect_codes(concept, codes);
    }
}

/// A canonical URL without `|version` (R4 references.html#canonical).
pub(super) fn without_version(canonical: &str) -> &str {
    canonical.split_once('|').map_or(canonical, |(url, _)| url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    fn terminology(value_sets: &[&str], code_systems: &[&str]) -> Terminology {
        let mut terminology = Terminology::default();
        for text in value_sets {
            terminology.add_value_set(&parse(text, &Limits::default()).unwrap());
        }
        for text in code_systems {
            terminology.add_code_system(&parse(text, &Limits::default()).unwrap());
        }
        terminology
    }

    const SYSTEM: &str = r#"{"url":"s","content":"complete","concept":[
        {"code":"a","concept":[{"code":"a1","concept":[{"code":"a11"}]}]},{"code":"b"}]}"#;

    #[test]
    fn listed_codes_and_whole_systems_with_nested_concepts() {
        let terminology = terminology(
            &[
                r#"{"url":"v","compose":{"include":[{"system":"s"},{"system":"t","concept":[{"code":"x"},{"code":"b"}]}]}}"#,
            ],
            &[SYSTEM],
        );
        let set = terminology.expand("v").unwrap();
        assert_eq!(set.codes().collect::<Vec<_>>(), ["a", "a1", "a11", "b", "b", "x"]);
        assert_eq!(set.system("a11"), Some("s"));
        assert_eq!(set.system("x"), Some("t"));
        assert_eq!(set.system("y"), None);
        assert!(set.contains_coding("t", "b") && set.contains_coding("s", "b"));
        assert!(!set.contains_coding("s", "x"));
        assert!(set.contains("x") && !set.contains("X"));
    }

    #[test]
    fn included_value_sets_are_intersected_within_one_include() {
        let terminology = terminology(
            &[
                r#"{"url":"v1","compose":{"include":[{"system":"s","concept":[{"code":"a"},{"code":"b"}]}]}}"#,
                r#"{"url":"v2","compose":{"include":[{"system":"s","concept":[{"code":"b"},{"code":"c"}]}]}}"#,
                r#"{"url":"both","compose":{"include":[{"valueSet":["v1|4.0.1","v2"]}]}}"#,
                r#"{"url":"any","compose":{"include":[{"valueSet":["v1"]},{"valueSet":["v2"]}]}}"#,
            ],
            &[],
        );
        assert_eq!(terminology.expand("both").unwrap().codes().collect::<Vec<_>>(), ["b"]);
        assert_eq!(terminology.expand("any").unwrap().codes().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn what_cannot_be_expanded_is_unknown_not_empty() {
        let terminology = terminology(
            &[
                r#"{"url":"no-system","compose":{"include":[{"system":"elsewhere"}]}}"#,
                r#"{"url":"filter","compose":{"include":[{"system":"s","filter":[{"property":"concept","op":"is-a","value":"a"}]}]}}"#,
                r#"{"url":"exclude","compose":{"include":[{"system":"s"}],"exclude":[{"system":"s","concept":[{"code":"a"}]}]}}"#,
                r#"{"url":"circle","compose":{"include":[{"valueSet":["circle"]}]}}"#,
                r#"{"url":"part","compose":{"include":[{"system":"fragment"}]}}"#,
            ],
            &[SYSTEM, r#"{"url":"fragment","content":"fragment","concept":[{"code":"a"}]}"#],
        );
        for url in ["no-system", "filter", "exclude", "circle", "part", "missing"] {
            assert!(terminology.expand(url).is_none(), "{url}");
        }
    }
}
