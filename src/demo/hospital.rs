//! What all patients share: the hospital, its places, its people, its devices, its wards.

use crate::chart::Chart;
use crate::datatypes::{Code, plain_concept, reference, snomed};
use crate::json::{Json, list, object};

/// The hospital.
pub(crate) const ORGANIZATION: &str = "Organization/demo-organization-001";
/// Bedside monitors.
pub(crate) const MONITOR: &str = "Device/demo-device-monitor";
/// The laboratory's analyzer.
pub(crate) const ANALYZER: &str = "Device/demo-device-analyzer";

/// Where something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Hospital,
    IntensiveCare,
    Medical,
    Surgical,
    Emergency,
    Clinic,
}

impl Place {
    const ALL: [Place; 6] =
        [Place::Hospital, Place::IntensiveCare, Place::Medical, Place::Surgical, Place::Emergency, Place::Clinic];

    /// Slug of the id, name, v3 RoleCode, physical type.
    fn facts(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Place::Hospital => ("hospital", "Salus Demo Hospital", "HOSP", "bu"),
            Place::IntensiveCare => ("icu", "Intensive Care Unit", "ICU", "wa"),
            Place::Medical => ("medical", "Medical Ward", "HU", "wa"),
            Place::Surgical => ("surgical", "Surgical Ward", "HU", "wa"),
            Place::Emergency => ("emergency", "Emergency Department", "ER", "wa"),
            Place::Clinic => ("clinic", "Primary Care Clinic", "PC", "wa"),
        }
    }

    /// A literal reference to its Location.
    pub(crate) fn reference(self) -> String {
        format!("Location/demo-location-{}", self.facts().0)
    }

    /// The id of the Group of those who lie there.
    pub(crate) fn group_id(self) -> String {
        format!("demo-group-{}", self.facts().0)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        self.facts().1
    }
}

/// A member of staff.
#[derive(Debug)]
pub(crate) struct Staff {
    pub(crate) id: &'static str,
    pub(crate) given: &'static str,
    pub(crate) family: &'static str,
    pub(crate) female: bool,
    /// Code of `practitioner-role`, or `compliance`, for which it has none.
    pub(crate) role: &'static str,
    /// NUCC provider taxonomy.
    pub(crate) specialty: Option<Code>,
    pub(crate) place: Place,
}

const NUCC: &str = "http://nucc.org/provider-taxonomy";

const fn doctor(
    id: &'static str,
    (given, family, female): (&'static str, &'static str, bool),
    taxonomy: (&'static str, &'static str),
    place: Place,
) -> Staff {
    Staff { id, given, family, female, role: "doctor", specialty: Some(Code::new(NUCC, taxonomy.0, taxonomy.1)), place }
}

const fn office(
    id: &'static str,
    (given, family, female): (&'static str, &'static str, bool),
    role: &'static str,
) -> Staff {
    Staff { id, given, family, female, role, specialty: None, place: Place::Hospital }
}

/// Everyone. The first is the demo's clinician, the last three its analyst, administrator and
/// compliance officer.
pub(crate) static STAFF: [Staff; 9] = [
    doctor(
        "demo-practitioner-001",
        ("Amara", "Lindqvist", true),
        ("207RC0200X", "Critical Care Medicine (Internal Medicine)"),
        Place::IntensiveCare,
    ),
    doctor("demo-practitioner-002", ("Tobias", "Grant", false), ("208M00000X", "Hospitalist"), Place::Medical),
    doctor("demo-practitioner-003", ("Helen", "Park", true), ("207Q00000X", "Family Medicine"), Place::Clinic),
    doctor("demo-practitioner-004", ("Marcus", "Bell", false), ("207P00000X", "Emergency Medicine"), Place::Emergency),
    doctor("demo-practitioner-005", ("Ines", "Caldwell", true), ("208600000X", "Surgery"), Place::Surgical),
    doctor("demo-practitioner-006", ("Rafael", "Stein", false), ("2084P0800X", "Psychiatry"), Place::Clinic),
    office("demo-practitioner-007", ("Noor", "Whitfield", true), "researcher"),
    office("demo-practitioner-008", ("Jonas", "Avery", false), "ict"),
    office("demo-practitioner-009", ("Carmen", "Holt", true), "compliance"),
];

/// Who treats at a place.
pub(crate) fn attending(place: Place) -> &'static Staff {
    STAFF.iter().find(|s| s.place == place).unwrap_or(&STAFF[1])
}

/// The psychiatrist, for what is sensitive.
pub(crate) fn psychiatrist() -> &'static Staff {
    &STAFF[5]
}

impl Staff {
    /// A literal reference to the Practitioner.
    pub(crate) fn reference(&self) -> String {
        format!("Practitioner/{}", self.id)
    }
}

