//! What a model may look at of one patient, in one round trip, through the caller's access.

use std::pin::pin;

use futures_util::TryStreamExt;
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

/// What was found, as far as the caller may see it; `T` is what the caller read of an Observation.
#[derive(Debug)]
pub struct ModelInputs<T> {
    /// The patient.
    pub patient: Body,
    /// Encounters that had begun by then and lasted into the window.
    pub encounters: Vec<Body>,
    /// Ids of the Locations of type ICU that those encounters name.
    pub icu_locations: Vec<String>,
    /// The Observations about the patient that have a code wanted, each once, in no order; where there are few,
    /// others as well.
    pub observations: Vec<T>,
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

/// Most rows that are no Observations.
const OTHERS: usize = 1000;

/// The parts of the statement, as its first column tells them apart.
const PATIENT: i32 = 0;
const ENCOUNTER: i32 = 1;
const LOCATION: i32 = 2;
const OBSERVATION: i32 = 3;

impl Store {
    /// Gathers what a model may look at. `observation` is handed the JSON text of each Observation as it arrives, so
    /// that reading them goes on while the database fetches the next ones.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such patient, or none the caller may see.
    pub async fn model_inputs<T>(
        &self,
        access: &Access,
        query: &ModelInputsQuery,
        mut observation: impl FnMut(&str) -> T,
    ) -> Result<ModelInputs<T>> {
        let client = self.client().await?;
        let sql = self.inputs_sql(access, query);
        let statement = client.prepare_cached(&sql.text).await?;
        let mut rows = pin!(client.query_raw(&statement, sql.params()).await?);
        let mut patient = None;
        let mut restricted = false;
        let (mut encounters, mut icu_locations) = (Vec::new(), Vec::new());
        let mut observations = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let text: &str = row.try_get(Body::TEXT)?;
            match row.try_get::<_, i32>(0)? {
                PATIENT => {
                    restricted = row.try_get(1)?;
                    patient = Some(Body(row));
                }
                ENCOUNTER => encounters.push(Body(row)),
                LOCATION => icu_locations.push(text.to_owned()),
                _ => observations.push(observation(text)),
            }
        }
        let patient = patient
            .ok_or_else(|| Error::NotFound { resource_type: "Patient".to_owned(), id: query.patient.clone() })?;
        let cut = observations.len() > MOST_OBSERVATIONS;
        Ok(ModelInputs { patient, encounters, icu_locations, observations, cut, restricted })
    }

    /// One statement: `c` whether a Consent could bind the caller, `e` encounters, `w` Observations since the earliest
    /// of them ([`Store::write_walk`]), `f` what is fetched besides `e`. All of that is under one copy of the predicate,
    /// since setting up a statement costs as much as a few hundred rows; encounters decide what else is looked for, so
    /// they have one of their own.
    fn inputs_sql(&self, access: &Access, query: &ModelInputsQuery) -> Sql {
        let view = self.view(access);
        let patient = Key::resource("Patient", &query.patient);
        let of = OfPatient { patient, restricts: "(SELECT c.restricts FROM c)" };
        let mut sql = Sql::default();
        sql.push("WITH c AS MATERIALIZED (SELECT ");
        view.write_restricts(patient, &mut sql);
        sql.push(" AS restricts), ");
        self.write_encounters(&view, &of, query, &mut sql);
        sql.push(", ");
        self.write_walk(patient, query, &mut sql);
        sql.push(", f AS (SELECT ").bind(PATIENT).push(" AS part, ").bind(patient).push(" AS rid");
        // Of the few ICUs those that an encounter names.
        sql.push(" UNION ALL SELECT ").bind(LOCATION).push(", s.rid FROM e JOIN search_index s ON s.tenant = ");
        sql.bind(self.tenant()).push(" AND s.key = ").bind(code_key("Location", "type", "ICU"));
        sql.push(" WHERE reference_key(").bind(parameter_key("Encounter", "location"));
        sql.push(", s.rid) = ANY(e.keys)");
        self.write_observations(patient, query, &mut sql);
        sql.push(") SELECT f.part, c.restricts, CASE f.part WHEN ").bind(LOCATION).push(" THEN r.id ELSE r.body END");
        sql.push(" FROM c, f");
        sql.join_resource(self.tenant(), "f").push(" WHERE NOT r.deleted AND ");
        view.write_of_patient(&of, &["Patient", "Location", "Observation"], "r", &mut sql);
        sql.push(" UNION ALL SELECT ").bind(ENCOUNTER).push(", false, e.body FROM e LIMIT ");
        sql.bind((MOST_OBSERVATIONS + OTHERS) as i64);
        sql
    }

