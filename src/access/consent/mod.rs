//! Consent (R4 consent.html; IHE PCF) as rules over rows.
//!
//! A Consent compiles on write into [`ConsentRule`]s ([`compile()`]), one for each provision, with the
//! path to its parents. The store keeps them in a table and tests them in SQL; [`decide`] and
//! [`restricts`] are the same semantics in memory, the reference the SQL is tested against.
//!
//! # When a provision decides
//! A provision *matches* a row when all its dimensions do; an absent dimension matches all. It
//! *decides* about the row when it and all its ancestors match and none of its children does: a child
//! is an exception to its parent (R4 `Consent.provision.provision`). A row is hidden when any deny
//! provision, of any active Consent of its patient, decides about it: the strictest wins, unless an
//! explicit nested exception says otherwise. Where the default policy is not to permit, a row is
//! visible only when some permit provision decides about it.
//!
//! Under break-glass a deny provision hides nothing, unless it names the purpose `BTG` itself: the
//! patient's explicit word against it stands.
//!
//! # Consents themselves
//! What a Consent rules on is its patient's data. About a Consent (of whichever patient, by whichever
//! Consent) a provision decides only where it, or one above it, names it: by `class` Consent, by a `data`
//! reference to it, or by a security label on it other than `N`. Otherwise a plain deny would hide itself,
//! and nobody could withdraw it. Who reads and changes Consents is for scopes, roles and compartments to
//! say; the default policy withholds no more of them than what is labelled as above normal
//! (`docs/decisions/0011-consent-about-consents.md`).
//!
//! # What cannot be evaluated
//! A provision may hold what we cannot evaluate: a code given only as text, an actor known only by
//! name, a class, purpose or action of an unknown system, an actor who is the author of data rather
//! than their receiver, data by relation (`related`, `dependents`, `authoredby`; to come), a date that
//! is none. It then fails closed. As a deny it holds for *all* values of that dimension. As a permit
//! it never decides, and nothing below it permits either; what is denied below it holds as if it were
//! not there. Permits below such a deny do not count. A Consent whose provision is not even an object
//! denies everything of its patient.

mod compile;
mod decide;
mod dimensions;
pub mod keys;
mod purpose;

use salus_fhir::Key;

pub use compile::compile;
pub use decide::{ConsentContext, Decision, RowFacts, decide, restricts};

/// Consent actions (`consentaction`) that are about seeing data. Of a rule that names actions, only
/// one that names any of these bears on what is visible; `collect` and `correct` do not.
pub const DISCLOSING_ACTIONS: [&str; 3] = ["access", "use", "disclose"];

/// The purpose of use of breaking the glass (v3 ActReason).
pub const BREAK_GLASS: &str = "BTG";

/// What a provision says about what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// `permit`
    Permit,
    /// `deny`
    Deny,
}

/// One provision of one active Consent, ready to be matched. `None` in a dimension matches all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRule {
    /// Whose data: `Key::resource("Patient", id)`.
    pub patient: Key,
    /// The Consent: `Key::resource("Consent", id)`.
    pub consent: Key,
    /// The provision's number within its Consent, depth first from 0.
    pub node: i32,
    /// The number of the provision it is an exception to.
    pub parent: Option<i32>,
    /// The numbers of all provisions above it, outermost first.
    pub ancestors: Vec<i32>,
    /// Where it stands: `Consent.provision.provision[0]`.
    pub path: String,
    /// Permit or deny.
    pub effect: Effect,
    /// When the rule holds: first microsecond, first one after (since 1970-01-01T00:00:00Z).
    pub period: (Option<i64>, Option<i64>),
    /// Who asks: any of these ([`keys::reference_key`]).
    pub actors: Option<Vec<Key>>,
    /// What for: any of these ActReason codes, narrower ones included.
    pub purposes: Option<Vec<String>>,
    /// Rows of any of these resource types.
    pub classes: Option<Vec<String>>,
    /// Rows with any of these codes ([`keys::code_key`]).
    pub codes: Option<Vec<Key>>,
    /// Rows with any of these labels ([`keys::label_key`]).
    pub labels: Option<Vec<Key>>,
    /// These very rows (`rid`).
    pub data: Option<Vec<Key>>,
    /// Rows whose natural date (`sort`) is from the first microsecond to before the second.
    pub data_period: (Option<i64>, Option<i64>),
    /// Doing what: any of these `consentaction` codes (see [`DISCLOSING_ACTIONS`]).
    pub actions: Option<Vec<String>>,
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
