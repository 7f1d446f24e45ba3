//! One integration test binary over all layers.
mod article_replay;
mod core_big;
mod core_common;
mod core_corpus;
mod core_fixtures;
mod core_lab;
mod core_robust;
mod hostile;
mod pdb_names;
mod pdb_types;
mod providers_breakpad;
mod providers_demangle;
mod providers_images;
mod providers_lab;
mod scenario_stacks;
mod unwind_lab;
mod unwind_random;
