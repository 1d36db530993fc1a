//! Prints how long extraction takes on a resource, the best of many batches (other load matters less):
//! `cargo run --release -p salus-fhir --example extract_speed -- FILE`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

fn main() {
    let cache = salus_fhir::packages::default_cache_dir().unwrap();
    let package = salus_fhir::packages::R4_CORE.path(&cache);
    let r4 = salus_fhir::Definitions::load_or_compile(&cache, &[package]).unwrap();
    for file in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&file).unwrap();
        let value = salus_fhir::json::parse(&text, &Default::default()).unwrap();
        let kind = value.get_str("resourceType").unwrap();
        let (mut values, mut best) = (0_u64, u128::MAX);
        let (batches, rounds) = (200, 1000);
        for _ in 0..batches {
            let start = std::time::Instant::now();
            for _ in 0..rounds {
                r4.search().extract(kind, std::hint::black_box(&value), &mut |_, _| values += 1);
            }
            best = best.min(start.elapsed().as_nanos() / rounds);
        }
        println!("{file}: {best} ns, {} values", u128::from(values) / rounds / batches);
    }
}
