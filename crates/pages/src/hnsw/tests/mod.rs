//! The verbs of a graph together, on pages in memory, against a model: a map from tid to vector.

mod layout;
