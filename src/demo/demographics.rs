//! The Patient resource, in the shape of US Core (without declaring its profile).

use crate::clock::Moment;
use crate::datatypes::{ACT_REASON, plain_concept, reference};
use crate::hospital::{ORGANIZATION, Place, attending};
use crate::json::{Json, list, object};
use crate::person::Person;

const OMB: &str = "urn:oid:2.16.840.1.113883.6.238";

/// The Patient.
pub(crate) fn patient(id: String, person: &Person, death: Option<Moment>) -> Json {
    object! {
        "resourceType": "Patient",
        "id": id,
        // Labelled as test data, so that no one takes it for a person.
        "meta": object! {
            "tag": list![object! { "system": ACT_REASON, "code": "HTEST", "display": "test health data" }],
        },
        "extension": extensions(person),
        "identifier": list![object! {
            "use": "usual",
            "type": object! {
                "coding": list![object! {
                    "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR",
                    "display": "Medical record number",
                }],
                "text": "Medical record number",
            },
            "system": "https://salus.example/fhir/sid/mrn",
            "value": format!("MRN{:06}", 100_000 + person.number * 37),
            "assigner": reference(ORGANIZATION),
        }],
        "active": true,
        "name": list![object! {
            "use": "official",
            "family": person.family,
            "given": list![person.given, person.middle],
        }],
        "telecom": telecom(person),
        "gender": if person.female { "female" } else { "male" },
        "birthDate": person.birth.date(),
        "deceasedDateTime": death.map(Moment::date_time),
        "address": list![object! {
            "use": "home",
            "line": list![person.street.clone()],
            "city": person.city.0,
            "state": "MA",
            "postalCode": person.city.1,
            "country": "US",
        }],
        "maritalStatus": (person.age >= 18).then(|| plain_concept(
            "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
            if person.married { "M" } else { "S" },
        )),
        "communication": list![object! {
            "language": plain_concept("urn:ietf:bcp:47", if person.hispanic { "es" } else { "en-US" }),
            "preferred": true,
        }],
        "generalPractitioner": list![reference(attending(Place::Clinic).reference())],
        "managingOrganization": reference(ORGANIZATION),
    }
}

fn telecom(person: &Person) -> Json {
    let number = person.number;
    let user = format!("patient{number:03}@example.org");
    list![
        object! { "system": "phone", "value": format!("+1-617-555-01{:02}", number % 100), "use": "home" },
        object! { "system": "email", "value": user, "use": "home" },
    ]
}

fn extensions(person: &Person) -> Json {
    let category = |(code, display): (&'static str, &'static str)| {
        list![
            object! {
                "url": "ombCategory",
                "valueCoding": object! { "system": OMB, "code": code, "display": display },
            },
            object! { "url": "text", "valueString": display },
        ]
    };
    let ethnicity =
        if person.hispanic { ("2135-2", "Hispanic or Latino") } else { ("2186-5", "Not Hispanic or Latino") };
    list![
        object! {
            "extension": category(person.race),
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        },
        object! {
            "extension": category(ethnicity),
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity",
        },
        object! {
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",
            "valueCode": if person.female { "F" } else { "M" },
        },
    ]
}
