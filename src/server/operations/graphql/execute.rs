//! One walk of a selection over resources.
//!
//! The definitions say which fields there are and of which type each is, so that a name that R4 does not have is an
//! error rather than nothing. What a walk needs and [`Sources`] do not hold is noted and left out; the walk is then
//! made again.

mod searches;

use std::collections::HashSet;

use graphql_parser::query::{Directive, Field, Selection as Item, TypeCondition};
use salus_fhir::Definitions;
use salus_fhir::datatypes::Reference;
use salus_fhir::definitions::{TypeDefinition, TypeKind};
use salus_fhir::json::{Object, Value};
use salus_fhir::outcome::IssueCode;

use super::arguments::{Search, navigate, slice_name};
use super::document::{Document, Selection};
use super::fetch::{Named, Sources};
use super::output::{Fields, Shape};
use super::{refused, too_costly};
use crate::failure::Failure;

/// Fields, each counted for every value it is read of, that one walk may read.
const MOST_FIELDS: u64 = 200_000;
/// Selections within each other, fragments included.
const DEEPEST: usize = 60;
/// Steps that all FHIRPath expressions of a walk may take.
const FHIRPATH_STEPS: u64 = 2_000_000;

/// What a walk goes by.
#[derive(Clone, Copy)]
pub(super) struct Scope<'r> {
    pub definitions: &'r Definitions,
    pub base: &'r str,
    pub document: &'r Document,
}

/// What a walk lacked.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    pub resources: HashSet<Named>,
    pub searches: HashSet<Search>,
}

impl Lacking {
    /// Whether it lacked nothing.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.searches.is_empty()
    }
}

/// A walk.
pub(super) struct Run<'r> {
    scope: Scope<'r>,
    sources: &'r Sources,
    lacking: Lacking,
    fields_left: u64,
    steps_left: u64,
}

/// Where in it a selection stands.
#[derive(Clone, Copy)]
struct Place<'v> {
    /// The resource at hand, in which `#id` is looked up.
    resource: Option<&'v Value<'v>>,
    /// Whether a flattened list is around, so that every field may have several values.
    listed: bool,
    /// What `@slice` adds to names.
    suffix: &'v str,
    depth: usize,
}

type Selected = Field<'static, String>;

impl<'r> Run<'r> {
    /// A walk over what is known so far.
    pub fn new(scope: Scope<'r>, sources: &'r Sources) -> Self {
        let lacking = Lacking::default();
        Self { scope, sources, lacking, fields_left: MOST_FIELDS, steps_left: FHIRPATH_STEPS }
    }

    /// The answer, of a resource or of the system; and what it lacks.
    ///
    /// # Errors
    /// As [`super::act`].
    pub fn answer(mut self, root: Option<&Value<'_>>) -> Result<(Object<'static>, Lacking), Failure> {
        let selection = &self.scope.document.selection;
        let mut fields = Fields::default();
        match root {
            Some(resource) => self.resource(resource, selection, &mut fields, 0)?,
            None => self.system(selection, &mut fields, 0)?,
        }
        Ok((fields.finish()?, self.lacking))
    }

    /// Counts down what is left to read.
    fn spend(&mut self, depth: usize) -> Result<(), Failure> {
        if depth > DEEPEST {
            return Err(too_costly(&format!("selections may lie {DEEPEST} deep within each other")));
        }
        self.fields_left = self.fields_left.checked_sub(1).ok_or_else(|| {
            too_costly(&format!("the query reads more than {MOST_FIELDS} fields; ask for less, or page by page"))
        })?;
        Ok(())
    }

    /// A resource as the value of a field.
    fn nested_resource(
        &mut self,
        resource: &Value<'_>,
        field: &Selected,
        out: &mut Fields,
        shape: Shape,
        depth: usize,
    ) -> Result<(), Failure> {
        expect_selection(field)?;
        let mut fields = Fields::default();
        self.resource(resource, &field.selection_set, &mut fields, depth + 1)?;
        out.add(alias(field), shape, fields.finish()?.into());
        Ok(())
    }

