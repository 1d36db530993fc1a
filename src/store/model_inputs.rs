//! What a model may look at of one patient, in one round trip, through the caller's access.

use salus_access::Access;
use salus_fhir::Key;
use tokio_postgres::Row;

use crate::facts::{code_key, compartment_key, parameter_key, patient_code_key};
use crate::predicate::{OfPatient, View};
use crate::sql::{PROBE, PROBED, Sql};
use crate::{Error, Result, Store};

/// What to gather.
#[derive(Debug, Clone)]
pub struct ModelInputsQuery {
    /// Logical id of the patient.
    pub patient: String,
    /// Codes (in whatever system) of the Observations wanted, or of components of theirs.
    pub codes: Vec<String>,
    /// Nothing later than this moment, microseconds since 1970-01-01T00:00:00Z.
    pub as_of: i64,
    /// How far back from `as_of`, or from the start of an encounter that is under way then, microseconds.
    pub look_back: i64,
}

/// What was found, as far as the caller may see it.
#[derive(Debug)]
pub struct ModelInputs {
    /// The patient.
    pub patient: Body,
    /// Encounters that had begun by then and lasted into the window.
    pub encounters: Vec<Body>,
    /// Ids of the Locations of type ICU that those encounters name.
    pub icu_locations: Vec<String>,
    /// The Observations about the patient that have a code wanted, each once, in no order; where there are few,
    /// others as well.
    pub observations: Vec<Body>,
    /// Whether there are more Observations than [`MOST_OBSERVATIONS`], so that those given are not all.
    pub cut: bool,
    /// Whether a Consent of the patient restricts this caller, whatever data exist.
    pub restricted: bool,
}

/// The JSON text of a resource, where it was received.
#[derive(Debug)]
pub struct Body(Row);

impl Body {
    /// Column of the text.
    const TEXT: usize = 2;

    /// The text.
    pub fn as_str(&self) -> &str {
        // That it is there was seen when the row was taken.
        self.0.try_get(Self::TEXT).unwrap_or_default()
    }
}

/// Most Observations given; a model's window holds far fewer. No answer is made from a part of them: which part
/// would decide over it.
pub const MOST_OBSERVATIONS: usize = 20_000;

