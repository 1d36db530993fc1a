//! Every resource of the core package in part: what is left of a valid resource is valid.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use salus_fhir::json::{Limits, parse_bytes};
use salus_fhir::outcome::Issue;
use salus_fhir::packages::{Package, R4_CORE, default_cache_dir, resource_type};
use salus_fhir::subset::{Subset, is_subsetted};
use salus_fhir::validation::validate;
use salus_fhir::{Definitions, json::Value};

fn is_valid(resource: &Value<'_>, r4: &Definitions) -> bool {
    !validate(resource, r4).iter().any(Issue::is_error)
}

#[test]
fn what_is_left_of_a_valid_resource_is_valid() {
    let Some(path) = default_cache_dir().map(|cache| R4_CORE.path(&cache)).filter(|path| path.exists()) else {
        println!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
        return;
    };
    let r4 = Definitions::load_or_compile(&default_cache_dir().unwrap(), std::slice::from_ref(&path)).unwrap();
    let (mut count, mut marked, mut faults) = (0, 0, Vec::new());
    let read = Package::open(&path).unwrap().members(
        |name| resource_type(name).is_some(),
        |member| {
            let whole = parse_bytes(&member.content, &Limits::default()).unwrap();
            if !is_valid(&whole, &r4) {
                return true;
            }
            count += 1;
            for subset in [Subset::Summary, Subset::Text, Subset::Data, Subset::Elements(vec!["name".to_owned()])] {
                let mut part = whole.clone();
                subset.take(&mut part, &r4);
                marked += usize::from(is_subsetted(&part));
                let is_marked = part == whole || is_subsetted(&part);
                if !is_marked || !is_valid(&part, &r4) {
                    faults.push((member.name.clone(), subset, validate(&part, &r4)));
                }
            }
            true
        },
    );
    read.unwrap();
    assert!(count > 4000 && marked > count, "{marked} parts of {count} resources");
    for fault in faults.iter().take(20) {
        println!("{fault:?}");
    }
    assert!(faults.is_empty(), "{} of {count} resources", faults.len());
}
