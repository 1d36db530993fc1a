//! The access predicate as SQL: the one place where what the caller may see becomes a condition on
//! rows. Every statement that returns content or counts carries it.

use std::sync::Arc;

use salus_access::consent::keys::{ABOVE_NORMAL, above_normal, normal};
use salus_access::{Access, ConsentView, DefaultPolicy, Effect, Permission, RowFilter};
use salus_fhir::{Definitions, Key};

use crate::search::{Condition, FilterSets, compile};
use crate::sql::{NO_PATIENT, PROBE, PROBED, SEVERAL_PATIENTS, Sql};

/// An [`Access`] with the definitions its granular scopes are compiled by.
#[derive(Clone)]
pub(crate) struct View<'a> {
    /// What the caller may see.
    pub access: &'a Access,
    /// The permission whose grants bound the rows: that of the interaction at hand, unless it looks for
    /// something on the way.
    pub permission: Permission,
    /// Whether the rows are former versions; see [`View::of_former`].
    pub former: bool,
    /// The search parameters, as they are while this view lasts.
    pub definitions: Arc<Definitions>,
    /// The server's FHIR base URL.
    pub base: &'a str,
    /// The moment Consent periods are judged at, microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// The codes that a `_filter` asks for; none outside the search they were looked up for.
    pub filter_sets: Option<&'a FilterSets>,
}

