//! Packages to [`Definitions`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::json::Value;
use crate::packages::{MANIFEST, Manifest, Member, Package, PackageError, R4_CORE, resource_type};
use crate::search::ParameterTable;

use super::types::{BindingStrength, TypeDefinition, Types};
use super::value_sets::Terminology;
use super::{Compartment, Definitions, DefinitionsError, RawSearchParameter, structure};

/// Members that may wait between decompression and parsing.
const QUEUE: usize = 64;

/// What has been read so far. Of two definitions with one name or URL the later stands, so that a
/// package can refine what those before it say.
#[derive(Default)]
struct Collected {
    types: HashMap<String, TypeDefinition>,
    terminology: Terminology,
    search_parameters: BTreeMap<String, RawSearchParameter>,
    compartments: BTreeMap<String, Compartment>,
}

/// Compiles `packages`, in order.
pub(super) fn compile(packages: &[Package]) -> Result<Definitions, DefinitionsError> {
    let mut collected = Collected::default();
    for package in packages {
        collected.read(package)?;
    }
    collected.finish()
}

impl Collected {
    /// Decompresses on this thread and parses on another.
    fn read(&mut self, package: &Package) -> Result<(), PackageError> {
        let (sender, receiver) = sync_channel(QUEUE);
        std::thread::scope(|scope| {
            let parsing = scope.spawn(|| self.take_all(package, receiver));
            // Sending fails only where the parser has given up, and then says why itself.
            let reading = package.members(is_wanted, |member| sender.send(member).is_ok());
            drop(sender);
            let parsed = parsing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            reading.and(parsed)
        })
    }

    fn take_all(&mut self, package: &Package, members: Receiver<Member>) -> Result<(), PackageError> {
        for member in members {
            let value = package.parse(&member)?;
            if member.name == MANIFEST {
                verify_if_pinned(package, &value)?;
            } else {
                self.take(&value);
            }
        }
        Ok(())
    }

    fn take(&mut self, resource: &Value<'_>) {
        match resource.get_str("resourceType") {
            Some("StructureDefinition") => {
                let types = structure::types(resource).into_iter();
                self.types.extend(types.map(|ty| (ty.name.clone(), ty)));
            }
            Some("SearchParameter") => {
                let parameter = RawSearchParameter::from_json(resource);
                self.search_parameters.extend(parameter.map(|p| (p.url.clone(), p)));
            }
            Some("CompartmentDefinition") => {
                self.compartments.extend(Compartment::from_json(resource));
            }
            Some("ValueSet") => self.terminology.add_value_set(resource),
            Some("CodeSystem") => self.terminology.add_code_system(resource),
            _ => {}
        }
    }

    fn finish(self) -> Result<Definitions, DefinitionsError> {
        if !self.types.contains_key("Resource") {
            return Err(DefinitionsError::NoTypes);
        }
        let types: Vec<TypeDefinition> = self.types.into_values().collect();
        let required: BTreeSet<&str> = types
            .iter()
            .flat_map(|ty| &ty.elements)
            .filter_map(|element| element.binding.as_ref())
            .filter(|binding| binding.strength == BindingStrength::Required)
            .map(|binding| binding.value_set.as_str())
            .collect();
        let code_sets = required.iter().filter_map(|url| self.terminology.expand(url)).collect();
        let types = Types::new(types, code_sets);
        let raw_search_parameters: Vec<_> = self.search_parameters.into_values().collect();
        Ok(Definitions {
            search: ParameterTable::compile(&types, &raw_search_parameters)?,
            types: types.into(),
            raw_search_parameters: raw_search_parameters.into(),
            compartments: self.compartments.into(),
        })
    }
}

/// Refuses an archive that says it is the core package and is not the pinned one.
fn verify_if_pinned(package: &Package, manifest: &Value<'_>) -> Result<(), PackageError> {
    match Manifest::from_json(manifest) {
        Some(manifest) if manifest.is(&R4_CORE) => package.verify(R4_CORE.integrity),
        _ => Ok(()),
    }
}

fn is_wanted(member_name: &str) -> bool {
    member_name == MANIFEST
        || matches!(
            resource_type(member_name),
            Some("StructureDefinition" | "SearchParameter" | "CompartmentDefinition" | "ValueSet" | "CodeSystem")
        )
}
