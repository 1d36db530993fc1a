//! SearchParameters that are stored as resources: what makes one usable, and definitions that know them.

use super::{Definitions, RawSearchParameter};
use crate::json::Value;
use crate::outcome::{Issue, IssueCode};
use crate::search::{ParameterTable, ParameterType, SearchError, SearchParameter};

/// The longest expression, in bytes; the longest of R4 is a sixth of it.
const LONGEST_EXPRESSION: usize = 4096;
/// The longest code.
const LONGEST_CODE: usize = 64;
/// Most parameters beside those of the packages: each is looked for in every resource that is written.
pub const MOST_CUSTOM: usize = 500;
/// Codes by which the server knows whom a resource is about and when it happened, whatever its type: they decide who
/// may see it and where it stands in the index, and that is for FHIR's own definitions to say.
const RESERVED: [&str; 3] = ["patient", "subject", "date"];
/// The type that is not stored with the resources, and is searched by what it has.
const TRAIL: &str = "AuditEvent";

/// A SearchParameter that is stored as a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomParameter {
    /// Id of the resource.
    pub id: String,
    /// What it says.
    pub definition: RawSearchParameter,
}

impl CustomParameter {
    /// Reads a resource that is in use; `None` for one that is not (`status` is not `active`).
    pub fn read(id: &str, resource: &Value<'_>) -> Option<Self> {
        let active = resource.get_str("status") == Some("active");
        let definition = active.then(|| RawSearchParameter::read(resource))??;
        Some(Self { id: id.to_owned(), definition })
    }

    /// The types it is for.
    pub fn types<'d>(&'d self, definitions: &'d Definitions) -> impl Iterator<Item = &'d str> {
        let is_one = |name: &&str| self.definition.base.iter().any(|base| definitions.types().is_a(name, base));
        definitions.resource_types().filter(move |name| *name != TRAIL && is_one(name))
    }
}

impl Definitions {
    /// These definitions with further parameters, in the order of their URLs and ids; also why some of them are not
    /// among them.
    pub fn with_custom(&self, mut custom: Vec<CustomParameter>) -> (Self, Vec<SearchError>) {
        let order = |one: &CustomParameter| (one.definition.url.clone(), one.id.clone());
        custom.sort_by_key(order);
        custom.truncate(MOST_CUSTOM);
        let (mut added, mut refused) = (Vec::new(), Vec::new());
        for one in &custom {
            if let Some(issue) = self.check_names(&one.definition).into_iter().next() {
                let (url, reason) = (one.definition.url.clone(), issue.diagnostics);
                let (base, expression) = (one.definition.base.join(", "), String::new());
                refused.push(SearchError::Expression { url, base, expression, reason });
                continue;
            }
            let known = self.raw_search_parameters.iter().chain(custom.iter().map(|one| &one.definition));
            match ParameterTable::compile_custom(&self.types, one, known) {
                Ok(compiled) => added.extend(compiled.into_iter().filter(|(name, _)| name != TRAIL)),
                Err(error) => refused.push(error),
            }
        }
        (Self { search: self.search.with(added), ..self.clone() }, refused)
    }

    /// These definitions with another table of search parameters.
    #[must_use]
    pub fn with_search(&self, search: ParameterTable) -> Self {
        Self { search, ..self.clone() }
    }

    /// What keeps the SearchParameter `resource`, to be stored under `id` where that is known, from being used.
    /// Nothing of one that is not active: it is not used. `further` are definitions that stand for it as well as the
    /// packages' own, for components.
    pub fn check_search_parameter(
        &self,
        id: Option<&str>,
        resource: &Value<'_>,
        further: &[CustomParameter],
    ) -> Vec<Issue> {
        let Some(custom) = CustomParameter::read(id.unwrap_or_default(), resource) else { return Vec::new() };
        let kind = custom.definition.kind;
        let mut issues = self.check_names(&custom.definition);
        if kind == ParameterType::Special {
            issues.push(refused("type", "parameters of type 'special' are the server's own"));
        }
        match &custom.definition.expression {
            None => issues.push(refused("expression", "without an expression it finds nothing")),
            Some(text) if text.len() > LONGEST_EXPRESSION => {
                issues.push(refused("expression", &format!("longer than {LONGEST_EXPRESSION} bytes")));
            }
            Some(_) => {}
        }
        if further.len() >= MOST_CUSTOM && !further.iter().any(|one| Some(one.id.as_str()) == id) {
            let message = format!("{MOST_CUSTOM} search parameters are in use beside those of FHIR; retire one");
            issues.push(Issue::error(IssueCode::TooCostly, message));
        }
        issues.extend(self.check_components(resource, &custom, further));
        issues.extend(custom.types(self).filter_map(|name| self.clash(name, id, &custom.definition)));
        if issues.is_empty() {
            let known = self.raw_search_parameters.iter().chain(further.iter().map(|one| &one.definition));
            let compiled = ParameterTable::compile_custom(&self.types, &custom, known);
            issues.extend(compiled.err().map(|error| refused("expression", &error.to_string())));
        }
        issues
    }

