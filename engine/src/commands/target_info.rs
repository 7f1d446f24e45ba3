//! `vertarget`, `version`, `.time`, `|`, `||`: what was dumped, where and when.

use super::missing;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Message, RenderCx, Report, Role, Sink, Span};
use crate::fmt;
use crate::session::{Layout, Session};
use dumpscope_analyzers::incident::system_uptime;
use dumpscope_core::Machine;
use dumpscope_core::base::text::escape;
use dumpscope_core::model::DumpKind;
use dumpscope_core::stream::system_info::SystemInfo;
use serde::Serialize;

pub(crate) const VERTARGET: Command = Command {
    name: "vertarget",
    group: "dump",
    syntax: "vertarget",
    summary: "Shows the version of Windows and the times of the dump and the process",
    help: "Times are shown in the time zone of the dump's machine, when the dump tells it. The uptime of the system is in \
           dumps with all memory.",
    examples: &[("vertarget", "System and times")],
    run: |session, inv, sink| {
        // Today's engine tells afterwards what does not belong there.
        let end = inv.cursor().end();
        if session.sel.layout == Layout::Classic {
            end.clone()?;
        }
        let report = target(session, true, true, false);
        session.emit(sink, &report)?;
        end
    },
    ..Command::BASE
};

pub(crate) const VERSION: Command = Command {
    name: "version",
    group: "dump",
    syntax: "version",
    summary: "As `vertarget`, and the version of dumpscope",
    help: "What to put into a bug report.",
    examples: &[("version", "System, times and the version of dumpscope")],
    run: |session, inv, sink| {
        inv.cursor().end()?;
        let report = target(session, true, true, true);
        session.emit(sink, &report)
    },
    ..Command::BASE
};

pub(crate) const TIME: Command = Command {
    name: ".time",
    group: "dump",
    syntax: ".time",
    summary: "Shows when the dump was written and how long the process ran",
    help: "Times are shown in the time zone of the dump's machine, when the dump tells it. The uptime of the system is in \
           dumps with all memory.",
    examples: &[(".time", "Times of the dump and the process")],
    needs: &[Needs::MiscInfo],
    run: |session, inv, sink| {
        inv.cursor().end()?;
        let report = target(session, false, true, false);
        session.emit(sink, &report)
    },
    ..Command::BASE
};

pub(crate) const PROCESS: Command = Command {
    name: "|",
    group: "dump",
    syntax: "|[.|*|#|0] [s]",
    summary: "Shows the process of the dump",
    help: "A dump holds one process: number 0.",
    examples: &[
        ("|", "Process id and program"),
        ("|.", "The current process"),
        ("|*", "All processes: the one"),
    ],
    run: run_process,
    ..Command::BASE
};

pub(crate) const SYSTEM: Command = Command {
    name: "||",
    group: "dump",
    syntax: "||[.|*|#|0] [s]",
    summary: "Shows the dump file and its kind",
    help: "One dump is open: number 0.",
    examples: &[("||", "The dump's kind and path"), ("||*", "All dumps of the session: the one")],
    run: run_system,
    ..Command::BASE
};

/// Minutes that the dump's machine was behind UTC; 0 when the dump does not say.
pub(crate) fn utc_bias(session: &Session) -> i32 {
    // Today's engine shows times as they are where it runs; UTC is the same for everyone.
    if session.sel.layout == Layout::Modern {
        return 0;
    }
    session.dump().misc().value().and_then(|m| m.utc_bias_minutes).unwrap_or(0)
}