    /// Fields of a resource.
    fn resource(
        &mut self,
        resource: &Value<'_>,
        selection: &Selection,
        out: &mut Fields,
        depth: usize,
    ) -> Result<(), Failure> {
        let name = resource.get_str("resourceType").unwrap_or_default();
        let Some(ty) = self.scope.definitions.type_definition(name) else { return Ok(()) };
        self.object(resource, ty, selection, out, Place { resource: Some(resource), listed: false, suffix: "", depth })
    }

    /// Fields of an object.
    fn object(
        &mut self,
        value: &Value<'_>,
        ty: &TypeDefinition,
        selection: &Selection,
        out: &mut Fields,
        place: Place<'_>,
    ) -> Result<(), Failure> {
        for item in &selection.items {
            self.spend(place.depth)?;
            match item {
                Item::Field(field) if !self.scope.document.takes(&field.directives)? => {}
                Item::Field(field) => self.field(value, ty, field, out, place)?,
                _ => {
                    let types = self.scope.definitions.types();
                    if let Some(selection) = self.fragment(item, &|on| types.is_a(&ty.name, on))? {
                        self.object(value, ty, selection, out, Place { depth: place.depth + 1, ..place })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What a fragment selects, where it is for what is at hand.
    fn fragment<'i>(
        &self,
        item: &'i Item<'static, String>,
        is: &dyn Fn(&str) -> bool,
    ) -> Result<Option<&'i Selection>, Failure>
    where
        'r: 'i,
    {
        let document: &'r Document = self.scope.document;
        match item {
            Item::Field(_) => Ok(None),
            Item::FragmentSpread(spread) => {
                let (on, fragment) = document.fragment(&spread.fragment_name)?;
                let takes = document.takes(&spread.directives)? && is(on);
                Ok(takes.then_some(&fragment.selection_set))
            }
            Item::InlineFragment(fragment) => {
                let fits = fragment.type_condition.as_ref().is_none_or(|TypeCondition::On(on)| is(on));
                let takes = document.takes(&fragment.directives)? && fits;
                Ok(takes.then_some(&fragment.selection_set))
            }
        }
    }

    fn field(
        &mut self,
        value: &Value<'_>,
        ty: &TypeDefinition,
        field: &Selected,
        out: &mut Fields,
        place: Place<'_>,
    ) -> Result<(), Failure> {
        expect_no_introspection(field)?;
        let is_resource = ty.kind == TypeKind::Resource;
        match field.name.as_str() {
            "__typename" => out.add(alias(field), Shape::One, ty.name.clone().into()),
            "resourceType" if is_resource => out.add(alias(field), Shape::One, ty.name.clone().into()),
            "resource" if ty.name == "Reference" => self.reference(value, field, out, place)?,
            _ if is_resource && self.search_field(field, Some(value), out, place.depth)? => {}
            name => {
                let (property, is_sibling) = match name.strip_prefix('_') {
                    Some(bare) => (bare, true),
                    None => (name, false),
                };
                let unknown = || refused(IssueCode::NotFound, format!("{} has no element '{name}'", ty.name));
                let (element, of) = ty.property(property).ok_or_else(unknown)?;
                let of = self.scope.definitions.types().resolve(of).ok_or_else(unknown)?;
                let of = match (is_sibling, of.kind) {
                    (false, _) => of,
                    (true, TypeKind::Primitive) => {
                        self.scope.definitions.type_definition("Element").ok_or_else(unknown)?
                    }
                    (true, _) => return Err(unknown()),
                };
                self.element(value.get(name), of, element.is_list(), field, out, place)?;
            }
        }
        Ok(())
    }

    /// The values of an element, by the field's arguments and directives.
    fn element(
        &mut self,
        value: Option<&Value<'_>>,
        of: &TypeDefinition,
        is_list: bool,
        field: &Selected,
        out: &mut Fields,
        place: Place<'_>,
    ) -> Result<(), Failure> {
        expect_fields(field, of, is_list)?;
        let mut values: Vec<&Value<'_>> = match value {
            Some(Value::Array(items)) => items.iter().collect(),
            value => value.into_iter().collect(),
        };
        // In a list of primitives `null` holds the place of one that has extensions alone.
        values.retain(|value| !value.is_null());
        let Scope { definitions, document, .. } = self.scope;
        let mut values = navigate(definitions, document, &mut self.steps_left, &of.name, values, &field.arguments)?;
        let directives = Directives::read(document, &field.directives)?;
        if directives.first {
            values.truncate(1);
        }
        let shape = match (directives.singleton, is_list || place.listed) {
            (true, _) => Shape::Singleton,
            (false, true) => Shape::List,
            (false, false) => Shape::One,
        };
        let listed = place.listed || (is_list && !directives.first);
        for (index, value) in values.into_iter().enumerate() {
            self.spend(place.depth)?;
            if of.kind == TypeKind::Primitive {
                out.add(&format!("{}{}", alias(field), place.suffix), shape, value.clone().into_static());
                continue;
            }
            let of = self.concrete(of, value);
            let suffix = self.suffix(&directives, of, value, index, place)?;
            let within = Place { suffix: &suffix, depth: place.depth + 1, listed, ..place };
            if directives.flatten {
                self.object(value, of, &field.selection_set, out, within)?;
            } else {
                let mut fields = Fields::default();
                self.object(
                    value,
                    of,
                    &field.selection_set,
                    &mut fields,
                    Place { listed: false, suffix: "", ..within },
                )?;
                out.add(&format!("{}{suffix}", alias(field)), shape, fields.finish()?.into());
            }
        }
        Ok(())
    }

    /// What `@slice` adds to the name of a field for one of its values, before what is added already.
    fn suffix(
        &mut self,
        directives: &Directives,
        of: &TypeDefinition,
        value: &Value<'_>,
        index: usize,
        place: Place<'_>,
    ) -> Result<String, Failure> {
        let Some(path) = &directives.slice else { return Ok(place.suffix.to_owned()) };
        let slice = slice_name(self.scope.definitions, path, &of.name, value, index, &mut self.steps_left)?;
        Ok(format!(".{slice}{}", place.suffix))
    }

    /// The type of a value: where a resource may be of any type (`contained`), what it says itself.
    fn concrete<'t>(&self, of: &'t TypeDefinition, value: &Value<'_>) -> &'t TypeDefinition
    where
        'r: 't,
    {
        let definitions: &'r Definitions = self.scope.definitions;
        let named = value.get_str("resourceType").filter(|_| of.kind == TypeKind::Resource && of.abstract_);
        named.and_then(|name| definitions.type_definition(name)).unwrap_or(of)
    }

    /// The resource that a Reference names (R4 graphql.html, "Resolving references").
    fn reference(
        &mut self,
        value: &Value<'_>,
        field: &Selected,
        out: &mut Fields,
        place: Place<'_>,
    ) -> Result<(), Failure> {
        let (mut optional, mut wanted) = (false, None);
        for (name, written) in &field.arguments {
            let value = self.scope.document.value(written)?;
            match (name.as_str(), &value) {
                ("optional", Value::Bool(yes)) => optional = *yes,
                ("type", Value::String(name)) => wanted = Some(name.to_string()),
                (_, Value::Null) => {}
                _ => return Err(refused(IssueCode::Invalid, format!("{name}: is no argument of 'resource'"))),
            }
        }
        let Some(reference) = value.get_str("reference") else { return unresolved(optional) };
        if let Some(id) = reference.strip_prefix('#') {
            let contained = place.resource.map(|resource| resource.items("contained")).unwrap_or_default();
            let found = contained.iter().find(|one| one.get_str("id") == Some(id));
            return match found {
                None => unresolved(optional),
                Some(one) if wanted.is_some_and(|wanted| one.get_str("resourceType") != Some(&wanted)) => Ok(()),
                Some(one) => self.nested_resource(one, field, out, Shape::One, place.depth),
            };
        }
        let Reference::Relative { resource_type, id, .. } = Reference::parse_below(reference, self.scope.base) else {
            return unresolved(optional);
        };
        if wanted.is_some_and(|wanted| wanted != resource_type) {
            return Ok(());
        }
        let named = Named { resource_type: resource_type.to_owned(), id: id.to_owned() };
        match self.sources.resource(&named) {
            None => _ = self.lacking.resources.insert(named),
            Some(None) => return unresolved(optional),
            Some(Some(resource)) => self.nested_resource(resource, field, out, Shape::One, place.depth)?,
        }
        Ok(())
    }
}

/// FHIR's own directives on a field (R4 graphql.html, "FHIR directives").
#[derive(Default)]
struct Directives {
    flatten: bool,
    first: bool,
    singleton: bool,
    slice: Option<String>,
}

impl Directives {
    fn read(document: &Document, directives: &[Directive<'static, String>]) -> Result<Self, Failure> {
        let mut read = Self::default();
        for directive in directives {
            match directive.name.as_str() {
                "flatten" => read.flatten = true,
                "first" => read.first = true,
                "singleton" => read.singleton = true,
                "slice" => {
                    let path = directive.arguments.iter().find(|(name, _)| name == "path" || name == "fhirpath");
                    let path = path.map(|(_, value)| document.value(value)).transpose()?;
                    let path = path.as_ref().and_then(Value::as_str).map(str::to_owned);
                    read.slice = Some(path.ok_or_else(|| refused(IssueCode::Required, "@slice needs 'path'"))?);
                }
                "include" | "skip" => {}
                other => return Err(refused(IssueCode::NotSupported, format!("there is no directive @{other}"))),
            }
        }
        Ok(read)
    }
}

/// The name that a field has in the answer.
fn alias(field: &Selected) -> &str {
    field.alias.as_deref().unwrap_or(&field.name)
}

fn unresolved(optional: bool) -> Result<(), Failure> {
    match optional {
        true => Ok(()),
        // Which reference it is would tell what may not be seen.
        false => {
            let message = "a reference leads to nothing that is there to see; mark it (optional: true) to leave it out";
            Err(Failure::new(404, IssueCode::NotFound, message))
        }
    }
}

/// Primitive values have no fields, others are asked for by theirs, and only lists take arguments.
fn expect_fields(field: &Selected, of: &TypeDefinition, is_list: bool) -> Result<(), Failure> {
    let name = &field.name;
    match (of.kind == TypeKind::Primitive, field.selection_set.items.is_empty()) {
        (true, false) => {
            Err(refused(IssueCode::Structure, format!("'{name}' is a primitive value, which has no fields")))
        }
        (false, true) => expect_selection(field),
        _ if !is_list && !field.arguments.is_empty() => {
            Err(refused(IssueCode::NotSupported, format!("'{name}' is no list, so takes no arguments")))
        }
        _ => Ok(()),
    }
}

fn expect_selection(field: &Selected) -> Result<(), Failure> {
    match field.selection_set.items.is_empty() {
        true => Err(refused(IssueCode::Structure, format!("'{}' needs a selection of its fields", field.name))),
        false => Ok(()),
    }
}

fn expect_no_introspection(field: &Selected) -> Result<(), Failure> {
    match field.name.as_str() {
        "__schema" | "__type" => {
            let message = "introspection is not supported here: the schema is the one that FHIR R4 publishes";
            Err(refused(IssueCode::NotSupported, message))
        }
        _ => Ok(()),
    }
}
