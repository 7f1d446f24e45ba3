//! One file per command (or tight family).

mod address;
mod analyze;
mod args;
mod clr;
pub(crate) mod code;
mod com;
mod comment;
mod counted;
mod cpuid;
mod deadlock;
mod dump;
mod dumpdebug;
mod dx;
mod echo;
mod evaluate;
mod exception;
mod exchain;
mod extensions;
mod flags;
mod formats;
mod handle;
mod help;
mod jvm;
mod locks;
mod log;
mod machine;
mod memory;
mod missing;
mod modules;
pub(crate) mod natvis;
mod peb_teb;
mod printf;
mod quit;
pub(crate) mod refusals;
pub(crate) mod registers;
mod ruby;
mod runaway;
mod script;
mod search;
mod settings;
mod source;
pub(crate) mod stack;
mod sympath;
mod target_info;
mod threads;
pub(crate) mod types;
mod uniqstack;
mod verifier;
mod waits;
mod which;
mod win32;
mod writemem;

pub use win32::win32_names;

use crate::command::Command;

pub(crate) use code::code_search;
pub(crate) use modules::x::matched_lines;
pub(crate) use sympath::tell_loaded;
pub(crate) use threads::{Verb, verb};

/// The runtime of that name that can be read; an error that says why there is none. `of`: which processes have one.
fn readable(
    session: &crate::Session,
    name: &str,
    of: &str,
) -> Result<std::sync::Arc<dyn dumpscope_runtimes::Reader>, crate::command::CommandError> {
    use crate::command::CommandError;
    use dumpscope_core::base::text::escape;
    let runtimes = session.target.runtimes();
    let all: Vec<_> = runtimes.readers().iter().filter(|r| r.runtime().name == name).collect();
    if let Some(reader) = all.iter().find(|r| r.runtime().readable) {
        return Ok(std::sync::Arc::clone(reader));
    }
    let Some(found) = all.first().map(|r| r.runtime()) else {
        return Err(CommandError::message(format!(
            "No {name} is in this process: this command is for {of}."
        )));
    };
    let version = found.version.as_deref().unwrap_or("of unknown version");
    let why = found.why.as_deref().unwrap_or("its data are not in the dump");
    Err(CommandError::message(format!(
        "{name} {} is in this process, but cannot be read: {}.",
        escape(version),
        escape(why)
    )))
}