/// The path of the program, as well as the dump knows it. Untrusted.
pub(crate) fn image_path(session: &Session) -> Option<String> {
    let dump = session.dump();
    let views = [session.target.process_machine(), dump.machine()];
    let path = views.into_iter().find_map(|m| dump.parameters(m)?.image_path).filter(|p| !p.is_empty());
    path.or_else(|| dump.modules().first().map(|m| m.path.clone()))
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TargetReport {
    /// `Windows 10`. Null without a SystemInfo stream.
    os: Option<String>,
    /// `10.0.19045`.
    version: Option<String>,
    /// Architecture of the contexts.
    machine: &'static str,
    processors: Option<u8>,
    product: Option<&'static str>,
    suites: Vec<&'static str>,
    build_lab: Option<String>,
    /// As WinDbg writes it.
    session_time: Option<String>,
    /// Seconds since 1970 UTC.
    session_time_unix: Option<u32>,
    /// Since the boot of the machine. Null where the page of the system's clocks is not in the dump.
    system_uptime_s: Option<u64>,
    process_uptime_s: Option<u32>,
    kernel_time_s: Option<u32>,
    user_time_s: Option<u32>,
    /// dumpscope's own version.
    dumpscope: Option<&'static str>,
    /// `system_uptime_s` in units of 100 ns.
    #[serde(skip)]
    system_uptime: Option<u64>,
    #[serde(skip)]
    system_line: Option<String>,
    #[serde(skip)]
    modern: bool,
    #[serde(skip)]
    times: bool,
    /// What the writer of the dump said of it (comment streams). Untrusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comments: Vec<String>,
    /// What is missing and why.
    note: Option<&'static str>,
}

impl Answer for TargetReport {
    const KIND: &'static str = "target";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if let Some(line) = &self.system_line {
            emit(Line::new().span(Span::untrusted(Role::Plain, line)));
            if let Some(product) = self.product {
                let mut text = format!("Product: {product}");
                if !self.suites.is_empty() {
                    text.push_str(&format!(", suite: {}", self.suites.join(" ")));
                }
                emit(Line::plain(text));
            }
            if let Some(lab) = &self.build_lab {
                emit(Line::plain("Edition build lab: ").span(Span::untrusted(Role::Text, lab)));
            }
        }
        if self.times {
            let not = "not available";
            emit(Line::plain(format!("Debug session time: {}", self.session_time.as_deref().unwrap_or(not))));
            let uptime = self.system_uptime.map_or_else(|| not.to_string(), fmt::duration);
            emit(Line::plain(format!("System Uptime: {uptime}")));
            let seconds = |s: u32| fmt::duration(u64::from(s) * 10_000_000);
            let uptime = self.process_uptime_s.map_or_else(|| not.to_string(), seconds);
            emit(Line::plain(format!("Process Uptime: {uptime}")));
            if let Some(kernel) = self.kernel_time_s {
                emit(Line::plain(format!("  Kernel time: {}", seconds(kernel))));
            }
            if let Some(user) = self.user_time_s {
                emit(Line::plain(format!("  User time: {}", seconds(user))));
            }
        }
        for comment in &self.comments {
            if self.modern {
                // Today's engine says it when it opens a dump, not here: it stands beside the output.
                let words: Vec<&str> = comment.split_whitespace().collect();
                emit(
                    Line::new()
                        .role(Role::Note, "note: Comment: ")
                        .span(Span::untrusted(Role::Note, &words.join(" "))),
                );
                continue;
            }
            let mut rows = comment.lines().filter(|l| !l.trim().is_empty());
            let first = rows.next().unwrap_or("");
            emit(Line::plain("Comment: ").span(Span::untrusted(Role::Text, first.trim_end())));
            for row in rows {
                emit(Line::plain("         ").span(Span::untrusted(Role::Text, row.trim_end())));
            }
        }
        if let Some(version) = self.dumpscope {
            emit(Line::plain(format!("dumpscope version {version}")));
        }
        if let Some(note) = self.note {
            emit(Line::new().role(Role::Note, format!("note: {note}")));
        }
    }
}

fn target(session: &Session, system: bool, times: bool, version: bool) -> TargetReport {
    let dump = session.dump();
    let info = dump.system().value();
    let misc = dump.misc().value();
    let when = (dump.time() != 0).then(|| dump.time());
    let uptime = system_uptime(&session.target);
    let modern = session.sel.layout == Layout::Modern;
    TargetReport {
        os: info.map(os_name),
        version: info.map(|i| format!("{}.{}.{}", i.major, i.minor, i.build)),
        machine: dump.machine().json_name(),
        processors: info.map(|i| i.processors).filter(|&n| n != 0),
        product: info.filter(|i| i.is_windows()).and_then(product),
        suites: info.filter(|i| i.is_windows()).map_or_else(Vec::new, suites),
        build_lab: misc.and_then(|m| m.build_string.as_deref()).map(|b| escape(b).into_owned()),
        session_time: when.map(|t| fmt::time_zone(fmt::ticks_from_unix(t), utc_bias(session))),
        session_time_unix: when,
        system_uptime_s: uptime.map(|t| t / 10_000_000),
        system_uptime: uptime,
        process_uptime_s: when
            .zip(misc.and_then(|m| m.create_time))
            .and_then(|(t, c)| t.checked_sub(c))
            .filter(|s| !modern || *s > 0),
        kernel_time_s: misc.and_then(|m| m.kernel_time),
        user_time_s: misc.and_then(|m| m.user_time),
        comments: if system { dump.comments().iter().map(|c| (*c).to_owned()).collect() } else { Vec::new() },
        dumpscope: version.then_some(env!("CARGO_PKG_VERSION")),
        system_line: system.then(|| {
            let named = |i: &SystemInfo| system_line(i, if modern { engine_name(i) } else { os_name(i) });
            info.map_or_else(|| "Minidump does not have system info".to_string(), named)
        }),
        modern,
        times,
        note: misc.is_none().then_some(missing::MISC_INFO).filter(|_| times),
    }
}

