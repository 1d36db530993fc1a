//! The document: parsed, bounded, and the one operation of it that is asked for.

use std::collections::HashMap;

use graphql_parser::query::{
    Definition, Directive, FragmentDefinition, OperationDefinition, SelectionSet, TypeCondition, Value as Ast,
};
use salus_fhir::json::Value;
use salus_fhir::outcome::IssueCode;

use super::refused;
use super::request::GraphQlRequest;
use crate::failure::Failure;

/// A part of a document.
pub(super) type Selection = SelectionSet<'static, String>;
/// A value as written.
pub(super) type Written = Ast<'static, String>;

/// Longest document, bytes.
const LONGEST: usize = 64 << 10;

/// A document and its variables.
pub(super) struct Document {
    /// What is selected.
    pub selection: Selection,
    fragments: HashMap<String, FragmentDefinition<'static, String>>,
    variables: HashMap<String, Value<'static>>,
}

impl Document {
    /// Parses a request's document, and finds the operation that it asks for.
    ///
    /// # Errors
    /// 400 for one that is too long or not well formed, that has no such operation, or one that is no query.
    pub fn parse(request: &GraphQlRequest) -> Result<Self, Failure> {
        if request.query.len() > LONGEST {
            return Err(refused(IssueCode::TooLong, format!("a query has at most {LONGEST} bytes")));
        }
        let parsed = graphql_parser::parse_query::<String>(&request.query)
            .map_err(|error| refused(IssueCode::Structure, format!("the query cannot be read: {}", told(&error))))?
            .into_static();
        let mut operations = Vec::new();
        let mut fragments = HashMap::new();
        for definition in parsed.definitions {
            match definition {
                Definition::Operation(operation) => operations.push(operation),
                Definition::Fragment(fragment) => _ = fragments.insert(fragment.name.clone(), fragment),
            }
        }
        let named = |operation: &OperationDefinition<'static, String>| match operation {
            OperationDefinition::Query(query) => query.name.clone(),
            OperationDefinition::Mutation(mutation) => mutation.name.clone(),
            OperationDefinition::Subscription(subscription) => subscription.name.clone(),
            OperationDefinition::SelectionSet(_) => None,
        };
        if let Some(wanted) = &request.operation {
            operations.retain(|operation| named(operation).as_ref() == Some(wanted));
        }
        let operation = match operations.len() {
            1 => operations.remove(0),
            0 => return Err(refused(IssueCode::NotFound, "the document has no such operation")),
            _ => {
                return Err(refused(
                    IssueCode::Required,
                    "the document has several operations: say which one by operationName",
                ));
            }
        };
        let (selection, declared) = match operation {
            OperationDefinition::SelectionSet(selection) => (selection, Vec::new()),
            OperationDefinition::Query(query) => (query.selection_set, query.variable_definitions),
            OperationDefinition::Mutation(_) | OperationDefinition::Subscription(_) => {
                return Err(refused(IssueCode::NotSupported, "only queries are answered here"));
            }
        };
        let mut variables = HashMap::new();
        for variable in declared {
            let given = request.variables.get(&variable.name).cloned();
            let value = match (given, &variable.default_value) {
                (Some(value), _) => value,
                (None, Some(default)) => plain(default)?,
                (None, None) => Value::Null,
            };
            variables.insert(variable.name, value);
        }
        Ok(Self { selection, fragments, variables })
    }

    /// A fragment: the type it is for, and what it selects.
    ///
    /// # Errors
    /// 400 where there is none of that name.
    pub fn fragment(&self, name: &str) -> Result<(&str, &FragmentDefinition<'static, String>), Failure> {
        let missing = || refused(IssueCode::NotFound, format!("there is no fragment '{name}'"));
        let fragment = self.fragments.get(name).ok_or_else(missing)?;
        let TypeCondition::On(of) = &fragment.type_condition;
        Ok((of, fragment))
    }

    /// What a value comes to, variables set in.
    ///
    /// # Errors
    /// 400 for a variable that is not declared, and for an object.
    pub fn value(&self, written: &Written) -> Result<Value<'static>, Failure> {
        match written {
            Ast::Variable(name) => {
                let missing = || refused(IssueCode::NotFound, format!("the variable '${name}' is not declared"));
                self.variables.get(name).cloned().ok_or_else(missing)
            }
            Ast::List(items) => Ok(Value::Array(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)),
            other => plain(other),
        }
    }

    /// Whether the standard directives leave something in (`@include`, `@skip`).
    ///
    /// # Errors
    /// 400 where their condition is no boolean.
    pub fn takes(&self, directives: &[Directive<'static, String>]) -> Result<bool, Failure> {
        for directive in directives {
            let wanted = match directive.name.as_str() {
                "include" => true,
                "skip" => false,
                _ => continue,
            };
            let condition = directive.arguments.iter().find(|(name, _)| name == "if");
            let condition = condition.map(|(_, value)| self.value(value)).transpose()?;
            match condition {
                Some(Value::Bool(holds)) if holds == wanted => {}
                Some(Value::Bool(_)) => return Ok(false),
                _ => {
                    let message = format!("@{} needs 'if' with a boolean", directive.name);
                    return Err(refused(IssueCode::Required, message));
                }
            }
        }
        Ok(true)
    }
}

