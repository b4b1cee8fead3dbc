//! What the searches of all families share: how they are asked for ([`params`]), keys by real vectors ([`exact`]),
//! candidates that are re-ranked by such keys ([`rerank`]), the rows that a scan is to look among ([`row_set`]), and
//! what their attributes must be ([`attributes`], [`filter`]).

pub mod attributes;
pub mod exact;
pub mod filter;
pub mod params;
pub mod rerank;
pub mod row_set;
