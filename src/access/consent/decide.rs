//! The semantics of the rules, in memory: the reference for the store's SQL.

use std::collections::HashMap;

use salus_fhir::Key;

use super::keys::{above_normal, normal};
use super::{BREAK_GLASS, ConsentRule, DISCLOSING_ACTIONS, Effect};
use crate::access::{ConsentView, DefaultPolicy};

/// The type of what the rules come from; see [the module](super), "Consents themselves".
const CONSENT: &str = "Consent";

/// Who asks, what for, and when.
#[derive(Debug, Clone)]
pub struct ConsentContext<'a> {
    /// Purpose of use: a bare ActReason code.
    pub purpose: &'a str,
    /// The keys by which a provision may name the caller.
    pub actors: &'a [Key],
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// Whether the caller breaks the glass, and may.
    pub break_glass: bool,
}

impl<'a> ConsentContext<'a> {
    /// The context of a caller; `None` if Consent does not bind it.
    pub fn new(view: &'a ConsentView, now: i64) -> Option<Self> {
        match view {
            ConsentView::Exempt => None,
            ConsentView::Enforce { purpose, actors, break_glass, .. } => {
                Some(Self { purpose, actors, now, break_glass: *break_glass })
            }
        }
    }
}

/// What the rules look at in a row.
#[derive(Debug, Clone)]
pub struct RowFacts<'a> {
    /// Its resource type.
    pub resource_type: &'a str,
    /// Its keys: codes, labels, compartments.
    pub keys: &'a [Key],
    /// Its natural date, microseconds since 1970-01-01T00:00:00Z.
    pub sort: i64,
    /// Its own key, `Key::resource(type, id)`.
    pub rid: Key,
}

impl RowFacts<'_> {
    fn is_consent(&self) -> bool {
        self.resource_type == CONSENT
    }

    fn is_normal(&self) -> bool {
        !above_normal().iter().any(|label| self.keys.contains(label))
    }
}

/// What the rules say about a row, and which provision decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Some permit provision decides and no deny does.
    Permit {
        /// The Consent.
        consent: Key,
        /// The provision in it.
        path: String,
    },
    /// Some deny provision decides.
    Deny {
        /// The Consent.
        consent: Key,
        /// The provision in it.
        path: String,
    },
    /// No provision decides; the default policy holds.
    NoRule,
}

impl Decision {
    /// Whether the row may be seen, given what holds by default.
    pub fn permits(&self, default: DefaultPolicy, row: &RowFacts<'_>, break_glass: bool) -> bool {
        match (self, default) {
            (Self::Permit { .. }, _) | (Self::NoRule, DefaultPolicy::PermitAll) => true,
            (Self::Deny { .. }, _) => false,
            // A default is not stricter with Consents than with what is labelled.
            (Self::NoRule, DefaultPolicy::Deny) => row.is_consent() && row.is_normal(),
            (Self::NoRule, DefaultPolicy::BreakGlassOnly) => break_glass || row.is_consent() && row.is_normal(),
            (Self::NoRule, DefaultPolicy::PermitNormal) => break_glass || row.is_normal(),
        }
    }
}

/// Decides about a row by the rules of its patient (or patients). Where several provisions decide,
/// any deny wins, and of equals the first by Consent and number is named, whatever the order of
/// `rules`. About a Consent only provisions decide that name it.
pub fn decide(rules: &[ConsentRule], row: &RowFacts<'_>, ctx: &ConsentContext<'_>) -> Decision {
    let by_node: HashMap<_, _> = rules.iter().map(|rule| (identity(rule, rule.node), rule)).collect();
    let matches = |rule: &ConsentRule| rule.applies(ctx) && rule.covers(row);
    let decides = |rule: &&ConsentRule| {
        let above = || rule.ancestors.iter().map(|node| by_node.get(&identity(rule, *node)));
        matches(rule)
            && above().all(|above| above.is_some_and(|above| matches(above)))
            && (!row.is_consent() || rule.names(row) || above().flatten().any(|above| above.names(row)))
            && !rules.iter().any(|child| child.is_child_of(rule) && matches(child))
    };
    let first = |effect: Effect| {
        rules
            .iter()
            .filter(|rule| rule.effect == effect && (effect == Effect::Permit || rule.holds_against(ctx)))
            .filter(decides)
            .min_by_key(|rule| identity(rule, rule.node))
    };
    if let Some(rule) = first(Effect::Deny) {
        return Decision::Deny { consent: rule.consent, path: rule.path.clone() };
    }
    match first(Effect::Permit) {
        Some(rule) => Decision::Permit { consent: rule.consent, path: rule.path.clone() },
        None => Decision::NoRule,
    }
}