/// `Windows 10 Version 19045 MP (24 procs) Free x64`.
fn system_line(i: &SystemInfo, name: String) -> String {
    let mut line = name;
    if i.is_windows() {
        line.push_str(&format!(" Version {}", i.build));
        if !i.csd_version.is_empty() {
            line.push_str(&format!(" ({})", i.csd_version));
        }
    } else {
        line.push_str(&format!(" {}.{}.{} {}", i.major, i.minor, i.build, i.csd_version));
    }
    match i.processors {
        0 => {}
        1 => line.push_str(" UP"),
        n => line.push_str(&format!(" MP ({n} procs)")),
    }
    line.push_str(" Free ");
    line.push_str(match i.machine {
        Machine::X86 => "x86 compatible",
        Machine::Amd64 => "x64",
        Machine::Arm64 => "ARM 64-bit (AArch64)",
        Machine::Other(_) => "unknown processor",
    });
    line
}

/// The name that today's engine gives.
fn engine_name(i: &SystemInfo) -> String {
    // Today's engine names servers after their clients.
    os_name(&SystemInfo { product_type: i.product_type.min(1), ..i.clone() })
}

/// The marketing name, which the dump does not hold.
fn os_name(i: &SystemInfo) -> String {
    if !i.is_windows() {
        let name = match i.platform_id {
            0x8101 => "macOS",
            0x8102 => "iOS",
            0x8201 => "Linux",
            0x8202 => "Solaris",
            0x8203 => "Android",
            _ => return format!("Unknown system {:#x}", i.platform_id),
        };
        return name.to_string();
    }
    let server = i.product_type > 1;
    let name = match (i.major, i.minor, server) {
        (5, 0, _) => "Windows 2000",
        (5, 1, _) => "Windows XP",
        (5, 2, _) => "Windows Server 2003",
        (6, 0, false) => "Windows Vista",
        (6, 0, true) => "Windows Server 2008",
        (6, 1, false) => "Windows 7",
        (6, 1, true) => "Windows Server 2008 R2",
        (6, 2, false) => "Windows 8",
        (6, 2, true) => "Windows Server 2012",
        (6, 3, false) => "Windows 8.1",
        (6, 3, true) => "Windows Server 2012 R2",
        (10, 0, false) if i.build >= 22_000 => "Windows 11",
        (10, 0, false) => "Windows 10",
        (10, 0, true) if i.build >= 26_100 => "Windows Server 2025",
        (10, 0, true) if i.build >= 20_348 => "Windows Server 2022",
        (10, 0, true) if i.build >= 17_763 => "Windows Server 2019",
        (10, 0, true) => "Windows Server 2016",
        _ => return format!("Windows {}.{}", i.major, i.minor),
    };
    name.to_string()
}

fn product(i: &SystemInfo) -> Option<&'static str> {
    match i.product_type {
        1 => Some("WinNt"),
        2 => Some("LanManNt"),
        3 => Some("Server"),
        _ => None,
    }
}

