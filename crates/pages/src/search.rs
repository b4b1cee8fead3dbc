//! What the searches of all families share: how they are asked for ([`params`]), keys by real vectors ([`exact`]), and
//! candidates that are re-ranked by such keys ([`rerank`]), and the rows that a scan is to look among ([`row_set`]).

pub mod exact;
pub mod params;
pub mod rerank;
pub mod row_set;
