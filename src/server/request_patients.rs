//! The patients that a request is about, for the audit, as far as it says so itself: by its path, its parameters, and
//! the resources it brings. What failed has no answer that would tell, and an answer without any match tells something
//! of the patients it was asked about, too.

use salus_access::Interaction;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::validation::is_id;

use crate::app::App;
use crate::request::{Body, FORM, FhirRequest, percent_decoded};
use crate::route::Route;

/// What a failed request tried, where only its body tells, and the patients it named.
#[derive(Debug, Default)]
pub struct Attempt {
    /// `Transaction`, where that is what the Bundle is.
    pub interaction: Option<Interaction>,
    /// Logical ids, sorted, each once.
    pub patients: Vec<String>,
}

impl Attempt {
    /// Reads it from a request and what is known of its route.
    pub fn of(app: &App, route: Option<&Route>, request: &FhirRequest<'_>) -> Self {
        let mut attempt = Self::default();
        let resource_type = route.map(Route::type_name).unwrap_or_default();
        let compartment = route.and_then(|route| route.compartment.as_ref());
        attempt.patients.extend(compartment.filter(|of| of.owner == "Patient").map(|of| of.id.clone()));
        attempt.path_and_query(&app.base, resource_type, route.map(Route::id).unwrap_or_default(), request);
        match &request.body {
            Body::Empty => {}
            Body::Resource(resource) => attempt.resource(app, resource),
            Body::Bytes(bytes) if request.content_type == FORM => {
                let parameters: Vec<_> = form_urlencoded::parse(bytes).into_owned().collect();
                attempt.patients.extend(named(&app.base, resource_type, &parameters));
            }
            Body::Bytes(bytes) => {
                if let Ok(resource) = json::parse_bytes(bytes, &Limits::default()) {
                    attempt.resource(app, &resource);
                }
            }
        }
        attempt.patients.sort_unstable();
        attempt.patients.dedup();
        attempt
    }

    fn path_and_query(&mut self, base: &str, resource_type: &str, id: &str, request: &FhirRequest<'_>) {
        if resource_type == "Patient" && is_id(id) {
            self.patients.push(id.to_owned());
        }
        self.patients.extend(named(base, resource_type, &request.parameters()));
        let criteria = request.if_none_exist.as_deref().unwrap_or_default().trim_start_matches('?');
        let criteria: Vec<_> = form_urlencoded::parse(criteria.as_bytes()).into_owned().collect();
        self.patients.extend(named(base, resource_type, &criteria));
    }

    fn resource(&mut self, app: &App, resource: &Value<'_>) {
        match resource.get_str("resourceType").unwrap_or_default() {
            "Bundle" => {
                if resource.get_str("type") == Some("transaction") {
                    self.interaction = Some(Interaction::Transaction);
                }
                resource.items("entry").iter().for_each(|entry| self.entry(app, entry));
            }
            "Parameters" => {
                let named = |item: &&Value<'_>| item.get_str("name") == Some("patient");
                let references = resource.items("parameter").iter().filter(named);
                let references = references.filter_map(|item| item.get("valueReference")?.get_str("reference"));
                self.patients.extend(references.filter_map(|reference| patient_id(&app.base, reference)));
            }
            kind if app.definitions.is_resource_type(kind) => {
                let id = resource.get_str("id").unwrap_or_default();
                let patients = app.store.patients_of(kind, id, resource);
                self.patients.extend(patients.into_iter().filter(|id| is_id(id)));
            }
            _ => {}
        }
    }

    fn entry(&mut self, app: &App, entry: &Value<'_>) {
        if let Some(resource) = entry.get("resource").filter(|resource| !is_bundle(resource)) {
            self.resource(app, resource);
        }
        let Some(url) = entry.get("request").and_then(|request| request.get_str("url")) else { return };
        let url = url.strip_prefix(&app.base).unwrap_or(url);
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let path = percent_decoded(path.trim_matches('/'));
        let mut segments = path.split('/');
        let (kind, id) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        let request = FhirRequest { query: query.to_owned(), ..FhirRequest::default() };
        self.path_and_query(&app.base, kind, id, &request);
    }
}

fn is_bundle(resource: &Value<'_>) -> bool {
    resource.get_str("resourceType") == Some("Bundle")
}

/// Ids of the patients that search parameters name: by reference, relative or with this server's base,
/// or by id where only a patient's can stand.
pub fn named(base: &str, resource_type: &str, parameters: &[(String, String)]) -> Vec<String> {
    let mut patients = Vec::new();
    for (name, value) in parameters {
        let bare = match name.as_str() {
            "_id" => resource_type == "Patient",
            "patient" | "patient._id" | "subject:Patient._id" => true,
            name => name.ends_with(":Patient"),
        };
        for one in value.split(',') {
            patients.extend(patient_id(base, one).or_else(|| (bare && is_id(one)).then(|| one.to_owned())));
        }
    }
    patients
}

/// The id in a reference to a Patient of this server.
fn patient_id(base: &str, reference: &str) -> Option<String> {
    let local = reference.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(reference);
    // A version may be named as well.
    let id = local.strip_prefix("Patient/")?.split('/').next()?;
    is_id(id).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn patients_are_named_in_many_ways() {
        let base = "https://salus.example/fhir";
        let named = |kind: &str, name: &str, value: &str| named(base, kind, &[(name.to_owned(), value.to_owned())]);
        assert_eq!(named("Patient", "_id", "a,b"), ["a", "b"]);
        assert_eq!(named("Observation", "_id", "a"), [""; 0]);
        assert_eq!(named("Observation", "patient", "a,Patient/b"), ["a", "b"]);
        assert_eq!(named("Observation", "subject:Patient", "a"), ["a"]);
        assert_eq!(named("Observation", "subject", "a,Group/b,Patient/c/_history/2"), ["c"]);
        assert_eq!(named("Coverage", "beneficiary", "https://salus.example/fhir/Patient/a"), ["a"]);
        assert_eq!(named("Observation", "subject", "https://elsewhere.example/fhir/Patient/a"), [""; 0]);
        assert_eq!(named("Observation", "subject:Patient.name", "Patient/"), [""; 0]);
        assert_eq!(named("Observation", "patient._id", "a"), ["a"]);
    }
}
