//! Projection: what an answer shows of each resource: all of it, or the part that `_summary` or `_elements` asks for
//! (R4 search.html#summary, #elements).

use std::borrow::Cow;

use salus_fhir::Definitions;
use salus_fhir::definitions::TypeKind;
use salus_fhir::json::{self, Limits};
use salus_fhir::outcome::{Issue, IssueCode};
use salus_fhir::subset::Subset;
use salus_store::search::Ignored;

use crate::dispatch::Act;
use crate::failure::Failure;

/// What the parameters of a read can be.
const OF_READS: [&str; 4] = ["_summary", "_elements", "_format", "_pretty"];

/// What to show.
pub struct Projection<'d> {
    definitions: &'d Definitions,
    part: Part,
}

enum Part {
    Whole,
    /// `_summary=count`
    Count,
    Summary(Subset),
    /// `_elements`
    Elements(Vec<Named>),
}

/// An element of the top, of matches or, as R5 has it, of a type (`Patient.name`).
struct Named {
    of: Option<String>,
    element: String,
}

impl<'d> Projection<'d> {
    /// Reads the parameters, for matches of these types. An `_elements` that cannot be applied comes back beside it.
    ///
    /// # Errors
    /// 400 for a `_summary` that is none, and for two parts at once.
    pub fn read(
        definitions: &'d Definitions,
        types: &[&str],
        parameters: &[(String, String)],
    ) -> Result<(Self, Vec<Ignored>), Failure> {
        let (mut part, mut named, mut ignored) = (Part::Whole, Vec::new(), Vec::new());
        for (name, value) in parameters {
            match name.as_str() {
                "_summary" if !matches!(part, Part::Whole) => return Err(wrong("'_summary' is given once")),
                "_summary" => part = summary(value)?,
                "_elements" => match elements(definitions, types, value) {
                    Ok(elements) => named.extend(elements),
                    Err(reason) => ignored.push(Ignored { parameter: name.clone(), value: value.clone(), reason }),
                },
                _ => {}
            }
        }
        let part = match (part, named.is_empty()) {
            (Part::Summary(_), false) => return Err(wrong("'_summary' and '_elements' ask for two different parts")),
            (Part::Whole, false) => Part::Elements(named),
            (part, _) => part,
        };
        Ok((Self { definitions, part }, ignored))
    }

    /// Reads the parameters of a read, which has no place to report what it left out.
    ///
    /// # Errors
    /// As [`Projection::read`], and 400 for what cannot be applied, and for unknown ones under `handling=strict`.
    pub fn of_read(act: &'d Act<'_>) -> Result<Self, Failure> {
        let definitions = &act.app.definitions;
        if act.request.query.is_empty() {
            return Ok(Self { definitions, part: Part::Whole });
        }
        let unknown = act.request.parameters().into_iter().find(|(name, _)| !OF_READS.contains(&name.as_str()));
        if let (true, Some((name, _))) = (act.request.strict(), unknown) {
            let issue = Issue::error(IssueCode::NotSupported, format!("a read has no parameter '{name}'"));
            return Err(Failure::of(400, issue.of_parameter(&name)));
        }
        let shown = Self::of_versions(act)?;
        if shown.is_count() { Err(wrong("'_summary=count' is for searches and histories")) } else { Ok(shown) }
    }

    /// The same for a history, which can be counted.
    ///
    /// # Errors
    /// As [`Projection::of_read`].
    pub fn of_versions(act: &'d Act<'_>) -> Result<Self, Failure> {
        let definitions = &act.app.definitions;
        let types = match act.route.resource_type.as_deref() {
            Some(name) => vec![name],
            None => definitions.resource_types().collect(),
        };
        let (shown, ignored) = Self::read(definitions, &types, &act.request.parameters())?;
        match ignored.first() {
            Some(first) => Err(Failure::new(400, IssueCode::NotSupported, first.reason.clone())),
            None => Ok(shown),
        }
    }

    /// Whether only the number of matches is asked for.
    pub fn is_count(&self) -> bool {
        matches!(self.part, Part::Count)
    }

    /// Whether only the narrative is asked for.
    pub fn is_text(&self) -> bool {
        matches!(self.part, Part::Summary(Subset::Text))
    }

    /// A resource's text, or that of the part of it that is shown; as stored, where that is all.
    pub fn of<'t>(&self, text: &'t str, is_match: bool) -> Cow<'t, str> {
        let elements = match &self.part {
            Part::Whole | Part::Count => return Cow::Borrowed(text),
            Part::Summary(subset) => return self.taken(subset, text),
            Part::Elements(elements) => elements,
        };
        let Ok(resource) = json::parse(text, &Limits::default()) else { return Cow::Borrowed(text) };
        let own = resource.get_str("resourceType").unwrap_or_default();
        let applies = |named: &&Named| named.of.as_deref().map_or(is_match, |of| of == own);
        let names: Vec<String> = elements.iter().filter(applies).map(|named| named.element.clone()).collect();
        if names.is_empty() { Cow::Borrowed(text) } else { self.taken(&Subset::Elements(names), text) }
    }

    /// Leaves of a read's body what is shown.
    pub fn part_of(&self, body: &mut String) {
        if let (Cow::Owned(part), false) = (self.of(body, true), body.is_empty()) {
            *body = part;
        }
    }

    fn taken<'t>(&self, subset: &Subset, text: &'t str) -> Cow<'t, str> {
        match json::parse(text, &Limits::default()) {
            Ok(mut resource) => {
                subset.take(&mut resource, self.definitions);
                Cow::Owned(resource.to_string())
            }
            Err(_) => Cow::Borrowed(text),
        }
    }
}

fn wrong(message: &str) -> Failure {
    Failure::new(400, IssueCode::Invalid, message)
}

fn summary(value: &str) -> Result<Part, Failure> {
    Ok(match value {
        "true" => Part::Summary(Subset::Summary),
        "text" => Part::Summary(Subset::Text),
        "data" => Part::Summary(Subset::Data),
        "count" => Part::Count,
        "false" => Part::Whole,
        other => return Err(wrong(&format!("'_summary' takes true, text, data, count or false, not '{other}'"))),
    })
}

/// The elements that a value names, or which of them is none.
fn elements(definitions: &Definitions, types: &[&str], value: &str) -> Result<Vec<Named>, String> {
    let has = |ty: &str, name: &str| {
        let ty = definitions.types().get(ty).filter(|ty| ty.kind == TypeKind::Resource);
        ty.is_some_and(|ty| name == "resourceType" || ty.property(name).is_some() || ty.element(name).is_some())
    };
    let named = value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        let (of, element) = name.split_once('.').map_or((None, name), |(of, element)| (Some(of), element));
        let known = match of {
            Some(of) => has(of, element),
            None => types.iter().any(|ty| has(ty, element)),
        };
        let unknown = || format!("no element of the top is called '{name}'");
        known.then(|| Named { of: of.map(str::to_owned), element: element.to_owned() }).ok_or_else(unknown)
    });
    named.collect()
}
