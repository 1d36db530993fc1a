//! The FHIR artefacts that Salus itself defines: `fhir-profiles/` and the OperationDefinition of each
//! operation.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};

use salus_fhir::json::{self, Limits};
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_fhir::validation::Validator;
use salus_fhir::{CANONICAL_BASE, Definitions};

/// Every JSON file that is an artefact of ours.
fn artefacts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = |directory: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut found = files(&root.join("fhir-profiles"));
    for operation in files(&root.join("operations")).iter().filter(|path| path.is_dir()) {
        found.extend(files(operation).into_iter().filter(|path| name(path).starts_with("OperationDefinition")));
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn each_is_named_by_its_type_and_id_and_has_our_canonical_url() {
    assert!(artefacts().len() > 5);
    for path in artefacts() {
        let text = std::fs::read_to_string(&path).unwrap();
        let resource =
            json::parse(&text, &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", name(&path)));
        let member = |name: &str| resource.get_str(name).unwrap_or_default().to_owned();
        let (kind, id) = (member("resourceType"), member("id"));
        assert_eq!(name(&path), format!("{kind}-{id}.json"));
        assert_eq!(member("url"), format!("{CANONICAL_BASE}/{kind}/{id}"));
        for required in ["version", "name", "title", "status", "date", "publisher", "description"] {
            assert!(!member(required).is_empty(), "{}: {required}", name(&path));
        }
    }
}

#[test]
fn each_is_valid_r4() {
    let Some(package) = default_cache_dir().map(|cache| R4_CORE.path(&cache)).filter(|path| path.exists()) else {
        println!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
        return;
    };
    let r4 = Definitions::load_or_compile(&default_cache_dir().unwrap(), &[package]).unwrap();
    for path in artefacts() {
        let text = std::fs::read_to_string(&path).unwrap();
        let issues = Validator::new(&r4).validate(&json::parse(&text, &Limits::default()).unwrap());
        assert!(issues.is_empty(), "{}: {issues:#?}", name(&path));
    }
}