/// Whether any deny provision could hide something from this caller, whatever data there are. Tells
/// the caller nothing about the data: for `inputs-may-be-withheld`.
pub fn restricts(rules: &[ConsentRule], ctx: &ConsentContext<'_>) -> bool {
    let by_node: HashMap<_, _> = rules.iter().map(|rule| (identity(rule, rule.node), rule)).collect();
    rules.iter().any(|rule| {
        let above = |node: &i32| by_node.get(&identity(rule, *node)).is_some_and(|above| above.applies(ctx));
        let always_excepted =
            || rules.iter().any(|child| child.is_child_of(rule) && child.applies(ctx) && child.is_about_all_data());
        rule.effect == Effect::Deny
            && rule.holds_against(ctx)
            && rule.applies(ctx)
            && rule.ancestors.iter().all(above)
            && !always_excepted()
    })
}

fn identity(rule: &ConsentRule, node: i32) -> (Key, Key, i32) {
    (rule.patient, rule.consent, node)
}

impl ConsentRule {
    /// Whether it holds for this caller, purpose and moment.
    fn applies(&self, ctx: &ConsentContext<'_>) -> bool {
        within(ctx.now, self.period)
            && any(self.actors.as_deref(), |actor| ctx.actors.contains(actor))
            && any(self.purposes.as_deref(), |purpose| purpose == ctx.purpose)
            && any(self.actions.as_deref(), |action| DISCLOSING_ACTIONS.contains(&action.as_str()))
    }

    /// Whether it is about this row.
    fn covers(&self, row: &RowFacts<'_>) -> bool {
        within(row.sort, self.data_period)
            && any(self.classes.as_deref(), |class| class == row.resource_type)
            && any(self.codes.as_deref(), |code| row.keys.contains(code))
            && any(self.labels.as_deref(), |label| row.keys.contains(label))
            && any(self.data.as_deref(), |rid| *rid == row.rid)
    }

    /// Whether, of a row that it covers, it says which it means: by class, instance or label, where that normal data
    /// are normal says nothing.
    fn names(&self, row: &RowFacts<'_>) -> bool {
        let normal = normal();
        let labelled = |label: &Key| *label != normal && row.keys.contains(label);
        self.classes.is_some() || self.data.is_some() || self.labels.iter().flatten().any(labelled)
    }

    /// Whether it has no dimension of data.
    fn is_about_all_data(&self) -> bool {
        self.data_period == (None, None)
            && self.classes.is_none()
            && self.codes.is_none()
            && self.labels.is_none()
            && self.data.is_none()
    }

    /// Whether a deny stands even so: unless the glass is broken, or where it names that purpose.
    fn holds_against(&self, ctx: &ConsentContext<'_>) -> bool {
        !ctx.break_glass || self.purposes.iter().flatten().any(|purpose| purpose == BREAK_GLASS)
    }

    fn is_child_of(&self, rule: &ConsentRule) -> bool {
        self.parent == Some(rule.node) && self.consent == rule.consent && self.patient == rule.patient
    }
}

fn within(moment: i64, (low, high): (Option<i64>, Option<i64>)) -> bool {
    low.is_none_or(|low| low <= moment) && high.is_none_or(|high| moment < high)
}

fn any<T>(dimension: Option<&[T]>, test: impl FnMut(&T) -> bool) -> bool {
    dimension.is_none_or(|values| values.iter().any(test))
}