/// The parts of the statement, as its first column tells them apart.
const PATIENT: i32 = 0;
const ENCOUNTER: i32 = 1;
const LOCATION: i32 = 2;
const OBSERVATION: i32 = 3;

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
        let (mut encounters, mut icu_locations) = (Vec::new(), Vec::new());
        let mut observations = Vec::with_capacity(rows.len());
        for row in rows {
            let text: &str = row.try_get(Body::TEXT)?;
            match row.try_get::<_, i32>(0)? {
                PATIENT => {
                    restricted = row.try_get(1)?;
                    patient = Some(Body(row));
                }
                ENCOUNTER => encounters.push(Body(row)),
                LOCATION => icu_locations.push(text.to_owned()),
                _ => observations.push(Body(row)),
            }
        }
        let patient = patient
            .ok_or_else(|| Error::NotFound { resource_type: "Patient".to_owned(), id: query.patient.clone() })?;
        let cut = observations.len() > MOST_OBSERVATIONS;
        Ok(ModelInputs { patient, encounters, icu_locations, observations, cut, restricted })
    }

    /// One statement: `c` whether a Consent could bind the caller, `p` the patient, `e` encounters, `l` their ICU
    /// locations, `o` observations since the earliest of those encounters that `as_of` falls into, or since the
    /// look-back ([`Store::write_observations`]). What is sought in the index is made few there, before rows are fetched.
    fn inputs_sql(&self, access: &Access, query: &ModelInputsQuery) -> Sql {
        let view = self.view(access);
        let patient = Key::resource("Patient", &query.patient);
        let since = query.as_of.saturating_sub(query.look_back);
        let of = OfPatient { patient, restricts: "(SELECT c.restricts FROM c)" };
        let mut sql = Sql::default();
        sql.push("WITH c AS MATERIALIZED (SELECT ");
        view.write_restricts(patient, &mut sql);
        sql.push(" AS restricts), p AS (SELECT r.body FROM resource r WHERE r.tenant = ").bind(self.tenant());
        sql.push(" AND r.rid = ").bind(patient).push(" AND NOT r.deleted AND ");
        view.write_of_patient(&of, "Patient", "r", &mut sql);
        sql.push("), e AS MATERIALIZED (SELECT r.tenant, r.sort, r.keys, r.body FROM (SELECT s.tenant, s.rid");
        sql.push(" FROM search_index s WHERE s.tenant = ").bind(self.tenant()).push(" AND s.key = ");
        sql.bind(compartment_key("Encounter", patient)).push(" AND ").push(PROBE);
        sql.push("search_index x WHERE x.tenant = s.tenant AND x.sort = s.sort AND x.rid = s.rid AND x.key = ");
        sql.bind(parameter_key("Encounter", "date")).push(" AND x.low <= ").bind(query.as_of);
        sql.push(" AND x.high > ").bind(since).push(PROBED).push(")");
        write_rows(&view, &of, "Encounter", &mut sql);
        sql.push("), l AS (SELECT r.id FROM e JOIN search_index s ON s.tenant = e.tenant AND s.key = ");
        sql.bind(code_key("Location", "type", "ICU")).push(" JOIN resource r ON r.tenant = s.tenant AND r.rid = s.rid");
        sql.push(" WHERE reference_key(").bind(parameter_key("Encounter", "location"));
        sql.push(", r.rid) = ANY(e.keys) AND NOT r.deleted AND ");
        view.write_of_patient(&of, "Location", "r", &mut sql);
        sql.push("), ");
        self.write_observations(&view, &of, query, &mut sql);
        for (part, rows) in [
            (PATIENT, "c.restricts, p.body FROM p, c"),
            (ENCOUNTER, "false, e.body FROM e"),
            (LOCATION, "false, l.id FROM l"),
            (OBSERVATION, "false, o.body FROM o"),
        ] {
            sql.push(if part == PATIENT { "" } else { " UNION ALL " });
            sql.push(&format!("SELECT {part}, {rows}"));
        }
        sql
    }

    /// `w` the patient's Observations since the earliest encounter, if they are so few that fetching them all costs
    /// no more than looking for each code on its own, and `o` these, or else those that have a code wanted.
    fn write_observations(&self, view: &View<'_>, of: &OfPatient<'_>, query: &ModelInputsQuery, sql: &mut Sql) {
        let keys = |code: &String| ["code", "component-code"].map(|name| observation_key(of.patient, name, code));
        let codes: Vec<Key> = query.codes.iter().flat_map(keys).collect();
        let few = codes.len() as i64;
        let since = query.as_of.saturating_sub(query.look_back);
        let walk = |sql: &mut Sql| {
            sql.push(" AND s.sort <= ").bind(query.as_of).push(" AND s.sort >= (SELECT least(min(e.sort), ");
            sql.bind(since).push(") FROM e)");
        };
        sql.push("w AS MATERIALIZED (SELECT s.tenant, s.rid FROM search_index s WHERE s.tenant = ").bind(self.tenant());
        sql.push(" AND s.key = ").bind(parameter_key("Observation", "subject").reference(of.patient));
        walk(sql);
        sql.push(" LIMIT ").bind(few + 1).push("), o AS (SELECT r.body FROM (SELECT w.tenant, w.rid FROM w");
        sql.push(" WHERE (SELECT count(*) FROM w) <= ").bind(few);
        // An Observation stands under each of its codes.
        sql.push(" UNION ALL SELECT DISTINCT s.tenant, s.rid FROM search_index s WHERE (SELECT count(*) FROM w) > ");
        sql.bind(few).push(" AND s.tenant = ").bind(self.tenant()).push(" AND s.key = ANY(").bind(codes.as_slice());
        sql.push(")");
        walk(sql);
        sql.push(")");
        write_rows(view, of, "Observation", sql);
        sql.push(" LIMIT ").bind(MOST_OBSERVATIONS as i64 + 1).push(") ");
    }
}

fn observation_key(patient: Key, parameter: &str, code: &str) -> Key {
    patient_code_key("Observation", patient, parameter, code)
}

/// ` s JOIN` the resources found in the index, and the predicate on them.
fn write_rows(view: &View<'_>, of: &OfPatient<'_>, resource_type: &str, sql: &mut Sql) {
    sql.push(" s JOIN resource r ON r.tenant = s.tenant AND r.rid = s.rid WHERE NOT r.deleted AND ");
    view.write_of_patient(of, resource_type, "r", sql);
}
