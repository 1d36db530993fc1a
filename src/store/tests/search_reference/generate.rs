//! Random resources from small vocabularies, so that they collide, and random queries about them.

use serde_json::{Value, json};

/// SplitMix64: small, seeded, the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const SYSTEMS: [&str; 2] = ["http://s.test/one", "http://s.test/two"];
const CODES: [&str; 5] = ["a", "b", "c", "d|e", "a,b"];
const NAMES: [&str; 8] = ["Éva", "Evans", "eve", "O'Brien", "Müller-Lüdenscheidt", "Van der Berg", "Berg", "Li"];
const DATES: [&str; 12] = [
    "2019",
    "2020",
    "2020-02",
    "2020-02-28",
    "2020-02-29",
    "2020-03-01",
    "2020-12-31T23:30:00Z",
    "2020-12-31T23:30:00-05:00",
    "2021-01-01",
    "2021-01-01T00:00:00Z",
    "2021-01-01T00:00:00.500Z",
    "2021-06-15T12:00:00+02:00",
];
const DAYS: [&str; 7] = ["1970", "1970-01", "1970-01-01", "1970-01-31", "1970-02", "1969-12-31", "2000-02-29"];
const NUMBERS: [&str; 13] =
    ["60", "60.2", "60.0", "60.5", "59.5", "0", "-5", "140.0", "1e2", "0.001", "0.06", "60000", "60200"];
const UNITS: [(&str, &str, &str); 6] = [
    ("http://unitsofmeasure.org", "mg", "milligram"),
    ("http://unitsofmeasure.org", "g", "g"),
    ("http://unitsofmeasure.org", "kg", "kg"),
    ("http://unitsofmeasure.org", "[pH]", "pH"),
    ("http://unitsofmeasure.org", "1", "kg"),
    ("http://u.test", "mg", "mg"),
];
const URLS: [&str; 2] = ["http://other.test/fhir/Patient/p1", "urn:uuid:6f3a1bbd-8c32-4d4b-8ccb-2a8ad8a5b3f5"];
const PREFIXES: [&str; 9] = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"];

const KINDS: [&str; 6] = ["Patient", "Observation", "Encounter", "Practitioner", "Organization", "Condition"];
/// Logical ids of each type run from 0 to this; references may point at none.
const IDS: usize = 34;

pub fn resources(random: &mut Random, count: usize) -> Vec<Value> {
    let mut numbers = [0; KINDS.len()];
    (0..count)
        .map(|_| {
            // Half of them Observations, which have the most to ask about.
            let kind = if random.chance(30) { 1 } else { random.below(KINDS.len()) };
            numbers[kind] += 1;
            resource(random, KINDS[kind], &id(KINDS[kind], numbers[kind]))
        })
        .collect()
}

fn id(kind: &str, number: usize) -> String {
    // Some ids of different types are equal.
    if number.is_multiple_of(3) { format!("x{number}") } else { format!("{}{number}", kind[..1].to_lowercase()) }
}

fn some<T>(random: &mut Random, percent: usize, make: impl FnOnce(&mut Random) -> T) -> Option<T> {
    random.chance(percent).then(|| make(random))
}

fn coding(random: &mut Random) -> Value {
    match random.chance(25) {
        true => json!({"code": random.pick(&CODES)}),
        false => json!({"system": random.pick(&SYSTEMS), "code": random.pick(&CODES)}),
    }
}

fn concept(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!({"text": "only a text"}),
        1 => json!({"coding": [coding(random), coding(random)]}),
        _ => json!({"coding": [coding(random)]}),
    }
}

fn identifier(random: &mut Random) -> Value {
    let mut identifier = json!({"value": random.pick(&CODES)});
    if random.chance(60) {
        identifier["system"] = json!(random.pick(&SYSTEMS));
    }
    if random.chance(40) {
        identifier["type"] = concept(random);
    }
    identifier
}

fn reference(random: &mut Random, kinds: &[&str]) -> Value {
    let kind = random.pick(kinds);
    let target = {
        let number = random.below(IDS);
        id(kind, number)
    };
    match random.below(12) {
        0 => json!({"identifier": identifier(random)}),
        1 => json!({"reference": random.pick(&URLS)}),
        2 => json!({"reference": format!("{}/{kind}/{target}", super::BASE)}),
        3 => json!({"reference": format!("{kind}/{target}/_history/1")}),
        4 => json!({"reference": format!("{kind}/{target}"), "identifier": identifier(random)}),
        _ => json!({"reference": format!("{kind}/{target}")}),
    }
}

