//! The answer under construction: fields in the order they were selected, and how each is shaped.

use salus_fhir::json::{Object, Value};
use salus_fhir::outcome::IssueCode;

use super::refused;
use crate::failure::Failure;

/// How the values of a field are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As a list, however many.
    List,
    /// As they are: one by itself; several, by a field selected several times, as a list.
    One,
    /// By itself (`@singleton`); several are an error.
    Singleton,
}

/// The fields of an object.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Shape, Vec<Value<'static>>)>);

impl Fields {
    /// Adds a value to a field.
    pub fn add(&mut self, name: &str, shape: Shape, value: Value<'static>) {
        match self.0.iter_mut().find(|(known, ..)| known == name) {
            Some((_, _, values)) => values.push(value),
            None => self.0.push((name.to_owned(), shape, vec![value])),
        }
    }

    /// The object.
    ///
    /// # Errors
    /// 400 where a `@singleton` has several values.
    pub fn finish(self) -> Result<Object<'static>, Failure> {
        let mut object = Object::new();
        for (name, shape, mut values) in self.0 {
            let value = match (shape, values.len()) {
                (Shape::One | Shape::Singleton, 1) => values.remove(0),
                (Shape::Singleton, _) => {
                    let message = format!("'{name}' is marked @singleton and has several values");
                    return Err(refused(IssueCode::MultipleMatches, message));
                }
                _ => Value::Array(values),
            };
            object.set(name, value);
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shaped_by_how_many_there_may_be() {
        let mut fields = Fields::default();
        fields.add("list", Shape::List, 1.into());
        fields.add("one", Shape::One, 1.into());
        fields.add("several", Shape::One, 1.into());
        fields.add("several", Shape::One, 2.into());
        fields.add("single", Shape::Singleton, 1.into());
        let text = Value::Object(fields.finish().unwrap()).to_string();
        assert_eq!(text, r#"{"list":[1],"one":1,"several":[1,2],"single":1}"#);
        let mut fields = Fields::default();
        fields.add("single", Shape::Singleton, 1.into());
        fields.add("single", Shape::Singleton, 2.into());
        assert_eq!(fields.finish().unwrap_err().status, 400);
    }
}