fn suites(i: &SystemInfo) -> Vec<&'static str> {
    const SUITES: [(u16, &str); 16] = [
        (0x1, "SmallBusiness"),
        (0x2, "Enterprise"),
        (0x4, "BackOffice"),
        (0x8, "CommunicationServer"),
        (0x10, "TerminalServer"),
        (0x20, "SmallBusinessRestricted"),
        (0x40, "EmbeddedNT"),
        (0x80, "DataCenter"),
        (0x100, "SingleUserTS"),
        (0x200, "Personal"),
        (0x400, "Blade"),
        (0x800, "EmbeddedRestricted"),
        (0x1000, "SecurityAppliance"),
        (0x2000, "StorageServer"),
        (0x4000, "ComputeServer"),
        (0x8000, "WHServer"),
    ];
    SUITES.iter().filter(|(bit, _)| i.suite_mask & bit != 0).map(|&(_, name)| name).collect()
}

/// `|` and `||` as reports with a JSON form.
struct OneLine {
    kind: &'static str,
    line: Line,
    json: serde_json::Value,
}

impl Report for OneLine {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        Message(vec![self.line.clone()]).lines(cx, emit);
    }

    fn json(&self) -> serde_json::Value {
        self.json.clone()
    }
}

/// What stands behind `|` or `||`: the one process (system) that there is, and whether it is made
/// current.
fn selector(inv: &Invocation<'_>, what: &'static str) -> Result<bool, CommandError> {
    let start = inv.text.len() - inv.text.trim_start_matches('|').len();
    let rest = inv.text.get(start..).unwrap_or("").trim();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (mark, behind) = rest.split_at(match rest.chars().next() {
        Some('.' | '*' | '#') => 1,
        _ => digits,
    });
    if digits > 0 && mark.parse() != Ok(0u32) {
        return Err(CommandError::caret(start + digits, what));
    }
    match behind.trim() {
        "" => Ok(false),
        "s" => Ok(true),
        _ => Err(CommandError::caret(
            inv.text.trim_end().len() - behind.trim_start().len(),
            "Extra character error",
        )),
    }
}

fn run_process(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if selector(inv, "Illegal process error")? {
        return crate::commands::threads::show_instruction(session, sink);
    }
    let pid = session.dump().pid().map(|p| p.0);
    let name = image_path(session).map(|n| escape(&n).into_owned());
    let line = Line::plain(format!(".  0\tid: {:x}\texamine\tname: ", pid.unwrap_or(0)))
        .span(Span::untrusted(Role::Text, name.as_deref().unwrap_or("?NoImage?")));
    let json = serde_json::json!({ "pid": pid, "image_path": name });
    session.emit(sink, &OneLine { kind: "process", line, json })
}

fn run_system(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if selector(inv, "Illegal debuggee error")? {
        return Ok(());
    }
    let kind = session.dump().kind();
    let words = if kind == DumpKind::Full { "Full memory user mini dump" } else { "User mini dump" };
    let line = Line::plain(format!(".  0 {words}: ")).span(Span::untrusted(Role::Text, &session.path));
    let name = match kind {
        DumpKind::Full => "full",
        DumpKind::Partial => "partial",
        DumpKind::Mini => "mini",
    };
    let json = serde_json::json!({ "kind": name, "path": escape(&session.path) });
    session.emit(sink, &OneLine { kind: "system", line, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(major: u32, minor: u32, build: u32, product_type: u8, csd: &str) -> SystemInfo {
        SystemInfo {
            machine: Machine::Amd64,
            processor_level: 6,
            processor_revision: 0,
            processors: 24,
            product_type,
            major,
            minor,
            build,
            platform_id: 2,
            csd_version: csd.into(),
            suite_mask: 0x300,
            cpu: [0; 24],
        }
    }

    #[test]
    fn system_lines() {
        let line = |i: &SystemInfo| system_line(i, os_name(i));
        assert_eq!(line(&info(10, 0, 19_045, 1, "")), "Windows 10 Version 19045 MP (24 procs) Free x64");
        assert_eq!(
            line(&info(6, 1, 7601, 1, "Service Pack 1")),
            "Windows 7 Version 7601 (Service Pack 1) MP (24 procs) Free x64"
        );
        assert_eq!(os_name(&info(10, 0, 22_631, 1, "")), "Windows 11");
        assert_eq!(suites(&info(10, 0, 1, 1, "")), ["SingleUserTS", "Personal"]);
        let mut linux = info(5, 4, 0, 0, "Linux 5.4.0-1 x86_64");
        linux.platform_id = 0x8201;
        assert_eq!(line(&linux), "Linux 5.4.0 Linux 5.4.0-1 x86_64 MP (24 procs) Free x64");
    }
}