fn name(random: &mut Random) -> Value {
    let mut name = json!({"family": random.pick(&NAMES)});
    if random.chance(70) {
        name["given"] = json!([random.pick(&NAMES), random.pick(&NAMES)]);
    }
    name
}

fn period(random: &mut Random) -> Value {
    let (start, end) = (random.below(6), 6 + random.below(6));
    match random.below(4) {
        0 => json!({"start": DATES[start]}),
        1 => json!({"end": DATES[end]}),
        _ => json!({"start": DATES[start], "end": DATES[end]}),
    }
}

fn quantity(random: &mut Random) -> Value {
    let number: Value = serde_json::from_str(random.pick(&NUMBERS)).unwrap();
    let (system, code, unit) = random.pick(&UNITS);
    match random.below(5) {
        0 => json!({"value": number}),
        1 => json!({"value": number, "unit": unit}),
        2 => {
            json!({"value": number, "comparator": random.pick(&["<", "<=", ">", ">="]), "system": system, "code": code})
        }
        _ => json!({"value": number, "unit": unit, "system": system, "code": code}),
    }
}

fn set(resource: &mut Value, member: &str, value: Option<Value>) {
    if let Some(value) = value {
        resource[member] = value;
    }
}

fn observation_value(resource: &mut Value, random: &mut Random) {
    match random.below(6) {
        0 => resource["valueString"] = json!(random.pick(&NAMES)),
        1 => resource["valueCodeableConcept"] = concept(random),
        2 => resource["valueDateTime"] = json!(random.pick(&DATES)),
        3 => {}
        _ => resource["valueQuantity"] = quantity(random),
    }
}

pub fn resource(random: &mut Random, kind: &str, id: &str) -> Value {
    let mut made = json!({"resourceType": kind, "id": id});
    let one = &mut made;
    if random.chance(60) {
        one["identifier"] = match kind {
            _ if random.chance(20) => json!([identifier(random), identifier(random)]),
            _ => json!([identifier(random)]),
        };
    }
    if random.chance(20) {
        one["meta"] = json!({"tag": [coding(random)], "profile": [random.pick(&URLS)]});
    }
    match kind {
        "Patient" | "Practitioner" => {
            set(one, "name", some(random, 80, |random| json!([name(random)])));
            set(one, "gender", some(random, 70, |random| json!(random.pick(&["male", "female", "other"]))));
            set(one, "birthDate", some(random, 80, |random| json!(random.pick(&DAYS))));
            set(one, "active", some(random, 50, |random| json!(random.chance(50))));
            if kind == "Patient" {
                let kinds = ["Practitioner", "Organization"];
                set(one, "generalPractitioner", some(random, 50, |random| json!([reference(random, &kinds)])));
                set(one, "managingOrganization", some(random, 30, |random| reference(random, &["Organization"])));
                set(one, "deceasedDateTime", some(random, 20, |random| json!(random.pick(&DATES))));
            }
        }
        "Organization" => {
            set(one, "name", some(random, 80, |random| json!(random.pick(&NAMES))));
            set(one, "partOf", some(random, 50, |random| reference(random, &["Organization"])));
        }
        "Encounter" => {
            one["status"] = json!(random.pick(&["planned", "finished"]));
            one["class"] = coding(random);
            set(one, "subject", some(random, 80, |random| reference(random, &["Patient", "Group"])));
            set(one, "period", some(random, 70, period));
            set(one, "serviceProvider", some(random, 50, |random| reference(random, &["Organization"])));
            set(one, "length", some(random, 50, quantity));
        }
        "Condition" => {
            one["subject"] = reference(random, &["Patient"]);
            set(one, "code", some(random, 80, concept));
            set(one, "category", some(random, 60, |random| json!([concept(random)])));
            set(one, "onsetDateTime", some(random, 60, |random| json!(random.pick(&DATES))));
            set(one, "encounter", some(random, 40, |random| reference(random, &["Encounter"])));
        }
        _ => {
            one["status"] = json!(random.pick(&["final", "amended"]));
            one["code"] = concept(random);
            set(one, "category", some(random, 60, |random| json!([concept(random)])));
            set(one, "subject", some(random, 85, |random| reference(random, &["Patient", "Patient", "Group"])));
            set(one, "encounter", some(random, 40, |random| reference(random, &["Encounter"])));
            let performers = ["Practitioner", "Organization", "Patient"];
            set(one, "performer", some(random, 40, |random| json!([reference(random, &performers)])));
            match random.below(4) {
                0 => one["effectivePeriod"] = period(random),
                1 => {}
                _ => one["effectiveDateTime"] = json!(random.pick(&DATES)),
            }
            observation_value(one, random);
            if random.chance(30) {
                let mut components = [json!({"code": concept(random)}), json!({"code": concept(random)})];
                components.iter_mut().for_each(|component| observation_value(component, random));
                one["component"] = json!(components);
            }
        }
    }
    made
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if matches!(c, ',' | '|' | '$' | '\\') { vec!['\\', c] } else { vec![c] }).collect()
}

