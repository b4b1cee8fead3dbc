//! Advice to the administrator: which index to build (`faiss.recommend`), and when to build it anew (`faiss.health`).
//!
//! | file | question it answers |
//! |---|---|
//! | `recommend` | the function: what goes in, what comes out |
//! | `column` | what is there to be indexed: type, dimensions, operator class, how it is stored |
//! | `rows` | how many rows |
//! | `choice` | which index suits them; pure |
//! | `create_index` | how is that said in SQL? |
//! | `health` | the function: what an index and its table look like now |
//! | `verdict` | to be built anew or not, why, and by what? pure |

mod choice;
mod column;
mod create_index;
mod health;
mod recommend;
mod rows;
mod verdict;
