//! The figures, a file each.

pub mod bundles;
pub mod create;
pub mod everything;
pub mod floor;
pub mod growth;
pub mod read;
pub mod risk_score;
pub mod search;
pub mod start;
