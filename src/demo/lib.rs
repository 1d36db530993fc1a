//! A seeded generator of a synthetic population for demonstrations and tests.