fn token(random: &mut Random) -> String {
    let code = escaped(random.pick(&CODES));
    match random.below(8) {
        0 => format!("|{code}"),
        1 => format!("{}|", random.pick(&SYSTEMS)),
        2 | 3 => code,
        _ => format!("{}|{code}", random.pick(&SYSTEMS)),
    }
}

fn full_token(random: &mut Random) -> String {
    loop {
        let token = token(random);
        if !token.ends_with('|') {
            return token;
        }
    }
}

fn any_of(random: &mut Random, make: impl Fn(&mut Random) -> String) -> String {
    let count = match random.below(40) {
        // More than a statement writes one by one.
        0 => 12,
        1..10 => 2 + random.below(2),
        _ => 1,
    };
    (0..count).map(|_| make(random)).collect::<Vec<_>>().join(",")
}

fn date(random: &mut Random) -> String {
    format!("{}{}", random.pick(&PREFIXES), random.pick(&DATES))
}

fn day(random: &mut Random) -> String {
    format!("{}{}", random.pick(&PREFIXES), random.pick(&DAYS))
}

fn quantity_value(random: &mut Random) -> String {
    let number = format!("{}{}", random.pick(&PREFIXES), random.pick(&NUMBERS));
    let (system, code, unit) = random.pick(&UNITS);
    match random.below(5) {
        0 | 1 => number,
        2 => format!("{number}||{unit}"),
        3 => format!("{number}||{code}"),
        _ => format!("{number}|{system}|{code}"),
    }
}

fn reference_value(random: &mut Random, kinds: &[&str]) -> String {
    let kind = random.pick(kinds);
    let target = {
        let number = random.below(IDS);
        id(kind, number)
    };
    match random.below(8) {
        0 => target,
        1 => (random.pick(&URLS)).to_owned(),
        2 => format!("{}/{kind}/{target}", super::BASE),
        _ => format!("{kind}/{target}"),
    }
}

fn string(random: &mut Random) -> String {
    let name: Vec<char> = random.pick(&NAMES).chars().collect();
    let (start, end) = match random.below(4) {
        0 => (0, name.len()),
        1 => (random.below(name.len()), name.len()),
        _ => (0, 1 + random.below(name.len())),
    };
    let part: String = name[start..end].iter().collect();
    // A bare separator folds to nothing, which is no string.
    if part.trim().is_empty() { "e".to_owned() } else { part }
}

type Parameter = (String, String);

fn string_parameter(random: &mut Random, code: &str) -> Parameter {
    let modifier = random.pick(&["", "", ":exact", ":contains"]);
    (format!("{code}{modifier}"), any_of(random, string))
}

fn token_parameter(random: &mut Random, code: &str) -> Parameter {
    let modifier = if random.chance(20) { ":not" } else { "" };
    (format!("{code}{modifier}"), any_of(random, token))
}

fn reference_parameter(random: &mut Random, code: &str, kinds: &[&str]) -> Parameter {
    match random.below(6) {
        0 => (format!("{code}:identifier"), any_of(random, full_token)),
        1 => {
            let kind = random.pick(kinds);
            let number = random.below(IDS);
            (format!("{code}:{kind}"), id(kind, number))
        }
        _ => (code.to_owned(), any_of(random, |random| reference_value(random, kinds))),
    }
}

