//! One integration test binary over all layers.
mod article_replay;
mod core_big;
mod core_common;
mod core_corpus;
mod core_lab;
mod core_robust;
mod pdb_names;