/// What went wrong in a line.
fn told(error: &graphql_parser::query::ParseError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value that is no variable.
fn plain(written: &Written) -> Result<Value<'static>, Failure> {
    Ok(match written {
        Ast::Int(number) => number.as_i64().unwrap_or_default().into(),
        Ast::Float(number) => Value::Number(number.to_string().into()),
        Ast::String(text) | Ast::Enum(text) => Value::String(text.clone().into()),
        Ast::Boolean(yes) => Value::Bool(*yes),
        Ast::Null => Value::Null,
        Ast::List(items) => Value::Array(items.iter().map(plain).collect::<Result<_, _>>()?),
        Ast::Variable(_) | Ast::Object(_) => {
            return Err(refused(IssueCode::NotSupported, "arguments are single values or lists of them"));
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(query: &str) -> Result<Document, Failure> {
        Document::parse(&GraphQlRequest { query: query.to_owned(), ..GraphQlRequest::default() })
    }

    #[test]
    fn hostile_documents_are_refused() {
        for query in [
            "{".repeat(30_000),
            format!("{{ a(b: {}", "[".repeat(30_000)),
            format!("{{ a(b: {}1{}) }}", "[".repeat(100), "]".repeat(100)),
            "{ a(b: \"".to_owned(),
            "{ a(b: \"\"\"x".to_owned(),
            "{ a(b: \"\\u12\") }".to_owned(),
            "x".repeat(LONGEST + 1),
            "fragment a on B { c }".to_owned(),
            "subscription { a }".to_owned(),
        ] {
            let refused = parse(&query).err();
            assert_eq!(refused.map(|failure| failure.status), Some(400), "{:.40}", query);
        }
    }

    #[test]
    fn variables_are_given_or_have_a_default() {
        let request = GraphQlRequest {
            query: "query q($a: Int, $b: String = \"x\", $c: Int) { f(a: $a, b: [$b, y], c: $c) }".to_owned(),
            variables: [("a", Value::from(7))].into_iter().collect(),
            ..GraphQlRequest::default()
        };
        let document = Document::parse(&request).unwrap();
        let graphql_parser::query::Selection::Field(field) = &document.selection.items[0] else { panic!("a field") };
        let values: Vec<String> =
            field.arguments.iter().map(|(_, written)| document.value(written).unwrap().to_string()).collect();
        assert_eq!(values, ["7", r#"["x","y"]"#, "null"]);
        assert!(document.value(&Ast::Variable("d".to_owned())).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(query in "[a-z{}()\\[\\]:!@$\"\\\\#., \n0-9-]{0,80}") {
            let _ = parse(&query);
        }
    }
}
