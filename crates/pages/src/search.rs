//! What the searches of all families share: how they are asked for ([`params`]), keys by real vectors ([`exact`]), and
//! candidates that are re-ranked by such keys ([`rerank`]).

pub mod exact;
pub mod params;
pub mod rerank;
