//! Who may see and do what: scopes, compartments, Consent and the access predicate.
