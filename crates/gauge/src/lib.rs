//! The part of the bench that must run optimised even in a debug build: data sets, exact
//! neighbours, synthetic vectors, the timing of kernels. It is a package of its own because
//! optimisation is chosen by package, and the rest of the developer commands would be slow to
//! compile with it.
//!
//! In reading order: [`vectors`] what is measured on, [`synthetic`] made up, [`truth`] its exact
//! answer and recall, [`frontier`] what measured points say, [`kernels`] the distance kernels by
//! themselves.

pub mod frontier;
pub mod kernels;
pub mod synthetic;
pub mod truth;
pub mod vectors;
