//! WinDbg's commands that dumpscope does not have, and what it says about them.

/// Why there is no such command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherKind {
    /// It runs, stops or changes a process; a dump does not run.
    Live,
    /// It changes memory or registers; a dump stays as it is.
    Write,
    /// It is for kernel dumps.
    Kernel,
    /// It is for managed code (SOS).
    Managed,
    /// It belongs to another extension, or is not built in.
    Missing,
    /// It opens a dump.
    Open,
}

/// A command of WinDbg's that dumpscope does not have.
#[derive(Clone, Copy, Debug)]
pub struct Other {
    /// Its name.
    pub name: &'static str,
    /// Why it is missing.
    pub kind: OtherKind,
    /// The command that answers the question behind it, or empty.
    pub instead: &'static str,
    /// What to do instead, a sentence of its own; may be empty.
    pub note: &'static str,
}

impl Other {
    /// Why there is no such command, and what to do: one line. `name`: as it was typed.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        let name = dumpscope_core::base::text::escape(name);
        let why = match self.kind {
            OtherKind::Live => format!("{name} needs a running process; a dump does not run."),
            OtherKind::Write => format!("{name} writes; a dump cannot be changed."),
            OtherKind::Kernel => format!("{name} is for kernel dumps; this is a user dump."),
            OtherKind::Managed => format!("{name} of SOS (.NET) is not built in."),
            OtherKind::Missing => format!("{name} is not built in."),
            OtherKind::Open => format!("{name} is not built in: a session has one dump."),
        };
        match (self.note, self.instead) {
            ("", "") => why,
            ("", instead) => format!("{why} Use `{instead}`."),
            (note, _) => format!("{why} {}{}", note, if note.ends_with('.') { "" } else { "." }),
        }
    }
}

const fn o(name: &'static str, kind: OtherKind, instead: &'static str, note: &'static str) -> Other {
    Other { name, kind, instead, note }
}

use OtherKind::{Kernel, Live, Managed, Missing, Open, Write};

