//! What a search of several servers costs.
