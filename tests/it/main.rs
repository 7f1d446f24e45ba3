//! One integration test binary over all layers.
mod core_common;
mod core_corpus;
mod core_lab;
mod pdb_names;
