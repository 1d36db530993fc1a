//! From expressions to programs, one for each resource type.
//!
//! An expression is followed through the type definitions: every step must be an element that the
//! type has, a choice of types becomes a path for each, and what stands at the end must be of a
//! datatype that the parameter's type applies to. Whatever does not fit is refused with a reason.

use std::cell::Cell;

use super::ParameterType;
use super::convert::Conversion;
use super::expression::{Expression, Step as Syntax};
use super::program::{Component, Composite, Condition, Leaf, Program, Step};
use crate::definitions::{Binding, ElementDefinition, TypeKind, Types, choice_property};

/// A path followed so far, and the type of what stands at its end.
#[derive(Clone)]
struct Typed {
    steps: Vec<Step>,
    code: String,
    binding: Option<Binding>,
    /// The element, whichever of its types is meant: `.component.value`.
    element: String,
    /// Whether it can occur more than once.
    repeats: bool,
}

/// What a name at the start of a path can stand for, and the definitions.
pub(super) struct Compiler<'t> {
    pub types: &'t Types,
    /// The resource type compiled for.
    pub resource_type: &'t str,
    /// How many more paths and conditions there may be. Each step from an element of many types (an extension's
    /// value has fifty) multiplies the paths, and so would the time to compile and to walk them.
    pub budget: Cell<usize>,
}

/// Most paths and conditions that come up while one parameter is compiled for one type.
pub(super) const MOST_PATHS: usize = 2000;

type Result<T> = std::result::Result<T, String>;

