//! The Salus server.
