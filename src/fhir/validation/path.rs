//! Where in a resource the validator stands, without a word written until a fault is found.

use std::fmt::Write;

/// One step on the way down. Lives on the stack, linked to the step above.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Name(&'p str),
    Item(usize),
}

impl<'p> Path<'p> {
    /// The resource itself.
    pub(super) fn root(resource_type: &'p str) -> Self {
        Self { above: None, step: Step::Name(resource_type) }
    }

    /// An element of what this stands for.
    pub(super) fn element(&'p self, name: &'p str) -> Self {
        Self { above: Some(self), step: Step::Name(name) }
    }

    /// An occurrence of the element this stands for.
    pub(super) fn item(&'p self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Item(index) }
    }

    /// The FHIRPath expression: `Patient.name[0].given[1]`.
    pub(super) fn expression(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        if let Some(above) = self.above {
            above.write(out);
        }
        match self.step {
            Step::Name(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Item(index) => {
                // Writing to a String does not fail.
                let _ = write!(out, "[{index}]");
            }
        }
    }
}