fn plain(random: &mut Random, kind: &str) -> Parameter {
    match random.below(24) {
        0 => {
            let modifier = if random.chance(30) { ":not" } else { "" };
            return (
                format!("_id{modifier}"),
                any_of(random, |random| {
                    let number = random.below(IDS);
                    id(kind, number)
                }),
            );
        }
        1 => {
            let code = missing_code(random, kind);
            return (format!("{code}:missing"), random.pick(&["true", "false"]).to_string());
        }
        2 => return token_parameter(random, "_tag"),
        3 => {
            let code = random.pick(&CODES);
            let value = format!("{}|{}|{}", random.pick(&SYSTEMS), escaped(code), escaped(random.pick(&CODES)));
            return ("identifier:of-type".to_owned(), value);
        }
        4 | 5 => return token_parameter(random, "identifier"),
        6 => {
            let yesterday = salus_fhir::datatypes::instant(super::now() - 86_400_000_000);
            let moments =
                ["gt2020".to_owned(), "lt2020".to_owned(), format!("ge{yesterday}"), format!("lt{yesterday},eq2020")];
            return ("_lastUpdated".to_owned(), moments[random.below(moments.len())].clone());
        }
        _ => {}
    }
    match kind {
        "Patient" | "Practitioner" => match random.below(if kind == "Patient" { 8 } else { 4 }) {
            0 => string_parameter(random, "family"),
            1 => string_parameter(random, "name"),
            2 => string_parameter(random, "given"),
            3 => {
                let not = if random.chance(30) { ":not" } else { "" };
                let system = if random.chance(30) { "http://hl7.org/fhir/administrative-gender|" } else { "" };
                (format!("gender{not}"), format!("{system}{}", random.pick(&["male", "female", "other"])))
            }
            4 => ("birthdate".into(), any_of(random, day)),
            5 => reference_parameter(random, "general-practitioner", &["Practitioner", "Organization"]),
            6 => ("death-date".into(), any_of(random, date)),
            _ => ("active".into(), random.pick(&["true", "false"]).to_string()),
        },
        "Organization" => match random.below(2) {
            0 => string_parameter(random, "name"),
            _ => reference_parameter(random, "partof", &["Organization"]),
        },
        "Encounter" => match random.below(7) {
            0 => token_parameter(random, "class"),
            1 => ("date".into(), any_of(random, date)),
            2 => reference_parameter(random, "patient", &["Patient", "Patient", "Group"]),
            3 => reference_parameter(random, "subject", &["Patient", "Group"]),
            4 => reference_parameter(random, "service-provider", &["Organization"]),
            5 => ("length".into(), any_of(random, quantity_value)),
            _ => ("status".into(), random.pick(&["planned", "finished", "planned,finished"]).to_string()),
        },
        "Condition" => match random.below(6) {
            0 => token_parameter(random, "category"),
            1 => reference_parameter(random, "patient", &["Patient", "Patient", "Group"]),
            2 => reference_parameter(random, "encounter", &["Encounter"]),
            3 => ("onset-date".into(), any_of(random, date)),
            4 => reference_parameter(random, "subject", &["Patient"]),
            _ => token_parameter(random, "code"),
        },
        _ => observation(random),
    }
}

fn observation(random: &mut Random) -> Parameter {
    match random.below(18) {
        0..=2 => token_parameter(random, "code"),
        3 => token_parameter(random, "category"),
        4 => token_parameter(random, "combo-code"),
        5 => token_parameter(random, "component-code"),
        6 | 7 => ("date".into(), any_of(random, date)),
        8 => ("value-quantity".into(), any_of(random, quantity_value)),
        9 => ("combo-value-quantity".into(), any_of(random, quantity_value)),
        10 => reference_parameter(random, "subject", &["Patient", "Group"]),
        11 | 12 => reference_parameter(random, "patient", &["Patient", "Patient", "Group"]),
        13 => reference_parameter(random, "performer", &["Practitioner", "Organization", "Patient"]),
        14 => string_parameter(random, "value-string"),
        15 => ("value-date".into(), any_of(random, date)),
        16 => token_parameter(random, "value-concept"),
        _ => composite(random),
    }
}

fn composite(random: &mut Random) -> Parameter {
    type Make = fn(&mut Random) -> String;
    let kinds: [(&str, Make); 7] = [
        ("code-value-quantity", quantity_value),
        ("component-code-value-quantity", quantity_value),
        ("combo-code-value-quantity", quantity_value),
        ("code-value-concept", full_token),
        ("code-value-date", date),
        ("code-value-string", string),
        ("component-code-value-concept", full_token),
    ];
    let (code, value) = random.pick(&kinds);
    ((*code).to_owned(), any_of(random, |random| format!("{}${}", full_token(random), value(random))))
}

