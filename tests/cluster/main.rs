//! What an index must live through: crashes, a standby's replay, many sessions at once, damaged
//! files, and everything PostgreSQL does to indexes besides. `PGFAISS_ROUNDS=20` repeats the
//! randomised ones longer, `PGFAISS_SEED` chooses other random numbers.

mod cancel;
mod complete;
mod concurrency;
mod crash;
mod damage;
mod filtered_scan;
mod leaks;
mod lifecycle;
mod marks;
mod messages;
mod models;
mod monitoring;
mod rebuild;
mod restore;
mod room;
mod sparse;
mod standby;
mod upgrade;
mod values;
