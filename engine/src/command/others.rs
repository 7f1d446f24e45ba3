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
    /// The nearest command that there is, or empty.
    pub instead: &'static str,
}

const fn o(name: &'static str, kind: OtherKind, instead: &'static str) -> Other {
    Other { name, kind, instead }
}

use OtherKind::{Kernel, Live, Managed, Missing, Open, Write};

/// In the order of the first name that fits; longer names before their prefixes.
const OTHERS: &[Other] = &[
    o("gu", Live, ""),
    o("gh", Live, ""),
    o("gn", Live, ""),
    o("gc", Live, ""),
    o("g", Live, ""),
    o("pa", Live, ""),
    o("pc", Live, ""),
    o("pct", Live, ""),
    o("ph", Live, ""),
    o("pt", Live, ""),
    o("p", Live, ""),
    o("ta", Live, ""),
    o("tb", Live, ""),
    o("tc", Live, ""),
    o("tct", Live, ""),
    o("th", Live, ""),
    o("tt", Live, ""),
    o("t", Live, ""),
    o("wt", Live, "uf"),
    o("ba", Live, ""),
    o("bc", Live, ""),
    o("bd", Live, ""),
    o("be", Live, ""),
    o("bl", Live, ""),
    o("bm", Live, ""),
    o("bp", Live, ""),
    o("br", Live, ""),
    o("bs", Live, ""),
    o("bu", Live, ""),
    o("sx", Live, ".lastevent"),
    o("sxd", Live, ".lastevent"),
    o("sxe", Live, ".lastevent"),
    o("sxi", Live, ".lastevent"),
    o("sxn", Live, ".lastevent"),
    o("sxr", Live, ".lastevent"),
    o(".attach", Live, ""),
    o(".create", Live, ""),
    o(".detach", Live, "q"),
    o(".kill", Live, "q"),
    o(".restart", Live, ""),
    o(".dvalloc", Live, ""),
    o(".dvfree", Live, ""),
    o(".call", Live, ""),
    o(".breakin", Live, ""),
    o("e", Write, "db"),
    o("ea", Write, "da"),
    o("eb", Write, "db"),
    o("ed", Write, "dd"),
    o("eD", Write, "dD"),
    o("ef", Write, "df"),
    o("ep", Write, "dp"),
    o("eq", Write, "dq"),
    o("eu", Write, "du"),
    o("ew", Write, "dw"),
    o("eza", Write, "da"),
    o("ezu", Write, "du"),
    o("f", Write, "db"),
    o("fp", Write, "db"),
    o("m", Write, "db"),
    o("a", Write, "u"),
    o(".readmem", Write, ""),
    o(".writemem", Missing, "db"),
    o("!process", Kernel, "|"),
    o("!thread", Kernel, "~"),
    o("!running", Kernel, "!runaway"),
    o("!stacks", Kernel, "!uniqstack"),
    o("!irp", Kernel, ""),
    o("!poolused", Kernel, "!address"),
    o("!pool", Kernel, "!address"),
    o("!pte", Kernel, "!vprot"),
    o("!object", Kernel, "!handle"),
    o("!drvobj", Kernel, ""),
    o("!devobj", Kernel, ""),
    o("!vm", Kernel, "!address"),
    o("!pcr", Kernel, ""),
    o("!idt", Kernel, ""),
    o(".bugcheck", Kernel, ".lastevent"),
    o("!dumpstack", Managed, "k"),
    o("!eestack", Managed, "k"),
    o("!dumpil", Managed, "!u"),
    o("!gcwhere", Managed, "!eeheap"),
    o("!listnearobj", Managed, "!dumpheap"),
    o("!gcheapstat", Managed, "!eeheap"),
    o("!verifyheap", Managed, "!dumpheap"),
    o("!threadstate", Managed, "!clrthreads"),
    o(".cordll", Managed, ""),
    o("!us", Missing, "!uniqstack"),
    o("!mex.us", Missing, "!uniqstack"),
    o("!mex.t", Missing, "~"),
    o("!mex.p", Missing, "|"),
    o("!htrace", Missing, "!handle"),
    o("!locktree", Missing, "!locks"),
    o("!locklist", Missing, "!locks"),
    o("!critlist", Missing, "!locks"),
    o("!mlocks", Missing, "!locks"),
    o("!mutex", Missing, "!waits"),
    o("!mutant", Missing, "!waits"),
    o("!semaphore", Missing, "!waits"),
    o("!srw", Missing, "!waits"),
    o("!mwaits", Missing, "!waits"),
    o("!waitchain", Missing, "!waits"),
    o("!wct", Missing, "!waits"),
    o("!dlk", Missing, "!deadlock"),
    o("!token", Missing, ""),
    o("!heap", Missing, "!address"),
    o("!avrf", Missing, ""),
    o(".load", Missing, ".help"),
    o(".loadby", Missing, ".help"),
    o(".unload", Missing, ".help"),
    o(".scriptload", Missing, ""),
    o(".opendump", Open, ""),
    o(".server", Missing, ""),
    o(".remote", Missing, ""),
    o(".tlist", Missing, "|"),
];

/// The entry for a command name, without arguments, in any letter case (`DD` is not `dD`: exact case first).
#[must_use]
pub fn other(name: &str) -> Option<&'static Other> {
    OTHERS
        .iter()
        .find(|o| o.name == name)
        .or_else(|| OTHERS.iter().find(|o| o.name.eq_ignore_ascii_case(name)))
}

/// All entries, in the order of the table.
#[must_use]
pub fn others() -> &'static [Other] {
    OTHERS
}
