//! FHIR resources in PostgreSQL: versions, search index, transactions, audit rows.