/// The table behind [`crate::COMMANDS`]. One line per command; keep it sorted so that additions seldom collide.
pub(crate) const ALL: &[&Command] = &[
    &address::ADDRESS,
    &address::VPROT,
    &address::heap::HEAP,
    &address::vadump::VADUMP,
    &args::ARGS,
    &peb_teb::dlls::DLLS,
    &peb_teb::env::ENVVAR,
    &peb_teb::env::GFLAG,
    &peb_teb::gle::ERROR,
    &peb_teb::gle::GLE,
    &peb_teb::peb::PEB,
    &peb_teb::teb::TEB,
    &peb_teb::tls::TLS,
    &clr::CLRMODULES,
    &clr::CLRSTACK,
    &clr::CLRTHREADS,
    &clr::DO,
    &clr::DSO,
    &clr::DUMPARRAY,
    &clr::DUMPASSEMBLY,
    &clr::DUMPASYNC,
    &clr::DUMPCLASS,
    &clr::DUMPDOMAIN,
    &clr::DUMPEXCEPTIONS,
    &clr::DUMPHEAP,
    &clr::DUMPMD,
    &clr::DUMPMODULE,
    &clr::DUMPMT,
    &clr::DUMPVC,
    &clr::EEHEAP,
    &clr::EEVERSION,
    &clr::FINALIZEQUEUE,
    &clr::GCHANDLES,
    &clr::GCROOT,
    &clr::IP2MD,
    &clr::NAME2EE,
    &clr::OBJSIZE,
    &clr::PE,
    &clr::PSTACKS,
    &clr::SCRIPT,
    &clr::SYNCBLK,
    &clr::THREADPOOL,
    &clr::U,
    &code::U,
    &code::UB,
    &code::UF,
    &code::UU,
    &code::find::SEARCH,
    &code::fnent::FNENT,
    &comment::DOLLAR,
    &analyze::ANALYZE,
    &com::COM,
    &counted::STR,
    &counted::USTR,
    &cpuid::CPUID,
    &comment::STAR,
    &deadlock::DEADLOCK,
    &dump::DUMP,
    &dumpdebug::DUMPDEBUG,
    &dx::DX,
    &echo::ECHO,
    &evaluate::EVALUATE,
    &exception::CXR,
    &exception::ECXR,
    &exception::EXR,
    &exception::LASTEVENT,
    &exception::THREAD,
    &exception::IMPLICIT_PROCESS,
    &exchain::EXCHAIN,
    &extensions::BL,
    &extensions::CHAIN,
    &extensions::CHILDDBG,
    &extensions::EVENTLOG,
    &extensions::FNRET,
    &extensions::LOAD,
    &extensions::SX,
    &extensions::VERCOMMAND,
    &formats::FORMATS,
    &formats::N,
    &handle::HANDLE,
    &help::HELP,
    &jvm::JSTACK,
    &locks::CRITSEC,
    &locks::CS,
    &locks::LOCKS,
    &log::LOGAPPEND,
    &log::LOGCLOSE,
    &log::LOGFILE,
    &log::LOGOPEN,
    &machine::EFFMACH,
    &machine::SW,
    &machine::WOW64_INFO,
    &machine::WOW64_K,
    &machine::WOW64_R,
    &memory::D,
    &memory::DA,
    &memory::DB,
    &memory::DC,
    &memory::DD,
    &memory::DDA,
    &memory::DDP,
    &memory::DDS,
    &memory::DDU,
    &memory::DF,
    &memory::DL,
    &memory::DOUBLES,
    &memory::DP,
    &memory::DPA,
    &memory::DPP,
    &memory::DPS,
    &memory::DPU,
    &memory::DQ,
    &memory::DQA,
    &memory::DQP,
    &memory::DQS,
    &memory::DQU,
    &memory::DS,
    &memory::DS_WIDE,
    &memory::DU,
    &memory::DW,
    &memory::DW_TEXT,
    &memory::DYB,
    &memory::DYD,
    &modules::LM,
    &modules::chkimg::CHKIMG,
    &modules::dh::DH,
    &modules::imgscan::IMGSCAN,
    &modules::lmi::LMI,
    &modules::near::LN,
    &modules::x::X,
    &natvis::NVLIST,
    &natvis::NVLOAD,
    &natvis::NVUNLOAD,
    &printf::PRINTF,
    &quit::Q,
    &registers::R,
    &ruby::RUBYSTACK,
    &runaway::RUNAWAY,
    &runaway::TTIME,
    &script::AD,
    &script::AL,
    &script::AS,
    &script::AS_LINE,
    &script::BLOCK,
    &script::BREAK,
    &script::CATCH,
    &script::CONTINUE,
    &script::DO,
    &script::EACH_FRAME,
    &script::EACH_MODULE,
    &script::ELSE,
    &script::FOR,
    &script::FOREACH,
    &script::IF,
    &script::J,
    &script::JOINED,
    &script::JOINED_ARGS,
    &script::JOINED_REST,
    &script::LEAVE,
    &script::LINES,
    &script::LINES_REST,
    &script::LIST,
    &script::SHELL,
    &script::WHILE,
    &script::Z,
    &search::S,
    &settings::ACCEPTED,
    &settings::CLS,
    &settings::EXPR,
    &settings::LAYOUT,
    &settings::LINES,
    &source::LS,
    &source::OPEN,
    &source::SRCPATH,
    &flags::SYMOPT,
    &flags::ASM,
    &stack::K,
    &stack::KFRAMES,
    &stack::INLINE,
    &stack::frame::FRAME,
    &stack::frame::F_DOWN,
    &stack::frame::F_UP,
    &sympath::EXEPATH,
    &sympath::LD,
    &sympath::RELOAD,
    &sympath::SYM,
    &sympath::SYMFIX,
    &sympath::SYMPATH,
    &target_info::PROCESS,
    &target_info::SYSTEM,
    &target_info::TIME,
    &target_info::VERSION,
    &target_info::VERTARGET,
    &threads::THREADS,
    &verifier::AVRF,
    &verifier::HTRACE,
    &verifier::TOKEN,
    &waits::WAITS,
    &win32::API,
    &win32::CONST,
    &win32::IID,
    &writemem::WRITEMEM,
    &types::DT,
    &types::DV,
    &types::TYPED,
    &uniqstack::FINDSTACK,
    &uniqstack::UNIQSTACK,
];