    /// `e` the encounters that had begun by `as_of` and lasted into the window.
    fn write_encounters(&self, view: &View<'_>, of: &OfPatient<'_>, query: &ModelInputsQuery, sql: &mut Sql) {
        sql.push("e AS MATERIALIZED (SELECT r.sort, r.keys, r.body FROM (SELECT s.rid FROM search_index s");
        sql.push(" WHERE s.tenant = ").bind(self.tenant()).push(" AND s.key = ");
        sql.bind(compartment_key("Encounter", of.patient)).push(" AND ").push(PROBE);
        sql.push("search_index x WHERE x.tenant = s.tenant AND x.sort = s.sort AND x.rid = s.rid AND x.key = ");
        sql.bind(parameter_key("Encounter", "date")).push(" AND x.low <= ").bind(query.as_of);
        sql.push(" AND x.high > ").bind(since(query)).push(PROBED).push(") s");
        sql.join_resource(self.tenant(), "s").push(" WHERE NOT r.deleted AND ");
        view.write_of_patient(of, &["Encounter"], "r", sql);
        sql.push(")");
    }

    /// `w` the patient's Observations since the earliest encounter, up to one more than are worth fetching whatever
    /// their codes.
    fn write_walk(&self, patient: Key, query: &ModelInputsQuery, sql: &mut Sql) {
        sql.push("w AS MATERIALIZED (SELECT s.rid FROM search_index s WHERE s.tenant = ").bind(self.tenant());
        sql.push(" AND s.key = ").bind(parameter_key("Observation", "subject").reference(patient));
        write_times(query, sql);
        sql.push(" LIMIT ").bind(few(query) + 1).push(")");
    }

    /// The Observations to fetch: `w` if that is all of them, or else those that have a code wanted.
    fn write_observations(&self, patient: Key, query: &ModelInputsQuery, sql: &mut Sql) {
        let keys = |code: &String| CODES_OF.map(|parameter| patient_code_key("Observation", patient, parameter, code));
        let codes: Vec<Key> = query.codes.iter().flat_map(keys).collect();
        sql.push(" UNION ALL SELECT ").bind(OBSERVATION).push(", w.rid FROM w WHERE (SELECT count(*) FROM w) <= ");
        // An Observation stands under each of its codes.
        sql.bind(few(query)).push(" UNION ALL SELECT DISTINCT ").bind(OBSERVATION).push(", s.rid FROM search_index s");
        sql.push(" WHERE (SELECT count(*) FROM w) > ").bind(few(query)).push(" AND s.tenant = ").bind(self.tenant());
        sql.push(" AND s.key = ANY(").bind(codes.as_slice()).push(")");
        write_times(query, sql);
    }
}

/// The parameters by which an Observation has a code, or a component of it.
const CODES_OF: [&str; 2] = ["code", "component-code"];

/// How many Observations of any code are fetched rather than looking for each code wanted on its own: a descent in the
/// index costs as much as fetching a row, and most codes have several.
fn few(query: &ModelInputsQuery) -> i64 {
    3 * (CODES_OF.len() * query.codes.len()) as i64
}

fn since(query: &ModelInputsQuery) -> i64 {
    query.as_of.saturating_sub(query.look_back)
}

/// ` AND` that index entries `s` are not later than `as_of` and not before the earliest of `e`, or the look-back.
fn write_times(query: &ModelInputsQuery, sql: &mut Sql) {
    sql.push(" AND s.sort <= ").bind(query.as_of).push(" AND s.sort >= (SELECT least(min(e.sort), ");
    sql.bind(since(query)).push(") FROM e)");
}