/// All shared resources but the wards' Groups.
pub(crate) fn shared() -> Chart {
    let mut chart = Chart::new("demo");
    chart.put("Organization", "demo-organization-001".into(), organization);
    for place in Place::ALL {
        let id = format!("demo-location-{}", place.facts().0);
        chart.put("Location", id, |id| location(id, place));
    }
    for (i, staff) in STAFF.iter().enumerate() {
        chart.put("Practitioner", staff.id.into(), |id| practitioner(id, staff, i));
        let id = staff.id.replace("practitioner", "practitionerrole");
        chart.put("PractitionerRole", id, |id| practitioner_role(id, staff));
    }
    let monitor = snomed("706767009", "Patient data recorder").concept();
    chart.put("Device", "demo-device-monitor".into(), |id| {
        device(id, "Bedside monitor", monitor, Some(Place::IntensiveCare))
    });
    let analyzer = object! { "text": "Point-of-care blood gas analyzer" };
    chart.put("Device", "demo-device-analyzer".into(), |id| device(id, "Blood gas analyzer", analyzer, None));
    chart
}

fn organization(id: String) -> Json {
    object! {
        "resourceType": "Organization",
        "id": id,
        "identifier": list![npi(0)],
        "active": true,
        "type": list![plain_concept("http://terminology.hl7.org/CodeSystem/organization-type", "prov")],
        "name": "Salus Demo Hospital",
        "telecom": list![object! { "system": "phone", "value": "+1-617-555-0100", "use": "work" }],
        "address": list![object! {
            "line": list!["1 Harbor Road"], "city": "Boston", "state": "MA", "postalCode": "02118", "country": "US",
        }],
    }
}

fn location(id: String, place: Place) -> Json {
    let (_, name, role, physical) = place.facts();
    let part_of = (place != Place::Hospital).then(|| reference(Place::Hospital.reference()));
    object! {
        "resourceType": "Location",
        "id": id,
        "status": "active",
        "name": name,
        "mode": "instance",
        "type": list![plain_concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", role)],
        "physicalType": plain_concept("http://terminology.hl7.org/CodeSystem/location-physical-type", physical),
        "managingOrganization": reference(ORGANIZATION),
        "partOf": part_of,
    }
}

/// A National Provider Identifier with a right check digit, in a range that is never given out.
fn npi(number: usize) -> Json {
    let nine = format!("99999{number:04}");
    // Luhn over the prefix 80840, whose own digits add up to 24.
    let sum: u32 = nine
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let digit = u32::from(b - b'0');
            if i % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    let check = (10 - (sum + 24) % 10) % 10;
    object! { "system": "http://hl7.org/fhir/sid/us-npi", "value": format!("{nine}{check}") }
}

fn practitioner(id: String, staff: &Staff, number: usize) -> Json {
    object! {
        "resourceType": "Practitioner",
        "id": id,
        "identifier": list![npi(number + 1)],
        "active": true,
        "name": list![object! {
            "use": "official",
            "family": staff.family,
            "given": list![staff.given],
            "prefix": if staff.role == "doctor" { list!["Dr."] } else { Json::Absent },
        }],
        "telecom": list![object! {
            "system": "email",
            "value": format!("{}.{}@example.org", staff.given, staff.family).to_lowercase(),
            "use": "work",
        }],
        "gender": if staff.female { "female" } else { "male" },
    }
}

fn practitioner_role(id: String, staff: &Staff) -> Json {
    object! {
        "resourceType": "PractitionerRole",
        "id": id,
        "active": true,
        "practitioner": reference(staff.reference()),
        "organization": reference(ORGANIZATION),
        "code": list![match staff.role {
            "compliance" => object! { "text": "Compliance officer" },
            role => plain_concept("http://terminology.hl7.org/CodeSystem/practitioner-role", role),
        }],
        "specialty": staff.specialty.map(|code| list![code.concept()]),
        "location": list![reference(staff.place.reference())],
    }
}

fn device(id: String, name: &'static str, kind: Json, place: Option<Place>) -> Json {
    object! {
        "resourceType": "Device",
        "id": id,
        "status": "active",
        "deviceName": list![object! { "name": name, "type": "user-friendly-name" }],
        "type": kind,
        "owner": reference(ORGANIZATION),
        "location": place.map(|p| reference(p.reference())),
    }
}

/// The Group of those who lie on a ward at the reference date.
pub(crate) fn ward_group(place: Place, patients: &[String], id: String) -> Json {
    let members: Vec<Json> =
        patients.iter().map(|patient| object! { "entity": reference(format!("Patient/{patient}")) }).collect();
    object! {
        "resourceType": "Group",
        "id": id,
        "active": true,
        "type": "person",
        "actual": true,
        "name": format!("{}: present patients", place.name()),
        "quantity": patients.len() as u32,
        "managingEntity": reference(ORGANIZATION),
        "member": members,
    }
}
