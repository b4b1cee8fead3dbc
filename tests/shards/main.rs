//! One coordinator and three shards, on real servers: they answer as one server does, all at once, also when one of them is
//! lost. The chapter *Several servers* of the manual is run against four more. `PGFAISS_FULL=1` measures what it costs.

mod chapter;
mod figures;
mod lost;
mod plans;
mod rows;
mod servers;