    fn check_names(&self, definition: &RawSearchParameter) -> Vec<Issue> {
        let mut issues = Vec::new();
        let code = &definition.code;
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !code.starts_with(|c: char| c.is_ascii_alphabetic())
            || !code.chars().all(letters)
            || code.len() > LONGEST_CODE
        {
            let message = format!("a code is a letter and up to {} of a-z A-Z 0-9 - _", LONGEST_CODE - 1);
            issues.push(refused("code", &message));
        }
        let is_own = |base: &String| self.search.get(base, code).is_some_and(|one| one.url == definition.url);
        if RESERVED.contains(&code.as_str()) && !definition.base.iter().all(is_own) {
            let message = format!("'{code}' is a name to which the server gives a meaning; take another");
            issues.push(refused("code", &message));
        }
        for (position, base) in definition.base.iter().enumerate() {
            let abstract_ = matches!(base.as_str(), "Resource" | "DomainResource");
            if base == TRAIL {
                let message = "AuditEvents are searched by the server's own parameters alone";
                issues.push(refused(&format!("base[{position}]"), message));
            } else if !abstract_ && !self.is_resource_type(base) {
                issues.push(refused(&format!("base[{position}]"), &format!("'{base}' is not a resource type of R4")));
            }
        }
        for (position, target) in definition.target.iter().enumerate() {
            if target != "Resource" && !self.is_resource_type(target) {
                let message = format!("'{target}' is not a resource type of R4");
                issues.push(refused(&format!("target[{position}]"), &message));
            }
        }
        issues
    }

    /// Of a composite, the components: known, no composites themselves, and one at most that is compared rather than
    /// equal, since that is what the index can hold.
    fn check_components(
        &self,
        resource: &Value<'_>,
        custom: &CustomParameter,
        further: &[CustomParameter],
    ) -> Vec<Issue> {
        let sent = resource.items("component");
        if custom.definition.kind != ParameterType::Composite {
            let unused = (!sent.is_empty()).then(|| refused("component", "only a composite has components"));
            return unused.into_iter().collect();
        }
        if sent.len() < 2 || custom.definition.components.len() != sent.len() {
            return vec![refused("component", "a composite has two components or more, each with an expression")];
        }
        let (mut issues, mut compared) = (Vec::new(), 0);
        for (position, (url, _)) in custom.definition.components.iter().enumerate() {
            let known = self.raw_search_parameters.iter().chain(further.iter().map(|one| &one.definition));
            let message = match known.into_iter().find(|one| one.url == *url).map(|one| one.kind) {
                None => format!("there is no search parameter {url}"),
                Some(ParameterType::Composite | ParameterType::Special) => format!("{url} cannot be a component"),
                Some(ParameterType::Token | ParameterType::Reference | ParameterType::Uri) => continue,
                Some(_) if compared == 0 => {
                    compared += 1;
                    continue;
                }
                Some(_) => "only one component can be a date, number, quantity or string".to_owned(),
            };
            issues.push(refused(&format!("component[{position}].definition"), &message));
        }
        issues
    }

    /// Another parameter of the type with the same code. One with the same URL is the same: where a package defines
    /// it, that definition stands.
    fn clash(&self, resource_type: &str, id: Option<&str>, definition: &RawSearchParameter) -> Option<Issue> {
        let is_other = |one: &&SearchParameter| {
            one.code == definition.code
                && one.url != definition.url
                && (one.custom.is_none() || one.custom.as_deref() != id)
        };
        let other = self.search.all_of_type(resource_type).find(is_other)?;
        let message = format!("{resource_type} has a search parameter '{}' already: {}", other.code, other.url);
        Some(Issue::error(IssueCode::Duplicate, message).at("SearchParameter.code"))
    }
}

/// An element of the SearchParameter that cannot be used.
fn refused(location: &str, message: &str) -> Issue {
    Issue::error(IssueCode::NotSupported, message).at(format!("SearchParameter.{location}"))
}
