//! Fields that search: those of the system, and lists of what refers to a resource (R4 graphql.html, "Searching" and
//! "Reverse References").

use graphql_parser::query::Selection as Item;
use salus_fhir::json::Value;
use salus_fhir::outcome::IssueCode;

use super::{Run, Scope, Selected, alias, expect_no_introspection};
use crate::failure::Failure;
use crate::operations::graphql::arguments::Search;
use crate::operations::graphql::document::Selection;
use crate::operations::graphql::fetch::{Found, Named};
use crate::operations::graphql::output::{Fields, Shape};
use crate::operations::graphql::refused;

impl Run<'_> {
    /// Fields of the system: resources by id, and searches.
    pub(super) fn system(&mut self, selection: &Selection, out: &mut Fields, depth: usize) -> Result<(), Failure> {
        for item in &selection.items {
            self.spend(depth)?;
            match item {
                Item::Field(field) if !self.scope.document.takes(&field.directives)? => {}
                Item::Field(field) if field.name == "__typename" => out.add(alias(field), Shape::One, "Query".into()),
                Item::Field(field) => self.system_field(field, out, depth)?,
                _ => {
                    if let Some(selection) = self.fragment(item, &|on| on == "Query")? {
                        self.system(selection, out, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn system_field(&mut self, field: &Selected, out: &mut Fields, depth: usize) -> Result<(), Failure> {
        expect_no_introspection(field)?;
        if self.search_field(field, None, out, depth)? {
            return Ok(());
        }
        if !self.is_searched(&field.name) {
            return Err(refused(IssueCode::NotFound, format!("'{}' is no resource type of R4", field.name)));
        }
        let [(name, written)] = field.arguments.as_slice() else {
            return Err(refused(IssueCode::Required, format!("{} needs 'id', and nothing else", field.name)));
        };
        let id = self.scope.document.value(written)?;
        let (Some(id), "id" | "_id") = (id.as_str(), name.as_str()) else {
            return Err(refused(IssueCode::Required, format!("{} needs 'id'", field.name)));
        };
        let named = Named { resource_type: field.name.clone(), id: id.to_owned() };
        match self.sources.resource(&named) {
            None => _ = self.lacking.resources.insert(named),
            // As GraphQL tells what is not there.
            Some(None) => out.add(alias(field), Shape::One, Value::Null),
            Some(Some(resource)) => self.nested_resource(resource, field, out, Shape::One, depth)?,
        }
        Ok(())
    }

    /// Whether resources of this type are read and searched here.
    fn is_searched(&self, resource_type: &str) -> bool {
        resource_type != "AuditEvent" && self.scope.definitions.is_resource_type(resource_type)
    }

    /// A field `XList` or `XConnection`; false where it is none.
    pub(super) fn search_field(
        &mut self,
        field: &Selected,
        to: Option<&Value<'_>>,
        out: &mut Fields,
        depth: usize,
    ) -> Result<bool, Failure> {
        let list = field.name.strip_suffix("List").filter(|name| self.is_searched(name));
        let connection = field.name.strip_suffix("Connection").filter(|name| self.is_searched(name));
        let Some(resource_type) = list.or(connection) else { return Ok(false) };
        let to = match to {
            None => None,
            Some(resource) => {
                let member = |name| resource.get_str(name).unwrap_or_default();
                Some(format!("{}/{}", member("resourceType"), member("id")))
            }
        };
        let Scope { definitions, document, .. } = self.scope;
        let counted = connection.is_some();
        let search = Search::read(definitions, document, resource_type, to.as_deref(), counted, &field.arguments)?;
        let Some(found) = self.sources.search(&search) else {
            self.lacking.searches.insert(search);
            return Ok(true);
        };
        if connection.is_some() {
            let mut fields = Fields::default();
            self.connection(found, &field.selection_set, &mut fields, depth + 1)?;
            out.add(alias(field), Shape::One, fields.finish()?.into());
            return Ok(true);
        }
        for resource in &found.resources {
            self.nested_resource(resource, field, out, Shape::List, depth)?;
        }
        Ok(true)
    }

    /// Fields of a page of a search (R4 graphql.html, "Connection based search").
    fn connection(
        &mut self,
        found: &Found,
        selection: &Selection,
        out: &mut Fields,
        depth: usize,
    ) -> Result<(), Failure> {
        for field in self.plain_fields(selection, "a Connection", depth)? {
            let number = |value: i64| Some(Value::from(value));
            let value = match field.name.as_str() {
                "count" => found.total.and_then(number),
                "offset" => number(found.offset),
                "pagesize" => number(found.size),
                "first" => Some(Value::from(found.first.clone())),
                "next" => found.next.clone().map(Value::from),
                // Pages are found by what they come after, so neither of these is known.
                "previous" | "last" => None,
                "__typename" => Some("Connection".into()),
                "edges" => {
                    for resource in &found.resources {
                        let mut edge = Fields::default();
                        self.edge(resource, &field.selection_set, &mut edge, depth + 1)?;
                        out.add(alias(field), Shape::List, edge.finish()?.into());
                    }
                    None
                }
                other => return Err(refused(IssueCode::NotFound, format!("a Connection has no field '{other}'"))),
            };
            if let Some(value) = value {
                out.add(alias(field), Shape::One, value);
            }
        }
        Ok(())
    }

    fn edge(
        &mut self,
        resource: &Value<'_>,
        selection: &Selection,
        out: &mut Fields,
        depth: usize,
    ) -> Result<(), Failure> {
        for field in self.plain_fields(selection, "an edge", depth)? {
            match field.name.as_str() {
                "mode" => out.add(alias(field), Shape::One, "match".into()),
                "score" => {}
                "resource" => self.nested_resource(resource, field, out, Shape::One, depth)?,
                other => return Err(refused(IssueCode::NotFound, format!("an edge has no field '{other}'"))),
            }
        }
        Ok(())
    }

    /// The fields that a selection without fragments takes.
    fn plain_fields<'s>(
        &mut self,
        selection: &'s Selection,
        of: &str,
        depth: usize,
    ) -> Result<Vec<&'s Selected>, Failure> {
        let mut fields = Vec::with_capacity(selection.items.len());
        for item in &selection.items {
            self.spend(depth)?;
            match item {
                Item::Field(field) if self.scope.document.takes(&field.directives)? => fields.push(field),
                Item::Field(_) => {}
                _ => return Err(refused(IssueCode::NotSupported, format!("fragments are not taken on {of}"))),
            }
        }
        Ok(fields)
    }
}
