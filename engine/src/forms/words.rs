//! Words that the forms share.

use crate::document::{
    Arch, CapabilityRow, DumpKindName, DumpRow, FindingKind, FindingRow, FrameRow, IncidentRow, ThreadRow,
};
use dumpscope_analyzers::capabilities::WHICH_EXCEPTION;

/// The name of a kind, for people.
pub(crate) fn kind_name(kind: FindingKind) -> String {
    kind.row().title.to_uppercase()
}

/// How sure a finding is. "Unknown" is not a statement that could be more or less sure.
pub(crate) fn sure(f: &FindingRow) -> Option<&'static str> {
    (f.kind != FindingKind::Unknown).then(|| f.confidence.name())
}

/// `Deadlock (proven)`.
pub(crate) fn kind_and_confidence(f: &FindingRow) -> String {
    let title = f.kind.row().title;
    sure(f).map_or_else(|| title.to_owned(), |sure| format!("{title} ({sure})"))
}

/// User and kernel time together.
pub(crate) fn cpu_ms(thread: &ThreadRow) -> Option<u64> {
    thread.user_ms?.checked_add(thread.kernel_ms?)
}

/// `module!function+0x12`. The offset is never left out: a name from an export table may be far away.
pub(crate) fn frame_name(f: &FrameRow) -> String {
    let offset = match f.displacement {
        Some(d) if d.0 != 0 => format!("+{:#x}", d.0),
        _ => String::new(),
    };
    match (&f.module, &f.function) {
        (Some(m), Some(name)) => format!("{m}!{name}{offset}"),
        (None, Some(name)) => format!("{name}{offset}"),
        (Some(m), None) => format!("{m}{offset}"),
        (None, None) => format!("{:#x}", f.ip.0),
    }
}

/// `2:58:53` or `1.234 s`.
pub(crate) fn seconds(ms: u64) -> String {
    let s = ms / 1000;
    if s < 60 {
        format!("{s}.{:03} s", ms % 1000)
    } else {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// Program and process id.
pub(crate) fn process_words(row: &DumpRow) -> Option<String> {
    let p = row.process.as_ref()?;
    let name = p.name.clone().unwrap_or_else(|| "unknown program".into());
    Some(match p.pid {
        Some(pid) => format!("{name}, pid {pid:x} (0n{pid})"),
        None => name,
    })
}

/// Architecture and system.
pub(crate) fn system_words(row: &DumpRow) -> Option<String> {
    let s = row.system.as_ref()?;
    let arch = match (s.arch, s.wow64) {
        (Arch::X86, true) => "32-bit x86 on a 64-bit system",
        (Arch::X86, false) => "32-bit x86",
        (Arch::X64, _) => "x64",
        (Arch::Arm64, _) => "ARM64",
        (Arch::Other, _) => "unknown processor",
    };
    let windows = s.os.as_deref().is_some_and(|o| o.starts_with("Windows"));
    // Elsewhere the field is the third number of the version.
    let version = match (&s.version, s.build) {
        (Some(v), Some(b)) if windows => Some(format!("{v} build {b}")),
        (Some(v), Some(b)) => Some(format!("{v}.{b}")),
        (None, Some(b)) => Some(format!("build {b}")),
        (v, None) => v.clone(),
    };
    let os = [s.os.clone(), version].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(if os.is_empty() { arch.into() } else { format!("{arch}, {os}") })
}

/// Kind, size and time of the file.
pub(crate) fn dump_words(row: &DumpRow) -> Option<String> {
    let d = row.dump.as_ref()?;
    let kind = match d.kind {
        DumpKindName::Full => "full dump",
        DumpKindName::Partial => "partial dump",
        DumpKindName::Mini => "mini dump",
    };
    let size = match d.size {
        0..1024 => format!("{} bytes", d.size),
        size => crate::fmt::size_unit(size).trim().to_owned(),
    };
    let text = format!("{kind} of {size}");
    Some(match &d.time {
        Some(time) => format!("{text}, {time}"),
        None => text,
    })
}

/// What to do about a chain: which dumps would extend it, else what the finding on its last thread advises.
pub(crate) fn incident_advice(incident: &IncidentRow) -> Option<String> {
    if !incident.missing_dumps.is_empty() {
        let pids: Vec<String> = incident.missing_dumps.iter().map(|p| format!("{p:x} (0n{p})")).collect();
        // ProcDump reads process ids as decimal numbers.
        let tools: Vec<String> =
            incident.missing_dumps.iter().map(|p| format!("`procdump -ma {p}`")).collect();
        return Some(format!(
            "write a dump of process {} while it hangs: {}",
            pids.join(", "),
            tools.join(", ")
        ));
    }
    let last = incident.chain.last()?.tid?;
    let about_last = |f: &&FindingRow| f.tid == Some(last) || f.tids.contains(&last);
    incident.findings.iter().find(about_last).and_then(|f| f.advice.clone())
}

/// What the dump cannot answer. A dump without an exception is mostly of a hang: the verdict says so already.
pub(crate) fn unanswered(row: &DumpRow) -> Vec<&CapabilityRow> {
    let all = row.capabilities.iter().flatten();
    all.filter(|c| !c.answerable && c.question != WHICH_EXCEPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds(1_234), "1.234 s");
        assert_eq!(seconds(10_733_443), "2:58:53");
    }
}
