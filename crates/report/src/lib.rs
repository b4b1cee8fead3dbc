//! Charts and HTML pages that need nothing else: no script, no network. Plain values in, text out; this room knows neither
//! PostgreSQL nor the bench. [`index`] is the page of `faiss.report`; the bench composes its own of [`chart`] and [`html`].

pub mod chart;
pub mod html;
pub mod index;
