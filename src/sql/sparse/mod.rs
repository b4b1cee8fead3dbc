//! The type `sparsevec`.
//!
//! | file | question it answers |
//! |---|---|
//! | `form` | how does a value look outside? |
//! | `cast` | how do arrays and the other types turn into it and back? |
//! | `distance` | how far are two values from each other, how long is one? |
//! | `comparison` | which of two values comes first? |

mod cast;
mod comparison;
mod distance;
mod form;