/// In the order of the first name that fits; longer names before their prefixes.
const OTHERS: &[Other] = &[
    o("gu", Live, "", ""),
    o("gh", Live, "", ""),
    o("gn", Live, "", ""),
    o("gc", Live, "", ""),
    o("g", Live, "", ""),
    o("pa", Live, "", ""),
    o("pc", Live, "", ""),
    o("pct", Live, "", ""),
    o("ph", Live, "", ""),
    o("pt", Live, "", ""),
    o("p", Live, "", ""),
    o("ta", Live, "", ""),
    o("tb", Live, "", ""),
    o("tc", Live, "", ""),
    o("tct", Live, "", ""),
    o("th", Live, "", ""),
    o("tt", Live, "", ""),
    o("t", Live, "", ""),
    o("wt", Live, "uf", "`uf` shows what a function calls"),
    o("ba", Live, "", ""),
    o("bc", Live, "", ""),
    o("bd", Live, "", ""),
    o("be", Live, "", ""),
    o("bm", Live, "", ""),
    o("bp", Live, "", ""),
    o("br", Live, "", ""),
    o("bs", Live, "", ""),
    o("bu", Live, "", ""),
    o("sxd", Live, ".lastevent", ""),
    o("sxe", Live, ".lastevent", ""),
    o("sxi", Live, ".lastevent", ""),
    o("sxn", Live, ".lastevent", ""),
    o("sxr", Live, ".lastevent", ""),
    o(".attach", Live, "", ""),
    o(".create", Live, "", ""),
    o(".detach", Live, "", ""),
    o(".kill", Live, "", ""),
    o(".restart", Live, "", ""),
    o(".dvalloc", Live, "", ""),
    o(".dvfree", Live, "", ""),
    o(".call", Live, "", ""),
    o(".breakin", Live, "", ""),
    o(".abandon", Live, "", ""),
    o("e", Write, "db", ""),
    o("ea", Write, "da", ""),
    o("eb", Write, "db", ""),
    o("ed", Write, "dd", ""),
    o("eD", Write, "dD", ""),
    o("ef", Write, "df", ""),
    o("ep", Write, "dp", ""),
    o("eq", Write, "dq", ""),
    o("eu", Write, "du", ""),
    o("ew", Write, "dw", ""),
    o("eza", Write, "da", ""),
    o("ezu", Write, "du", ""),
    o("f", Write, "db", ""),
    o("fp", Write, "db", ""),
    o("m", Write, "db", ""),
    o("a", Write, "u", ""),
    o(".readmem", Write, "", ""),
    o("up", Kernel, "u", "Physical addresses are for kernel dumps; `u` disassembles virtual ones."),
    o("!dd", Kernel, "dd", "Physical addresses are for kernel dumps; `dd` shows virtual ones."),
    o("!db", Kernel, "db", "Physical addresses are for kernel dumps; `db` shows virtual ones."),
    o("!dq", Kernel, "dq", "Physical addresses are for kernel dumps; `dq` shows virtual ones."),
    o("!process", Kernel, "|", "`|` shows the process, `!peb` and `!dlls` its data."),
    o("!thread", Kernel, "~", "`~` lists threads, `!teb` and `!runaway` show a thread's data."),
    o("!running", Kernel, "!runaway", "`!runaway` shows which threads used the processor."),
    o("!stacks", Kernel, "!uniqstack", "`!uniqstack` shows the stacks of all threads."),
    o(
        "!irp",
        Kernel,
        "",
        "Requests to drivers are in kernel memory; `!waits` shows which threads wait for input and output.",
    ),
    o(
        "!poolused",
        Kernel,
        "!address",
        "The pool is kernel memory; `!address -summary` sums up the process's own.",
    ),
    o(
        "!pool",
        Kernel,
        "!address",
        "The pool is kernel memory; `!address ADDR` says what an address of the process is.",
    ),
    o("!poolfind", Kernel, "!address", "The pool is kernel memory."),
    o("!pte", Kernel, "!vprot", "Page tables are kernel memory; `!vprot ADDR` shows a page's protection."),
    o("!object", Kernel, "!handle", "`!handle` shows the objects that the process has open."),
    o("!drvobj", Kernel, "", "Drivers are in kernel memory."),
    o("!devobj", Kernel, "", "Devices are in kernel memory."),
    o("!devnode", Kernel, "", "Devices are in kernel memory."),
    o("!devstack", Kernel, "", "Devices are in kernel memory."),
    o("!vm", Kernel, "!address", "`!address -summary` sums up the process's own memory."),
    o("!memusage", Kernel, "!address", "`!address -summary` sums up the process's own memory."),
    o("!pcr", Kernel, "", "Processor data are in kernel memory."),
    o("!prcb", Kernel, "", "Processor data are in kernel memory."),
    o("!idt", Kernel, "", "Processor data are in kernel memory."),
    o("!irql", Kernel, "", "Processor data are in kernel memory."),
    o("!ready", Kernel, "~", "Which threads are ready to run is in kernel memory; `~` lists the process's."),
    o("!sysinfo", Kernel, "vertarget", "`vertarget` shows what a user dump knows of the machine."),
    o("!session", Kernel, "", "Sessions are in kernel memory; `!peb` shows the process's environment."),
    o("!sprocess", Kernel, "|", "A user dump holds one process; `|` shows it."),
    o("!zombies", Kernel, "|", "A user dump holds one process; `|` shows it."),
    o("!job", Kernel, "", "Jobs are in kernel memory."),
    o("!dpcs", Kernel, "", "Processor data are in kernel memory."),
    o("!timer", Kernel, "", "Timers are in kernel memory."),
    o("!qlocks", Kernel, "!locks", "`!locks` shows the process's own locks."),
    o(".bugcheck", Kernel, ".lastevent", "`.lastevent` and `!analyze -v` say why this dump was written."),
    o("!dumpstack", Managed, "!clrstack", "`!clrstack` and `k` show managed stacks."),
    o("!eestack", Managed, "!clrstack", "`~*e !clrstack` shows all managed stacks."),
    o("!dumpil", Managed, "!u", "IL is not decoded; `!u` shows a method's machine code."),
    o(
        "!gcwhere",
        Managed,
        "!gcroot",
        "`!eeheap -gc` shows the segments, `!gcroot ADDR` who holds an object.",
    ),
    o("!listnearobj", Managed, "!dumpheap", "`!dumpheap START END` lists the objects around an address."),
    o("!gcheapstat", Managed, "!eeheap", "`!eeheap -gc` and `!dumpheap -stat` show the heap's sizes."),
    o("!heapstat", Managed, "!eeheap", "`!eeheap -gc` and `!dumpheap -stat` show the heap's sizes."),
    o(
        "!verifyheap",
        Managed,
        "!dumpheap",
        "The heap is not checked; `!dumpheap` walks it and says where it cannot go on.",
    ),
    o("!verifyobj", Managed, "!do", "`!do ADDR` shows an object and says when it is none."),
    o("!threadstate", Managed, "!clrthreads", "`!clrthreads` shows the states of managed threads."),
    o("!dumpsig", Managed, "!dumpmd", "`!dumpmd` shows a method with its signature."),
    o("!dumplog", Managed, "", ""),
    o("!ehinfo", Managed, "!dumpmd", ""),
    o("!gcinfo", Managed, "!dumpmd", ""),
    o("!bpmd", Managed, "", ""),
    o("!traverseheap", Managed, "!dumpheap", "`!dumpheap` walks the heap."),
    o("!dumpruntimetypes", Managed, "!dumpmt", ""),
    o("!analyzeoom", Managed, "!eeheap", "`!eeheap -gc` shows the heap's sizes."),
    o("!comstate", Managed, "!com", "`!com` shows COM's apartments and calls."),
    o("!rcwcleanuplist", Managed, "", ""),
    o("!vmstat", Managed, "!address", "`!address -summary` sums up the memory."),
    o("!vmmap", Managed, "!address", "`!address` lists the regions."),
    o("!saveModule", Managed, "", ""),
    o("!soshelp", Managed, ".help", "`.help` lists the managed commands under `managed`."),
    o("!mk", Managed, "k", "`k` shows managed and native frames together."),
    o("!strings", Managed, "!dumpheap", "`!dumpheap -type System.String` lists the strings."),
    o(
        ".cordll",
        Managed,
        "!eeversion",
        "The runtime's data are read without its debugger DLL; `!eeversion` shows which runtime there is.",
    ),
    o("!us", Missing, "!uniqstack", "`!uniqstack` groups equal stacks."),
    o("!mex.us", Missing, "!uniqstack", "`!uniqstack` groups equal stacks."),
    o("!mex.t", Missing, "~", "`~` lists threads."),
    o("!mex.p", Missing, "|", "`|` shows the process."),
    o("!locktree", Missing, "!locks", "`!locks` and `!waits` show who holds and who waits."),
    o("!locklist", Missing, "!locks", "`!locks` shows who holds what."),
    o("!critlist", Missing, "!locks", "`!locks` lists critical sections."),
    o("!mlocks", Missing, "!locks", "`!locks` shows native locks, `!syncblk` those of .NET."),
    o("!mutex", Missing, "!waits", "`!waits` shows who waits for which mutex."),
    o("!mutant", Missing, "!waits", "`!waits` shows who waits for which mutex."),
    o("!semaphore", Missing, "!waits", "`!waits` shows who waits for which semaphore."),
    o("!srw", Missing, "!waits", "`!waits` shows who waits for which SRW lock."),
    o("!mwaits", Missing, "!waits", "`!waits` shows what each thread waits for."),
    o("!waitchain", Missing, "!waits", "`!waits` shows chains of waiting threads."),
    o("!wct", Missing, "!waits", "`!waits` shows chains of waiting threads."),
    o("!dlk", Missing, "!deadlock", "`!deadlock` looks for circles of locks."),
    o("!findthebuild", Missing, "!lmi", "`lmvm MODULE` shows a module's version."),
    o(
        ".scriptload",
        Missing,
        "$$>",
        "JavaScript is not run; `$$>< FILE` runs a script of commands, `dx` evaluates LINQ.",
    ),
    o(
        ".scriptrun",
        Missing,
        "$$>",
        "JavaScript is not run; `$$>< FILE` runs a script of commands, `dx` evaluates LINQ.",
    ),
    o(".scriptunload", Missing, "", "JavaScript is not run."),
    o(
        ".server",
        Missing,
        "",
        "There is no remote debugging; copy the dump, or its shrunken form (`dumpscope shrink`).",
    ),
    o(
        ".remote",
        Missing,
        "",
        "There is no remote debugging; copy the dump, or its shrunken form (`dumpscope shrink`).",
    ),
    o(".tlist", Missing, "|", "A dump holds one process: `|` shows it."),
    o("!logexts.logi", Missing, "", "It logs calls of a running process."),
    o("!logi", Missing, "", "It logs calls of a running process."),
    o("!loge", Missing, "", "It logs calls of a running process."),
    o("!uext.vadump", Missing, "!vadump", "`!vadump` lists the regions."),
    o("!rpcexts.help", Missing, "!waits", "`!waits` decodes RPC calls and whom they go to."),
    o("!getcallinfo", Missing, "!waits", "`!waits` decodes RPC calls and whom they go to."),
    o("!getdbgcell", Missing, "!waits", "`!waits` decodes RPC calls and whom they go to."),
    o("!obja", Missing, "dt", "`dt ntdll!_OBJECT_ATTRIBUTES ADDR` shows one."),
    o("!evlog", Missing, "", "The event log of the machine is not in a dump."),
    o("!dreg", Missing, "", "The registry is not in a dump."),
    o("!reg", Missing, "", "The registry is not in a dump."),
    o("!ntsdexts.help", Missing, ".help", "`.help` lists what there is."),
    o("!exts.help", Missing, ".help", "`.help` lists what there is."),
    o("!sd", Missing, "", "Security descriptors are not decoded; `db ADDR` shows the bytes."),
    o("!sid", Missing, "", "Security identifiers are not decoded; `db ADDR` shows the bytes."),
    o("!acl", Missing, "", "Access lists are not decoded; `db ADDR` shows the bytes."),
    o(".ocommand", Missing, "", "It takes commands from a running program."),
    o(".pcmd", Missing, "", "There is no command at the prompt; a line may hold several, separated by `;`."),
    o(
        ".idle_cmd",
        Missing,
        "",
        "There is no command when nothing runs; a line may hold several, separated by `;`.",
    ),
    o(".wtitle", Missing, "", "The window keeps its title."),
    o(".beep", Missing, "", ""),
    o(".sound_notify", Missing, "", ""),
    o(".dbgdbg", Missing, "", ""),
    o(".suspend_ui", Missing, "", ""),
    o(".netuse", Missing, "", "Connect the folder with the system's own means, then name it in `.sympath`."),
    o(".endsrv", Missing, "", "There is no remote debugging."),
    o(".clients", Missing, "", "There is no remote debugging."),
    o(".servers", Missing, "", "There is no remote debugging."),
    o(".settings", Missing, "", "Settings are in the file that `dumpscope --help` names."),
    o(".send_file", Missing, "", ""),
    o(".locale", Missing, "", "Text is always Unicode."),
    o(".apply_dbp", Missing, "", ""),
    o(".fiber", Missing, "", "`!teb` shows a thread's fiber; its saved context is shown with `.cxr ADDR`."),
    o(".crash", Missing, "", "A dump is no running machine."),
    o(".reboot", Missing, "", "A dump is no running machine."),
    o(".pagein", Missing, "", "A dump has no page file: what is not in it is lost."),
    o("!dml_proc", Missing, "|", "`|` shows the process, `~` its threads."),
    o("!gt", Missing, "", ""),
    o("!ttdext.tt", Missing, "", "This is no time travel trace."),
    o("!tt", Missing, "", "This is no time travel trace."),
    o("!positions", Missing, "", "This is no time travel trace."),
    o(
        "!tp",
        Missing,
        "!waits",
        "`!waits` shows which threads are of a pool and what they do; the pool's own lists need ntdll's types (`dt ntdll!_TP_POOL ADDR`).",
    ),
    o(
        "!imports",
        Missing,
        "!dh",
        "`!dh MODULE` shows a module's headers and directories, `x MODULE!*` its names.",
    ),
    o(".opendump", Open, "", ""),
];

/// The entry for a command name, without arguments, in any letter case (`DD` is not `dD`: exact case first).
#[must_use]
pub fn other(name: &str) -> Option<&'static Other> {
    OTHERS
        .iter()
        .find(|o| o.name == name)
        .or_else(|| OTHERS.iter().find(|o| o.name.eq_ignore_ascii_case(name)))
}

/// The entry of an extension's export, without its `!`.
pub(super) fn extension(export: &str) -> Option<&'static Other> {
    OTHERS.iter().find(|o| o.name.strip_prefix('!').is_some_and(|n| n.eq_ignore_ascii_case(export)))
}

/// All entries, in the order of the table.
#[must_use]
pub fn others() -> &'static [Other] {
    OTHERS
}