fn missing_code(random: &mut Random, kind: &str) -> &'static str {
    match kind {
        "Patient" => random.pick(&["birthdate", "name", "gender", "general-practitioner", "identifier"]),
        "Practitioner" => random.pick(&["name", "gender", "identifier"]),
        "Organization" => random.pick(&["name", "partof"]),
        "Encounter" => random.pick(&["date", "patient", "class", "length"]),
        "Condition" => random.pick(&["code", "onset-date", "encounter"]),
        _ => random.pick(&["date", "value-quantity", "subject", "code", "combo-code", "value-string"]),
    }
}

/// The references that chains follow: from, by, to.
const LINKS: [(&str, &str, &[&str]); 12] = [
    ("Observation", "subject", &["Patient"]),
    ("Observation", "patient", &["Patient"]),
    ("Observation", "encounter", &["Encounter"]),
    ("Observation", "performer", &["Practitioner", "Organization", "Patient"]),
    ("Condition", "patient", &["Patient"]),
    ("Condition", "subject", &["Patient"]),
    ("Condition", "encounter", &["Encounter"]),
    ("Encounter", "patient", &["Patient"]),
    ("Encounter", "service-provider", &["Organization"]),
    ("Patient", "general-practitioner", &["Practitioner", "Organization"]),
    ("Patient", "organization", &["Organization"]),
    ("Organization", "partof", &["Organization"]),
];

fn parameter(random: &mut Random, kind: &str, depth: usize) -> Parameter {
    if depth > 0 && random.chance(30) {
        let forward: Vec<_> = LINKS.iter().filter(|(from, ..)| *from == kind).collect();
        let backward: Vec<_> = LINKS.iter().filter(|(_, _, to)| to.contains(&kind)).collect();
        if !forward.is_empty() && random.chance(60) {
            let (_, by, targets) = random.pick(&forward);
            let target = random.pick(targets);
            let (name, value) = parameter(random, target, depth - 1);
            // Without a type the chain goes wherever it applies.
            let everywhere = targets.len() == 1 || (name.starts_with("identifier") && random.chance(50));
            let hop = if everywhere && random.chance(70) { (*by).to_owned() } else { format!("{by}:{target}") };
            return (format!("{hop}.{name}"), value);
        }
        if !backward.is_empty() {
            let (source, by, _) = random.pick(&backward);
            let (name, value) = parameter(random, source, depth - 1);
            return (format!("_has:{source}:{by}:{name}"), value);
        }
    }
    plain(random, kind)
}

fn sort(random: &mut Random, kind: &str) -> Option<String> {
    let choices: &[&str] = match kind {
        "Patient" => &[
            "birthdate",
            "-birthdate",
            "family",
            "-name",
            "_id",
            "-_id",
            "family,-birthdate",
            "-death-date,birthdate,_id",
        ],
        "Practitioner" | "Organization" => &["name", "-name", "_id", "-_lastUpdated"],
        "Encounter" => &["date", "-date", "length", "-length,_id"],
        "Condition" => &["onset-date", "-onset-date", "_id"],
        _ => &[
            "date",
            "-date",
            "value-quantity",
            "-value-quantity,-date",
            "value-string,_id",
            "-value-date,value-quantity",
            "_lastUpdated",
        ],
    };
    random.chance(70).then(|| (random.pick(choices)).to_owned())
}

/// A type and the parameters of a search of it.
pub fn query(random: &mut Random) -> (&'static str, Vec<Parameter>) {
    let kind = if random.chance(40) { "Observation" } else { random.pick(&KINDS) };
    let count = random.pick(&[0, 1, 1, 1, 1, 2, 2, 3]);
    let mut parameters: Vec<Parameter> = (0..count).map(|_| parameter(random, kind, 3)).collect();
    if let Some(sort) = sort(random, kind) {
        parameters.push(("_sort".to_owned(), sort));
    }
    parameters.push(("_count".to_owned(), random.pick(&["1", "2", "3", "7", "50"]).to_string()));
    (kind, parameters)
}

pub fn show(kind: &str, parameters: &[Parameter]) -> String {
    let shown: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{kind}?{}", shown.join("&"))
}