/// Which rows of patients without any Consent are visible; see [`View::unruled`].
pub(crate) enum Unruled {
    /// All.
    Visible,
    /// Those that have none of these confidentiality labels.
    Unlabelled([&'static str; 2]),
    /// Only those in nobody's compartment.
    OfNobody,
}

/// Consent periods are judged at a moment cut to this, in microseconds, so that reads at about the same time have
/// the same predicate and share a statement.
const TENTH_OF_A_SECOND: i64 = 100_000;

impl<'a> View<'a> {
    /// What `access` admits now.
    pub fn new(access: &'a Access, definitions: Arc<Definitions>, base: &'a str) -> Self {
        let now = crate::store::now() / TENTH_OF_A_SECOND * TENTH_OF_A_SECOND;
        View { access, permission: access.permission(), former: false, definitions, base, now, filter_sets: None }
    }
}

impl View<'_> {
    /// Appends the predicate on `row`, whose type is `resource_type`, for the interaction at hand.
    pub fn write(&self, resource_type: &str, row: &str, sql: &mut Sql) {
        self.grants(resource_type).write(row, self, sql);
        self.write_consent(row, sql);
    }

    /// The predicate on `row` and that it is of one of `types`, for the interaction at hand.
    pub fn write_searched(&self, types: &[String], row: &str, sql: &mut Sql) {
        match types {
            [one] => {
                sql.push(row).push(".type = ").bind(one.as_str()).push(" AND ");
                self.write(one, row, sql);
            }
            types => {
                let types: Vec<&str> = types.iter().map(String::as_str).collect();
                self.write_types(self.permission, &types, row, sql);
            }
        }
    }

    /// The same for a row that the interaction only passes through (a chain) or takes along (an
    /// include), which takes `permission` on its type.
    pub fn write_related(&self, permission: Permission, resource_type: &str, row: &str, sql: &mut Sql) {
        self.any_of(resource_type, self.access.grants_for(permission, resource_type)).write(row, self, sql);
        self.write_consent(row, sql);
    }

    /// The same for rows most of which are of one patient. What can be said of all of these at once is not asked of
    /// each: where no deny could bind this caller ([`View::write_restricts`]), none decides about any of them.
    pub fn write_of_patient(&self, of: &OfPatient<'_>, types: &[&str], row: &str, sql: &mut Sql) {
        self.write_granted(Permission::Read, types, row, sql);
        self.write_consent_knowing(Some(of), row, sql);
    }

    /// Appends the predicate on `row` of any of `types`, each with its own grants. With no type
    /// granted the predicate is false.
    pub fn write_types(&self, permission: Permission, types: &[&str], row: &str, sql: &mut Sql) {
        self.write_granted(permission, types, row, sql);
        self.write_consent(row, sql);
    }

    /// The grants of [`View::write_types`].
    fn write_granted(&self, permission: Permission, types: &[&str], row: &str, sql: &mut Sql) {
        let grants = |name: &str| self.access.grants_for(permission, name);
        let (whole, partly): (Vec<&str>, Vec<&str>) =
            types.iter().partition(|name| grants(name).iter().any(RowFilter::is_unrestricted));
        sql.push("(").push(row).push(".type = ANY(");
        sql.bind(whole.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).push(")");
        for name in partly.iter().filter(|name| !grants(name).is_empty()) {
            sql.push(" OR (").push(row).push(".type = ").bind(*name).push(" AND ");
            self.any_of(name, grants(name)).write(row, self, sql);
            sql.push(")");
        }
        sql.push(")");
    }

    /// Whether Consent does not bind this caller.
    pub fn is_exempt(&self) -> bool {
        matches!(self.access.consent(), ConsentView::Exempt)
    }

    /// What is visible of patients without any Consent, as far as Consent goes.
    pub fn unruled(&self) -> Unruled {
        match self.access.consent() {
            ConsentView::Exempt => Unruled::Visible,
            ConsentView::Enforce { default_policy, break_glass, .. } => match default_policy {
                DefaultPolicy::PermitAll => Unruled::Visible,
                DefaultPolicy::PermitNormal | DefaultPolicy::BreakGlassOnly if *break_glass => Unruled::Visible,
                DefaultPolicy::PermitNormal => Unruled::Unlabelled(ABOVE_NORMAL),
                DefaultPolicy::BreakGlassOnly | DefaultPolicy::Deny => Unruled::OfNobody,
            },
        }
    }

    /// What the scopes grant of one type for the interaction at hand: any of the granting scopes.
    pub fn grants(&self, resource_type: &str) -> Condition {
        self.any_of(resource_type, self.filters(resource_type))
    }

    /// The same, as alternatives.
    pub fn filters(&self, resource_type: &str) -> &[RowFilter] {
        self.access.grants_for(self.permission, resource_type)
    }

    /// The view on former versions. They are known by their facts alone: the index speaks of current ones, so
    /// grants that would have to look into it admit nothing. The caller must be allowed to see the current
    /// version as well: what was labelled or denied since is not to be had through its history.
    pub fn of_former(&self) -> Self {
        Self { former: true, ..self.clone() }
    }

    fn any_of(&self, resource_type: &str, filters: &[RowFilter]) -> Condition {
        if filters.iter().any(RowFilter::is_unrestricted) {
            return Condition::Everything;
        }
        let any = Condition::Any(filters.iter().map(|filter| self.grant(resource_type, filter)).collect());
        if self.former { by_facts_alone(any) } else { any }
    }

    fn grant(&self, resource_type: &str, filter: &RowFilter) -> Condition {
        let compartment = filter.compartment.map(|patient| Condition::AnyFact(vec![patient]));
        // A scope whose filter cannot be compiled grants nothing: refused rather than widened. So it is with former
        // versions and parameters that came later: that a version lacks the fact says nothing.
        let search = |(name, value): &(String, String)| match self.former && asks_custom(self, resource_type, name) {
            true => Condition::Nothing,
            false => compile::parameter(self, resource_type, name, value).unwrap_or(Condition::Nothing),
        };
        let searches = filter.search.iter().map(search);
        Condition::All(compartment.into_iter().chain(searches).collect())
    }

    /// Appends ` AND` what Consent demands, if it binds this caller.
    fn write_consent(&self, row: &str, sql: &mut Sql) {
        self.write_consent_knowing(None, row, sql);
    }

    fn write_consent_knowing(&self, of: Option<&OfPatient<'_>>, row: &str, sql: &mut Sql) {
        let ConsentView::Enforce { purpose, actors, default_policy, break_glass } = self.access.consent() else {
            return;
        };
        let caller = Caller { purpose, actors, now: self.now, break_glass: *break_glass };
        sql.push(" AND NOT ");
        caller.write_decided(Effect::Deny, of, row, sql);
        match default_policy {
            DefaultPolicy::PermitAll => return,
            DefaultPolicy::PermitNormal | DefaultPolicy::BreakGlassOnly if *break_glass => return,
            DefaultPolicy::PermitNormal => {
                sql.push(" AND (NOT ").push(row).push(".keys && ").bind(above_normal().as_slice());
            }
            // Rows in nobody's compartment are not a patient's to permit, and Consents are withheld by labels alone.
            DefaultPolicy::BreakGlassOnly | DefaultPolicy::Deny => {
                sql.push(" AND (").push(row).push(".patient = ").bind(NO_PATIENT);
                sql.push(" OR (").push(row).push(".type = 'Consent' AND NOT ").push(row).push(".keys && ");
                sql.bind(above_normal().as_slice()).push(")");
            }
        }
        sql.push(" OR ");
        caller.write_decided(Effect::Permit, None, row, sql);
        sql.push(")");
    }

    /// Appends whether any deny provision could bind this caller for the patient with key `patient`,
    /// whatever data exist (contract: `inputs-may-be-withheld`; `salus_access::consent::restricts`).
    pub fn write_restricts(&self, patient: Key, sql: &mut Sql) {
        let ConsentView::Enforce { purpose, actors, break_glass, .. } = self.access.consent() else {
            sql.push("false");
            return;
        };
        // As for rows: whether the patient has Consents at all is asked first.
        sql.push("CASE WHEN ").push(PROBE).push("consent_rule c WHERE c.tenant = ").bind(self.access.tenant());
        sql.push(" AND c.patient = ").bind(patient).push(PROBED).push(" THEN consent_restricts(");
        sql.bind(self.access.tenant()).push(", ").bind(patient).push(", ");
        Caller { purpose, actors, now: self.now, break_glass: *break_glass }.write(sql);
        sql.push(if *break_glass { ", true)" } else { ", false)" }).push(" ELSE false END");
    }
}

/// Whether a parameter of a scope is one that was added to those of the packages.
fn asks_custom(view: &View<'_>, resource_type: &str, name: &str) -> bool {
    let code = name.split([':', '.']).next().unwrap_or_default();
    view.definitions.search().get(resource_type, code).is_some_and(|parameter| parameter.custom.is_some())
}

/// The condition as far as the facts of a row decide it: where the index would have to be asked, it does not hold.
fn by_facts_alone(condition: Condition) -> Condition {
    match condition {
        Condition::Range { .. } | Condition::Text { .. } | Condition::ReverseChain { .. } => Condition::Nothing,
        Condition::All(all) => Condition::All(all.into_iter().map(by_facts_alone).collect()),
        Condition::Any(any) => Condition::Any(any.into_iter().map(by_facts_alone).collect()),
        // What is negated are facts and ids (see `search::compile`).
        other => other,
    }
}

/// A patient whom most rows of a statement are of.
pub(crate) struct OfPatient<'a> {
    /// Key of the patient.
    pub patient: Key,
    /// An expression that is worth what [`View::write_restricts`] writes for this patient, computed once.
    pub restricts: &'a str,
}