impl Compiler<'_> {
    /// The program of an expression whose values are read as `kind`.
    pub(super) fn program(&self, kind: ParameterType, expression: &Expression) -> Result<Program> {
        if is_condition(expression) {
            return match kind {
                ParameterType::Token => self.condition(expression, &self.root()).map(Program::Test),
                _ => Err(format!("a boolean where {kind:?} values are needed")),
            };
        }
        self.leaves(kind, expression, &self.root()).map(Program::Values)
    }

    /// The program of a composite: its base, and each component's type and expression.
    pub(super) fn composite(&self, base: &Expression, components: &[(ParameterType, Expression)]) -> Result<Program> {
        let bases = self.paths(base, &self.root())?;
        let composites = bases.into_iter().map(|base| {
            let components = components.iter().map(|(kind, expression)| {
                let from_resource = starts_at_resource(expression);
                let start = if from_resource { self.root() } else { self.at(&base.code) };
                Ok(Component { from_resource, leaves: self.leaves(*kind, expression, &start)? })
            });
            Ok(Composite { components: components.collect::<Result<_>>()?, base: base.steps })
        });
        composites.collect::<Result<_>>().map(Program::Composite)
    }

    fn root(&self) -> Typed {
        self.at(self.resource_type)
    }

    /// An empty path at an element of type `code`.
    fn at(&self, code: &str) -> Typed {
        Typed { steps: Vec::new(), code: code.to_owned(), binding: None, element: String::new(), repeats: false }
    }

    /// Whether all that an expression finds stands in one element that occurs at most once.
    pub(super) fn occurs_once(&self, expression: &Expression) -> bool {
        let paths = self.paths(expression, &self.root()).unwrap_or_default();
        let first = paths.first().map(|path| &path.element);
        first.is_some() && paths.iter().all(|path| !path.repeats && Some(&path.element) == first)
    }

    /// The paths of an expression that end in a datatype which `kind` reads. Of a choice of types
    /// those that it does not read are left out, but each branch must have one that it does.
    fn leaves(&self, kind: ParameterType, expression: &Expression, start: &Typed) -> Result<Vec<Leaf>> {
        let branches = match expression {
            Expression::Union(branches) => branches.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut leaves = Vec::new();
        for branch in branches {
            let paths = self.paths(branch, start)?;
            let codes: Vec<String> = paths.iter().map(|path| path.code.clone()).collect();
            let found: Vec<Leaf> = paths.into_iter().flat_map(|path| self.leaf(kind, path)).collect();
            if found.is_empty() && !codes.is_empty() {
                return Err(format!("{kind:?} values cannot be read from {}", codes.join(", ")));
            }
            leaves.extend(found);
        }
        if leaves.is_empty() {
            return Err(format!("nothing in it is for {}", self.resource_type));
        }
        Ok(leaves)
    }

    /// The leaf of a path; an extension is read through its value.
    fn leaf(&self, kind: ParameterType, path: Typed) -> Vec<Leaf> {
        if path.code == "Extension" {
            let values = self.member(&path, "value").unwrap_or_default();
            return values.into_iter().flat_map(|value| self.leaf(kind, value)).collect();
        }
        let conversion = Conversion::of(kind, &path.code, path.binding.as_ref(), self.types);
        conversion.into_iter().map(|conversion| Leaf { path: path.steps.clone(), conversion }).collect()
    }

    /// The paths of an expression from `start`. None for a path that begins with another resource
    /// type: one expression serves all bases of its parameter.
    fn paths(&self, expression: &Expression, start: &Typed) -> Result<Vec<Typed>> {
        match expression {
            Expression::Union(branches) => {
                let mut all = Vec::new();
                for branch in branches {
                    all.extend(self.paths(branch, start)?);
                }
                Ok(all)
            }
            Expression::Cast(inner, code) => cast(self.paths(inner, start)?, code),
            Expression::Path(steps) => {
                let Some((first, rest)) = steps.split_first() else {
                    return Ok(Vec::new());
                };
                rest.iter().try_fold(self.first(first, start)?, |paths, step| self.step(step, paths))
            }
            _ => Err("a boolean where elements are needed".to_owned()),
        }
    }

    fn first(&self, step: &Syntax, start: &Typed) -> Result<Vec<Typed>> {
        match step {
            Syntax::Group(inner) => self.paths(inner, start),
            Syntax::Resource if start.code == self.resource_type && start.steps.is_empty() => Ok(vec![start.clone()]),
            Syntax::Resource => Err("%resource inside a condition".to_owned()),
            Syntax::This => Ok(vec![start.clone()]),
            Syntax::Name(name) if self.is_type(name) => {
                let fits = self.types.is_a(&start.code, name);
                Ok(if fits { vec![start.clone()] } else { Vec::new() })
            }
            other => self.step(other, vec![start.clone()]),
        }
    }

    /// Whether a name is that of a resource type rather than of an element.
    fn is_type(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|ty| ty.kind == TypeKind::Resource)
    }

    fn step(&self, step: &Syntax, paths: Vec<Typed>) -> Result<Vec<Typed>> {
        if paths.is_empty() {
            return Ok(paths);
        }
        match step {
            Syntax::Name(name) => self.members(&paths, name),
            Syntax::Cast(code) => cast(paths, code),
            Syntax::Index(index) => paths.into_iter().map(|path| item(path, *index)).collect(),
            Syntax::Extension(url) => {
                let with_extension =
                    |path| Typed { repeats: true, ..push(path, Step::Extension(url.as_str().into()), "Extension") };
                Ok(paths.into_iter().map(with_extension).collect())
            }
            Syntax::Where(inner) => paths
                .into_iter()
                .map(|mut path| {
                    let condition = self.condition(inner, &self.at(&path.code))?;
                    path.steps.push(Step::Filter(condition));
                    Ok(path)
                })
                .collect(),
            Syntax::Group(_) | Syntax::Resource | Syntax::This => Err("a root inside a path".to_owned()),
            Syntax::Exists | Syntax::HasExtension(_) => Err("a boolean inside a path".to_owned()),
            Syntax::Resolve => Err("resolve() other than in 'resolve() is Type'".to_owned()),
        }
    }

    /// The element `name` of each path; some path must have it.
    fn members(&self, paths: &[Typed], name: &str) -> Result<Vec<Typed>> {
        let found: Vec<Typed> = paths.iter().filter_map(|path| self.member(path, name)).flatten().collect();
        if found.is_empty() {
            let codes: Vec<&str> = paths.iter().map(|path| path.code.as_str()).collect();
            return Err(format!("{} has no element '{name}'", codes.join(", ")));
        }
        self.spend(found.len())?;
        Ok(found)
    }

    fn spend(&self, paths: usize) -> Result<()> {
        let left = self.budget.get().checked_sub(paths);
        self.budget.set(left.ok_or_else(|| format!("more than {MOST_PATHS} paths and conditions"))?);
        Ok(())
    }

    /// The element `name` of one path: a path for each of its types. One type of a choice can also be
    /// named by its JSON property (`valueDateTime`): FHIRPath does not know that, but guides write it
    /// (US Core's `Condition?asserted-date`).
    fn member(&self, path: &Typed, name: &str) -> Option<Vec<Typed>> {
        let ty = self.types.get(&path.code)?;
        let with = |element: &ElementDefinition, property: String, code: &str| {
            let mut member = push(path.clone(), Step::Property(property.into()), code);
            member.binding.clone_from(&element.binding);
            member.element = format!("{}.{}", member.element, element.name);
            member.repeats |= element.is_list();
            member
        };
        let Some(element) = ty.element(name) else {
            let (element, of_choice) = ty.property(name)?;
            return Some(vec![with(element, name.to_owned(), &of_choice.code)]);
        };
        let typed = element.types.iter().map(|ty| {
            let property = if element.choice { choice_property(name, &ty.code) } else { name.to_owned() };
            with(element, property, &ty.code)
        });
        Some(typed.collect())
    }

    fn condition(&self, expression: &Expression, at: &Typed) -> Result<Condition> {
        self.spend(1)?;
        let all = |parts: &[Expression]| parts.iter().map(|part| self.condition(part, at)).collect::<Result<_>>();
        match expression {
            Expression::And(parts) => all(parts).map(Condition::All),
            Expression::Or(parts) => all(parts).map(Condition::Any),
            Expression::Compare { left, negated, right } => {
                let paths = self.steps(left, at)?;
                let equals = Condition::Equals { paths, literal: right.clone() };
                Ok(if *negated { Condition::Not(Box::new(equals)) } else { equals })
            }
            Expression::Is(inner, code) if resolves(inner) => Ok(Condition::RefersTo(code.as_str().into())),
            Expression::Is(inner, code) => {
                let paths = self.paths(inner, at)?.into_iter().filter(|path| same_type(&path.code, code));
                Ok(Condition::Exists(paths.map(|path| path.steps).collect()))
            }
            Expression::Path(steps) => self.path_condition(steps, at),
            Expression::Union(_) | Expression::Cast(..) => Err("elements where a boolean is needed".to_owned()),
        }
    }

    /// `a.exists()`, `hasExtension('url')`, or a boolean in parentheses.
    fn path_condition(&self, steps: &[Syntax], at: &Typed) -> Result<Condition> {
        let path = |steps: &[Syntax]| match steps {
            [] => Ok(vec![Vec::new()]),
            steps => self.steps(&Expression::Path(steps.to_vec()), at),
        };
        match steps {
            [Syntax::Group(inner)] => self.condition(inner, at),
            [before @ .., Syntax::Exists] => path(before).map(Condition::Exists),
            [before @ .., Syntax::HasExtension(url)] => {
                let mut paths = path(before)?;
                paths.iter_mut().for_each(|path| path.push(Step::Extension(url.as_str().into())));
                Ok(Condition::Exists(paths))
            }
            _ => Err("elements where a boolean is needed".to_owned()),
        }
    }

    fn steps(&self, expression: &Expression, at: &Typed) -> Result<Vec<Vec<Step>>> {
        Ok(self.paths(expression, at)?.into_iter().map(|path| path.steps).collect())
    }
}

