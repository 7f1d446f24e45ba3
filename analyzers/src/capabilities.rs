//! What a dump can answer, what it cannot, and how to write the next one.

use crate::Target;
use crate::handles_summary::HandleSummary;
use crate::text::count_bytes;
use dumpscope_core::model::DumpKind;
use dumpscope_core::{Machine, ReadMemory, Va};

/// One question and whether this dump can answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The question.
    pub question: &'static str,
    /// Whether the dump holds what the answer needs.
    pub answerable: bool,
    /// What is there or missing, a sentence without a full stop.
    pub why: String,
    /// How to write a dump that answers it; `None` when this one does.
    pub next_time: Option<Remedy>,
}

/// How to write a dump that answers a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// The tools' command lines.
    pub tools: &'static str,
    /// What a program passes to `MiniDumpWriteDump`.
    pub flags: &'static str,
}

/// One line: tools, then flags.
impl std::fmt::Display for Remedy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (MiniDumpWriteDump: {})", self.tools, self.flags)
    }
}

/// What the questions look at, gathered once.
struct Facts<'a> {
    target: &'a Target,
    handles: Option<HandleSummary>,
}

/// Whether a question can be answered, and why; `None` when it does not arise for this dump.
type Answer = Option<(bool, String)>;

/// A row of [`QUESTIONS`].
struct Question {
    question: &'static str,
    check: fn(&Facts<'_>) -> Answer,
    next_time: Remedy,
    /// Asked of dumps of other systems too.
    everywhere: bool,
}

/// What writes nearly everything.
const ALL: &str = "`procdump -ma` or `.dump /ma`";

const fn all(flags: &'static str) -> Remedy {
    Remedy { tools: ALL, flags }
}

/// The question about the exception: without one it does not arise in a hang.
pub const WHICH_EXCEPTION: &str = "Which exception ended the process?";

/// The questions, in the order in which a person asks them.
const QUESTIONS: &[Question] = &[
    Question {
        question: WHICH_EXCEPTION,
        check: exception,
        next_time: Remedy {
            tools: "`procdump -e` writes the dump at the exception",
            flags: "ExceptionParam",
        },
        everywhere: true,
    },
    Question {
        question: "Where is each thread?",
        check: threads,
        next_time: Remedy {
            tools: "any dump type has the threads: this file was cut",
            flags: "MiniDumpNormal",
        },
        everywhere: true,
    },
    Question {
        question: "Where is each 32-bit thread?",
        check: wow64,
        next_time: Remedy {
            tools: "`procdump -ma` (without `-64`) writes a 32-bit dump of a 32-bit process",
            flags: "MiniDumpWithProcessThreadData",
        },
        everywhere: false,
    },
    Question {
        question: "Which thread used the processor?",
        check: thread_times,
        next_time: all("MiniDumpWithThreadInfo"),
        everywhere: false,
    },
    // Task Manager's dumps have all memory and no handles.
    Question {
        question: "Which handles are open?",
        check: handles,
        next_time: all("MiniDumpWithHandleData"),
        everywhere: false,
    },
    Question {
        question: "Who owns a mutex, is an event set?",
        check: object_info,
        next_time: all("MiniDumpWithHandleData"),
        everywhere: false,
    },
    Question {
        question: "Who owns a critical section?",
        check: heap_memory,
        next_time: all("MiniDumpWithFullMemory"),
        everywhere: false,
    },
    Question {
        question: "Which process serves a COM call?",
        check: heap_memory,
        next_time: all("MiniDumpWithFullMemory"),
        everywhere: false,
    },
    Question {
        question: "What do texts and objects in memory say?",
        check: heap_memory,
        next_time: all("MiniDumpWithFullMemory"),
        everywhere: false,
    },
    Question {
        question: "What do the threads of the language runtime do?",
        check: runtimes,
        next_time: all("MiniDumpWithFullMemory"),
        everywhere: false,
    },
    Question {
        question: "What was the command line?",
        check: command_line,
        next_time: all("MiniDumpWithProcessThreadData"),
        everywhere: false,
    },
    Question {
        question: "How is memory protected and used?",
        check: memory_info,
        next_time: all("MiniDumpWithFullMemoryInfo"),
        everywhere: false,
    },
    Question {
        question: "Which modules were unloaded?",
        check: unloaded,
        next_time: all("MiniDumpWithUnloadedModules"),
        everywhere: false,
    },
];

/// Goes through all questions that arise for this dump.
#[must_use]
pub fn capabilities(target: &Target) -> Vec<Capability> {
    let facts = Facts { target, handles: crate::handles_summary::summarize(&target.dump) };
    let cut = target.dump.missing_bytes();
    // Handles, critical sections and the like are Windows' own.
    let windows = target.dump.system().value().is_none_or(|s| s.is_windows());
    let ask = |q: &Question| {
        if !windows && !q.everywhere {
            return None;
        }
        let (answerable, why) = (q.check)(&facts)?;
        // The remedies name tools and flags of Windows. What the end of the file held needs no other dump.
        let remedy = match cut {
            0 => q.next_time,
            _ => Remedy { tools: "copy the file again: this one is cut off", ..q.next_time },
        };
        let next_time = (!answerable && windows).then_some(remedy);
        Some(Capability { question: q.question, answerable, why, next_time })
    };
    QUESTIONS.iter().filter_map(ask).collect()
}

fn yes(why: impl Into<String>) -> Answer {
    Some((true, why.into()))
}

fn no(why: impl Into<String>) -> Answer {
    Some((false, why.into()))
}

fn exception(f: &Facts<'_>) -> Answer {
    match crate::crash::exception_facts(f.target) {
        Some(e) => yes(format!("exception {:08x} of thread {:x} is recorded", e.code, e.tid.0)),
        None => no("no exception is recorded"),
    }
}

fn threads(f: &Facts<'_>) -> Answer {
    let threads = f.target.dump.threads();
    if threads.is_empty() {
        return no("no thread list");
    }
    if let Some(foreign) = f.target.foreign() {
        let walked = threads.iter().filter(|t| foreign.thread_stack(t.index, 1).is_some()).count();
        return match walked {
            0 => no("no thread has registers"),
            n => yes(format!("{} with registers", count(n, "thread"))),
        };
    }
    let memory = f.target.dump.memory();
    let has_stack = |sp: Va| memory.read_at(sp, &mut [0]).got == 1;
    let lost =
        threads.iter().filter(|t| !f.target.dump.context(t.index).is_some_and(|c| has_stack(c.sp()))).count();
    match lost {
        0 => yes(format!("{} with context and stack", count(threads.len(), "thread"))),
        n if n < threads.len() => {
            yes(format!("{}, {n} of them without context or stack", count(threads.len(), "thread")))
        }
        _ => no("no thread has both a context and stack memory"),
    }
}

fn wow64(f: &Facts<'_>) -> Answer {
    let dump = &f.target.dump;
    if !dump.is_wow64() {
        return None;
    }
    let found = dump.threads().iter().filter(|t| dump.wow64_context(t.index).is_some()).count();
    match found {
        0 => no("no 32-bit context is readable"),
        n => yes(format!("32-bit contexts of {} are readable", count(n, "thread"))),
    }
}

fn thread_times(f: &Facts<'_>) -> Answer {
    match crate::runaway::thread_times(&f.target.dump) {
        Some(t) if !t.is_empty() => yes(format!("times of {}", count(t.len(), "thread"))),
        Some(_) => no("the thread information holds no times"),
        None => no("no thread information"),
    }
}

fn handles(f: &Facts<'_>) -> Answer {
    match &f.handles {
        Some(h) if h.total > 0 => yes(count(usize::try_from(h.total).unwrap_or(usize::MAX), "handle")),
        Some(_) => no("the handle data is empty"),
        None => no("no handle data"),
    }
}

fn object_info(f: &Facts<'_>) -> Answer {
    match &f.handles {
        None => no("no handle data"),
        Some(h) if !h.has_object_info => no("handle data without object information (32-byte descriptors)"),
        Some(h) if h.total == 0 => no("the handle data is empty"),
        Some(_) => yes("handle data with object information"),
    }
}

/// True when the dump holds the memory in which locks and calls are found: where nothing was found, there is nothing.
#[must_use]
pub fn has_heap(target: &Target) -> bool {
    target.dump.kind() == DumpKind::Full && target.dump.missing_bytes() == 0
}

fn heap_memory(f: &Facts<'_>) -> Answer {
    match f.target.dump.kind() {
        DumpKind::Full if f.target.dump.missing_bytes() > 0 => {
            no(format!("the file is cut off: {} are missing", count_bytes(f.target.dump.missing_bytes())))
        }
        DumpKind::Full => yes("full memory"),
        DumpKind::Partial => no("only parts of the memory: an answer depends on luck"),
        DumpKind::Mini => no("stacks only"),
    }
}

/// Runtimes of which the dump lacks the data; those that are not read at all are no fault of the dump.
fn runtimes(f: &Facts<'_>) -> Answer {
    let all = f.target.runtimes();
    let mut known =
        all.readers().iter().map(|r| r.runtime()).filter(|r| r.readable || r.how.starts_with("module name"));
    let first = known.next()?;
    match known.chain([first]).find(|r| !r.readable) {
        None => yes(format!("the data of {} are readable", first.name)),
        Some(r) => no(format!("{}: {}", r.name, r.why.as_deref().unwrap_or("its data are not in the dump"))),
    }
}

fn command_line(f: &Facts<'_>) -> Answer {
    let known = |m: Machine| f.target.dump.parameters(m).is_some_and(|p| p.command_line.is_some());
    match known(f.target.process_machine()) || known(f.target.dump.machine()) {
        true => yes("the process parameters are readable"),
        false => no("the process parameters (PEB) are not in the dump"),
    }
}

fn memory_info(f: &Facts<'_>) -> Answer {
    match f.target.dump.memory_info().value() {
        Some(regions) => yes(count(regions.len(), "region")),
        None => no("no memory information"),
    }
}

fn unloaded(f: &Facts<'_>) -> Answer {
    match f.target.dump.unloaded().value() {
        Some(list) => yes(count(list.len(), "unloaded module")),
        None => no("no list of unloaded modules"),
    }
}

/// `1 thread`, `2 threads`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_says_what_to_do() {
        for q in QUESTIONS {
            assert!(q.question.ends_with('?'), "{}", q.question);
            assert!(!q.next_time.tools.ends_with('.') && !q.next_time.flags.is_empty(), "{}", q.next_time);
        }
    }

    #[test]
    fn counting() {
        assert_eq!(count(1, "thread"), "1 thread");
        assert_eq!(count(0, "thread"), "0 threads");
    }
}
