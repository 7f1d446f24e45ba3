//! Prompts: how to work on a hang and on a crash.

use super::answer::RULE;
use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};

/// A prompt.
struct Row {
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

const PROMPTS: &[Row] = &[
    Row {
        name: "why_does_it_hang",
        about: "Find out why the process of a dump hangs",
        text: "Find out why this process hangs. Open the dump and ask for its verdict. Open the evidence of each sentence that \
               you rest on. Look at the threads that wait (`waits`), at who owns what (`locks`), and at the stack of the thread \
               that the verdict names. If it waits for another process, say which dump is missing, or open it and ask \
               `incident`. If two dumps of this process are there, ask `diff` whether it is stuck or slow. End with the cause, how \
               sure it is and by which evidence, and the one thing to do next.",
    },
    Row {
        name: "why_did_it_crash",
        about: "Find out why the process of a dump crashed",
        text: "Find out why this process crashed. Open the dump and ask for its verdict: it has the exception and, where that is \
               known, the frame that made the bad value. Open the evidence. Look at the stack of the thread that crashed with its \
               arguments, at the code (`run` with `ub @$ip; u @$ip`) and at the memory that it touched (`run` with `!address` and the \
               address). `symbols_status` says whether names are missing. End with the cause, how sure it is and by which evidence, \
               and the one thing to do next.",
    },
];

pub(super) fn list() -> Vec<Prompt> {
    let dump = || PromptArgument::new("dump").with_description("The dump's path").with_required(false);
    PROMPTS.iter().map(|p| Prompt::new(p.name, Some(p.about), Some(vec![dump()]))).collect()
}

pub(super) fn get(name: &str, dump: Option<&str>) -> Option<GetPromptResult> {
    let row = PROMPTS.iter().find(|p| p.name == name)?;
    let dump = match dump {
        Some(path) => format!("The dump is `{}`. ", dumpscope_core::base::text::escape(path)),
        None => "`list_dumps` shows the dumps that there are. ".to_owned(),
    };
    Some(GetPromptResult::new(vec![PromptMessage::new_text(
        Role::User,
        format!("{dump}{} {RULE}", row.text),
    )]))
}
