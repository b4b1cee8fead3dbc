//! What SQL sees of the types: text and binary forms, casts, operators, aggregates, functions.
//!
//! Every function on `vector` and `halfvec` is written once, generic over the element, and exported twice. The DDL that
//! gives these functions their SQL names lies in `sql/`.
//!
//! | file | question it answers |
//! |---|---|
//! | `fmgr` | how does the server call us, and how do results and errors go back? |
//! | `element` | what is allowed as an element, and what is the type called? |
//! | `error` | which SQLSTATE and words does a mistake get? |
//! | `text`, `binary` | how does a value look outside? |
//! | `array`, `cast` | how do arrays and the two types turn into each other? |
//! | `sparse/` | all of that for `sparsevec` |
//! | `bits` | how far are two bit strings from each other? |
//! | `distance`, `arithmetic`, `comparison`, `functions`, `aggregate` | operators and functions |
//! | `open_index`, `elsewhere` | is it one of our indexes, are its rows here, and may the caller read its table? |
//! | `inspect`, `check` | what does an index hold, and is it sound? |
//! | `models` | how does a trained model come and go? |
//! | `files` | how do models, indexes and rows come from FAISS files, and become such? |
//! | `search`, `tids`, `rows` | many queries at once, among some rows; how do rows go back? |
//! | `shards` | what does a search of several servers need of this one? |
//! | `advise` | which index to build, and when to build it anew? |
//! | `measure`, `apply` | how good does an index answer, and how are its search defaults set? |
//! | `report` | a page about an index |
//! | `rules` | the schema `faiss`: rules of thumb and conversions |

mod advise;
mod aggregate;
mod apply;
mod arithmetic;
mod array;
mod binary;
mod bits;
mod cast;
mod check;
mod comparison;
mod curve;
mod distance;
mod element;
mod elsewhere;
mod error;
mod files;
mod fmgr;
mod functions;
mod inspect;
mod last_scan;
mod maintain;
mod measure;
mod models;
mod open_index;
mod queries;
mod report;
mod rows;
mod rules;
mod search;
mod shards;
mod sparse;
mod text;
mod tids;
