//! What a model may look at of one patient, in one round trip, through the caller's access.

use salus_access::{Access, Permission};
use salus_fhir::Key;

use crate::facts::{code_key, compartment_key, parameter_key, patient_code_key};
use crate::predicate::View;
use crate::row::{Version, columns};
use crate::sql::{PROBE, PROBED, Sql};
use crate::{Error, Result, Store};

/// What to gather.
#[derive(Debug, Clone)]
pub struct ModelInputsQuery {
    /// Logical id of the patient.
    pub patient: String,
    /// Codes (in whatever system) of the Observations wanted.
    pub codes: Vec<String>,
    /// Nothing later than this moment, microseconds since 1970-01-01T00:00:00Z.
    pub as_of: i64,
    /// How far back from `as_of`, or from the start of an encounter that is under way then, microseconds.
    pub look_back: i64,
}

/// What was found, as far as the caller may see it.
#[derive(Debug, Clone)]
pub struct ModelInputs {
    /// The patient.
    pub patient: Version,
    /// Encounters that had begun by then and lasted into the window.
    pub encounters: Vec<Version>,
    /// Ids of the Locations of type ICU that those encounters name.
    pub icu_locations: Vec<String>,
    /// The Observations, oldest first.
    pub observations: Vec<Version>,
    /// Whether a Consent of the patient restricts this caller, whatever data exist.
    pub restricted: bool,
}

/// Most Observations looked at; a model's window holds far fewer.
const MOST_OBSERVATIONS: i64 = 20_000;

impl Store {
    /// Gathers what a model may look at.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such patient, or none the caller may see.
    pub async fn model_inputs(&self, access: &Access, query: &ModelInputsQuery) -> Result<ModelInputs> {
        let client = self.client().await?;
        let sql = self.inputs_sql(access, query);
        let statement = client.prepare_cached(&sql.text).await?;
        let rows = client.query(&statement, &sql.params()).await?;
        let mut patient = None;
        let mut restricted = false;
        let (mut encounters, mut icu_locations, mut observations) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let version = Version::from_row(row, 2)?;
            restricted |= row.try_get::<_, bool>(1)?;
            match version.resource_type.as_str() {
                "Patient" => patient = Some(version),
                "Encounter" => encounters.push(version),
                "Location" => icu_locations.push(version.id),
                _ => observations.push(version),
            }
        }
        let patient = patient
            .ok_or_else(|| Error::NotFound { resource_type: "Patient".to_owned(), id: query.patient.clone() })?;
        Ok(ModelInputs { patient, encounters, icu_locations, observations, restricted })
    }

    /// One statement: `p` the patient, `e` encounters, `l` their ICU locations, `o` observations since
    /// the earliest of those encounters that `as_of` falls into, or since the look-back.
    fn inputs_sql(&self, access: &Access, query: &ModelInputsQuery) -> Sql {
        let view = self.view(access);
        let patient = Key::resource("Patient", &query.patient);
        let since = query.as_of.saturating_sub(query.look_back);
        let mut sql = Sql::default();
        sql.push("WITH p AS MATERIALIZED (SELECT r.* FROM resource r WHERE r.tenant = ").bind(self.tenant());
        sql.push(" AND r.rid = ").bind(patient).push(" AND NOT r.deleted AND ");
        view.write_related(Permission::Read, "Patient", "r", &mut sql);
        sql.push("), e AS MATERIALIZED (SELECT r.*");
        Self::write_compartment(&[compartment_key("Encounter", patient)], &view, "Encounter", &mut sql);
        sql.push(" AND ").push(PROBE).push("search_index x WHERE x.tenant = r.tenant AND x.sort = r.sort");
        sql.push(" AND x.rid = r.rid AND x.key = ");
        sql.bind(parameter_key("Encounter", "date"))
            .push(" AND x.low <= ")
            .bind(query.as_of)
            .push(" AND x.high > ")
            .bind(since);
        sql.push(PROBED).push("), l AS (SELECT r.* FROM e JOIN search_index s ON s.tenant = e.tenant AND s.key = ");
        sql.bind(code_key("Location", "type", "ICU")).push(" JOIN resource r ON r.tenant = s.tenant AND r.rid = s.rid");
        sql.push(" WHERE reference_key(")
            .bind(parameter_key("Encounter", "location"))
            .push(", r.rid) = ANY(e.keys) AND NOT r.deleted AND ");
        view.write_related(Permission::Read, "Location", "r", &mut sql);
        sql.push("), o AS (SELECT r.*");
        let codes: Vec<Key> = query
            .codes
            .iter()
            .flat_map(|code| {
                ["code", "component-code"].map(|parameter| patient_code_key("Observation", patient, parameter, code))
            })
            .collect();
        Self::write_compartment(&codes, &view, "Observation", &mut sql);
        sql.push(" AND s.sort <= ").bind(query.as_of).push(" AND s.sort >= (SELECT least(min(e.sort), ").bind(since);
        sql.push(") FROM e) ORDER BY r.sort LIMIT ").bind(MOST_OBSERVATIONS).push(") ");
        for (position, part) in ["p", "e", "l", "o"].iter().enumerate() {
            sql.push(if position > 0 { " UNION ALL " } else { "" });
            sql.push(&format!("SELECT {position}, "));
            match *part {
                "p" => view.write_restricts(patient, &mut sql),
                _ => _ = sql.push("false"),
            }
            sql.push(", ").push(&columns("v")).push(" FROM ").push(part).push(" v");
        }
        sql
    }

    /// ` FROM` the resources that stand in the index under `keys`, as `s` and `r`, and the predicate.
    fn write_compartment(keys: &[Key], view: &View<'_>, resource_type: &str, sql: &mut Sql) {
        sql.push(" FROM (SELECT DISTINCT s.tenant, s.sort, s.rid FROM search_index s WHERE s.tenant = ")
            .bind(view.access.tenant());
        sql.push(" AND s.key = ANY(")
            .bind(keys)
            .push(")) s JOIN resource r ON r.tenant = s.tenant AND r.rid = s.rid WHERE NOT r.deleted AND ");
        view.write_related(Permission::Read, resource_type, "r", sql);
    }
}
