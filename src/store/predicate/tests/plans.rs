//! That no shape of search reads a whole table: what PostgreSQL plans for it, predicate and all, on tables that are
//! large enough for it to matter, before it has statistics of them and after.

use super::*;
use crate::search::{CompartmentOf, SearchContext, SearchQuery};

/// Large tables of random rows: what stands in them does not matter, but how many there are.
const FILL: &str = "
    ALTER TABLE resource SET (autovacuum_enabled = off);
    ALTER TABLE search_index SET (autovacuum_enabled = off);
    INSERT INTO resource SELECT 7, md5('r' || n)::uuid, md5('p' || n % 2000)::uuid,
        (ARRAY['Patient','Observation','Encounter'])[1 + n % 3], 'id' || n, 1, n, n, false, 'PUT',
        ARRAY[md5('k' || n)::uuid, md5('c' || n % 50)::uuid], 2, '{}', '{}' FROM generate_series(1, 40000) n;
    INSERT INTO search_index (tenant, key, sort, rid, low, high, patient)
        SELECT 7, md5('k' || n % 5000)::uuid, n % 40000, md5('r' || n % 40000)::uuid, n,
        CASE n % 2 WHEN 0 THEN n + 1 END, md5('p' || n % 2000)::uuid FROM generate_series(1, 200000) n;
    INSERT INTO search_string SELECT 7, md5('k' || n % 20)::uuid, md5('s' || n), md5('r' || n)::uuid, 0, md5('s' || n),
        n, md5('p' || n % 2000)::uuid FROM generate_series(1, 40000) n;
    INSERT INTO consent_rule (tenant, patient, consent, node, ancestors, path, deny)
        SELECT 7, md5('p' || n)::uuid, md5('c' || n)::uuid, 0, '{}', '', n % 2 = 0 FROM generate_series(1, 20000) n";
const ANALYZE: &str = "ANALYZE resource, search_index, search_string, consent_rule";

/// The shapes of `make bench`, and others that applications use.
const SHAPES: [(&str, &str); 28] = [
    ("Patient", "identifier=urn:x|1"),
    ("Patient", "family=Chal"),
    ("Patient", "name:exact=Chalmers"),
    ("Patient", "birthdate=1974"),
    ("Patient", "_id=a,b"),
    ("Patient", "_lastUpdated=gt2999-01-01&_sort=_lastUpdated"),
    ("Patient", "_has:Observation:patient:code=1234-5"),
    ("Patient", "organization:Organization.name=acme"),
    ("Observation", ""),
    ("Observation", "date=ge2020-01-01&date=lt2020-02-01"),
    ("Observation", "value-quantity=5.4||mg"),
    ("Observation", "value-quantity=gt5.4"),
    ("Observation", "value-quantity=5.4|http://unitsofmeasure.org|mg"),
    ("Observation", "value-date=ge2020-01-01&value-date=lt2020-02-01"),
    ("Patient", "family=a,b,c,d"),
    ("Patient", "_has:Observation:patient:value-quantity=5.4"),
    ("Observation", "subject=Patient/1"),
    ("Observation", "patient=1&code=http://loinc.org|1234-5&_sort=-date"),
    ("Observation", "code=1234-5,1234-6"),
    ("Observation", "code:not=1234-5&patient=1"),
    ("Observation", "patient.identifier=1"),
    ("Observation", "subject:Patient.name=peter&code=1234-5"),
    ("Observation", "code-value-quantity=1234-5$gt5.4"),
    ("Observation", "patient=1&_sort=code"),
    ("Observation", "patient=1&_filter=code eq x or date ge 2020"),
    ("Observation", "patient=1&code:text=head"),
    ("Encounter", "participant:Practitioner.family=x"),
    ("Encounter", "_list=1"),
];

pub(super) async fn read_no_whole_table(bench: &Bench) {
    bench.store.client().await.unwrap().batch_execute(FILL).await.unwrap();
    look_up_rows(bench).await;
    bench.store.client().await.unwrap().batch_execute(ANALYZE).await.unwrap();
    look_up_rows(bench).await;
}

async fn look_up_rows(bench: &Bench) {
    for default_policy in [DefaultPolicy::PermitNormal, DefaultPolicy::Deny] {
        let access = bench.access(default_policy, &principal(7, "system/*.rs", None, "TREAT", &["Practitioner/1"]));
        let view = bench.view(&access);
        for (resource_type, query) in SHAPES {
            plan(bench, &view, SearchContext::of_type(resource_type), query).await;
        }
        let many: Vec<String> = (0..1000).map(|n| format!("urn:x|{n}")).collect();
        plan(bench, &view, SearchContext::of_type("Patient"), &format!("identifier={}", many.join(","))).await;
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        plan(bench, &view, SearchContext::of_type("Patient"), &format!("family={}", many.join(","))).await;
        plan(bench, &view, SearchContext::of_type("Observation"), &format!("value-quantity={}", many.join(","))).await;
        let of = CompartmentOf { owner: "Patient".to_owned(), id: "1".to_owned() };
        let whole = SearchContext::compartment(&bench.definitions, of, None).unwrap();
        plan(bench, &view, whole, "").await;
        let system = SearchContext::system(&bench.definitions);
        plan(bench, &view, system.clone(), "_type=Patient,Observation").await;
        plan(bench, &view, system, "_lastUpdated=gt2999-01-01").await;
    }
}

/// Explains the statements for a page and for the total.
async fn plan(bench: &Bench, view: &View<'_>, context: SearchContext, query: &str) {
    let parameters: Vec<(String, String)> = query
        .split('&')
        .filter_map(|one| one.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (parsed, ignored) = SearchQuery::parse(&view.definitions, context.clone(), &parameters).unwrap();
    assert!(ignored.is_empty(), "{query}: {ignored:?}");
    let compiled = parsed.compile(view).unwrap();
    let client = bench.store.client().await.unwrap();
    for sql in [compiled.page(view, None, 51), compiled.count(view, Some(10_000))] {
        let explain = format!("EXPLAIN (COSTS OFF) {}", sql.text);
        let rows = client.query(&explain, &sql.params()).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        // Whoever asks for the order of change names the collation of that index.
        let by_type = |line: &str| line.contains("using resource_updated") && !sql.text.contains("COLLATE");
        let whole = plan.iter().find(|line| line.contains("Seq Scan on") || by_type(line));
        assert!(whole.is_none(), "{:?}?{query}\n{}\n{}", context.one_type(), plan.join("\n"), sql.text);
        assert!(plan.iter().any(|line| line.contains("Index")), "{query}\n{}", plan.join("\n"));
    }
}