/// The caller as Consent rules see it.
struct Caller<'a> {
    purpose: &'a str,
    actors: &'a [Key],
    now: i64,
    break_glass: bool,
}

impl Caller<'_> {
    /// Appends whether a provision with this effect decides about the row. That one matches at all is asked first:
    /// most patients have no Consents, most Consents are not about this caller, and then nothing else is.
    fn write_decided(&self, effect: Effect, of: Option<&OfPatient<'_>>, row: &str, sql: &mut Sql) {
        let effect = if effect == Effect::Deny { "true" } else { "false" };
        sql.push("(");
        if let Some(of) = of {
            sql.push("NOT (").push(row).push(".patient = ").bind(of.patient);
            sql.push(" AND NOT ").push(of.restricts).push(") AND ");
        }
        sql.push("(").push(row).push(".patient = ").bind(SEVERAL_PATIENTS).push(" OR ").push(PROBE);
        sql.push("consent_rule c WHERE c.tenant = ").push(row).push(".tenant AND c.patient = ").push(row);
        sql.push(".patient AND c.deny = ").push(effect).push(" AND consent_matches(c");
        for column in ["type", "rid", "keys", "sort"] {
            sql.push(", ").push(row).push(".").push(column);
        }
        sql.push(", ");
        self.write(sql);
        sql.push(")").push(PROBED).push(") AND consent_decides(").push(effect);
        for column in ["tenant", "patient", "type", "rid", "keys", "sort"] {
            sql.push(", ").push(row).push(".").push(column);
        }
        sql.push(", ");
        self.write(sql);
        sql.push(if self.break_glass { ", true, " } else { ", false, " }).bind(normal()).push("))");
    }

    /// Appends the caller as the functions of the schema take it.
    fn write(&self, sql: &mut Sql) {
        sql.bind(self.actors).push(", ").bind(self.purpose).push(", ").bind(self.now);
    }
}

#[cfg(test)]
mod tests;
