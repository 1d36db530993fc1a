//! The SMART authorization server: clients, keys, tokens, introspection.