fn push(mut path: Typed, step: Step, code: &str) -> Typed {
    path.steps.push(step);
    Typed { code: code.to_owned(), binding: None, ..path }
}

/// `[index]` counts over all that a path finds, which is what an array holds only where nothing
/// before it repeats: so it is compiled on the first step alone.
fn item(mut path: Typed, index: usize) -> Result<Typed> {
    match path.steps.pop() {
        Some(Step::Property(name)) if path.steps.is_empty() => {
            path.steps.push(Step::Item(name, index));
            path.repeats = false;
            Ok(path)
        }
        _ => Err("an index other than on an element of the resource itself".to_owned()),
    }
}

fn cast(paths: Vec<Typed>, code: &str) -> Result<Vec<Typed>> {
    let codes: Vec<String> = paths.iter().map(|path| path.code.clone()).collect();
    let cast: Vec<Typed> = paths.into_iter().filter(|path| same_type(&path.code, code)).collect();
    if cast.is_empty() && !codes.is_empty() {
        return Err(format!("{} is never {code}", codes.join(", ")));
    }
    Ok(cast)
}

/// Types are compared without case: R4 itself writes `value.as(DateTime)` in code-value-date.
fn same_type(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn resolves(expression: &Expression) -> bool {
    matches!(expression, Expression::Path(steps) if steps.as_slice() == [Syntax::Resolve])
}

fn starts_at_resource(expression: &Expression) -> bool {
    matches!(expression, Expression::Path(steps) if steps.first() == Some(&Syntax::Resource))
}

fn is_condition(expression: &Expression) -> bool {
    match expression {
        Expression::And(_) | Expression::Or(_) | Expression::Compare { .. } | Expression::Is(..) => true,
        Expression::Path(steps) => match steps.as_slice() {
            [Syntax::Group(inner)] => is_condition(inner),
            steps => matches!(steps.last(), Some(Syntax::Exists | Syntax::HasExtension(_))),
        },
        Expression::Union(_) | Expression::Cast(..) => false,
    }
}
