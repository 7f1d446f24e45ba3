//! One integration test binary over all layers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test fails by panicking; clippy.toml's exception reaches only functions marked #[test]"
)]

mod args_arm64;
mod args_hostile;
mod args_lab;
mod args_truth;
mod args_values;
mod article_pdb_files;
mod article_pdb_replay;
mod article_pdb_robust;
mod article_replay;
mod blame_truth;
mod calibration;
mod cheat_sheet;
mod cmds_confined;
mod cmds_lab;
mod cmds_matrix;
mod cmds_snapshots;
mod com_calls;
mod com_scenarios;
mod core_big;
mod core_common;
mod core_corpus;
mod core_fixtures;
mod core_lab;
mod core_robust;
mod crash_cases;
mod dotnet;
mod dotnet_sos;
mod dx_bounds;
mod hostile;
mod incident_dumps;
mod java;
mod lang_lab;
mod lang_session;
mod pdb_commands;
mod pdb_dt;
mod pdb_names;
mod pdb_robust;
mod pdb_types;
mod providers_breakpad;
mod providers_demangle;
mod providers_images;
mod providers_lab;
mod redact;
mod reference;
mod rpc_calls;
mod ruby;
mod scenario_stacks;
mod shrink;
mod store_commands;
mod store_hostile;
mod store_http;
mod triage_batch;
mod triage_library;
mod tui_commands;
mod tui_common;
mod tui_screens;
mod tui_speed;
mod tui_state;
mod unwind_lab;
mod unwind_random;
mod verdicts_cases;
mod verdicts_commands;
mod verdicts_foreign;
mod verdicts_loader;
mod verdicts_scenarios;
mod win32_frames;
mod windbg_engine;
mod windbg_stacks;
mod windbg_suite;
