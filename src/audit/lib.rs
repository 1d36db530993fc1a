//! AuditEvents by IHE BALP and the tamper-evident log they stand in.
