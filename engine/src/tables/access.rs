//! Access rights as `!handle` names them: standard rights on the first line, the type's own on the second.
//!
//! Source: winnt.h and the documentation of each object's access rights.

/// Names of the standard and generic rights in a mask, comma-separated; `None` when none is set.
#[must_use]
pub fn standard(mask: u32) -> String {
    or_none(names(STANDARD, mask))
}

/// Names of the rights that are special to a type, or `None`; empty when the type's rights are not known but some
/// are set.
#[must_use]
pub fn specific(type_name: &str, mask: u32) -> String {
    let table: &[(u32, &str)] = match type_name {
        "Event" => EVENT,
        "Mutant" => MUTANT,
        "Semaphore" => SEMAPHORE,
        "Timer" | "IRTimer" => TIMER,
        "Thread" => THREAD,
        "Process" => PROCESS,
        "File" => FILE,
        "Key" => KEY,
        "Section" => SECTION,
        "Directory" => DIRECTORY,
        "SymbolicLink" => SYMBOLIC_LINK,
        "Token" => TOKEN,
        "Job" => JOB,
        "IoCompletion" => IO_COMPLETION,
        "Desktop" => DESKTOP,
        "WindowStation" => WINDOW_STATION,
        "ALPC Port" | "Port" => PORT,
        "TpWorkerFactory" => WORKER_FACTORY,
        "KeyedEvent" => KEYED_EVENT,
        _ => return if mask & 0xffff == 0 { "None".into() } else { String::new() },
    };
    or_none(names(table, mask))
}

fn or_none(text: String) -> String {
    if text.is_empty() { "None".into() } else { text }
}

fn names(table: &[(u32, &str)], mask: u32) -> String {
    let set: Vec<&str> = table.iter().filter(|(bit, _)| mask & bit == *bit).map(|&(_, n)| n).collect();
    set.join(",")
}

const STANDARD: &[(u32, &str)] = &[
    (0x1_0000, "Delete"),
    (0x2_0000, "ReadControl"),
    (0x4_0000, "WriteDac"),
    (0x8_0000, "WriteOwner"),
    (0x10_0000, "Synch"),
    (0x100_0000, "AccessSystemSecurity"),
    (0x200_0000, "MaximumAllowed"),
    (0x1000_0000, "GenericAll"),
    (0x2000_0000, "GenericExecute"),
    (0x4000_0000, "GenericWrite"),
    (0x8000_0000, "GenericRead"),
];
const EVENT: &[(u32, &str)] = &[(1, "QueryState"), (2, "ModifyState")];
const MUTANT: &[(u32, &str)] = &[(1, "QueryState")];
const SEMAPHORE: &[(u32, &str)] = &[(1, "QueryState"), (2, "ModifyState")];
const TIMER: &[(u32, &str)] = &[(1, "QueryState"), (2, "ModifyState")];
const KEYED_EVENT: &[(u32, &str)] = &[(1, "Wait"), (2, "Wake")];
const THREAD: &[(u32, &str)] = &[
    (1, "Terminate"),
    (2, "Suspend"),
    (4, "Alert"),
    (8, "GetContext"),
    (0x10, "SetContext"),
    (0x20, "SetInfo"),
    (0x40, "QueryInfo"),
    (0x80, "SetToken"),
    (0x100, "Impersonate"),
    (0x200, "DirectImpersonate"),
    (0x400, "SetLimitedInfo"),
    (0x800, "QueryLimitedInfo"),
    (0x1000, "Resume"),
];
const PROCESS: &[(u32, &str)] = &[
    (1, "Terminate"),
    (2, "CreateThread"),
    (4, "SetSessionId"),
    (8, "VMOp"),
    (0x10, "VMRead"),
    (0x20, "VMWrite"),
    (0x40, "DupHandle"),
    (0x80, "CreateProcess"),
    (0x100, "SetQuota"),
    (0x200, "SetInfo"),
    (0x400, "QueryInfo"),
    (0x800, "SuspendResume"),
    (0x1000, "QueryLimitedInfo"),
    (0x2000, "SetLimitedInfo"),
];
const FILE: &[(u32, &str)] = &[
    (1, "Read/List"),
    (2, "Write/Add"),
    (4, "Append/SubDir/CreatePipe"),
    (8, "ReadEA"),
    (0x10, "WriteEA"),
    (0x20, "Execute/Traverse"),
    (0x40, "DeleteChild"),
    (0x80, "ReadAttr"),
    (0x100, "WriteAttr"),
];
const KEY: &[(u32, &str)] = &[
    (1, "QueryValue"),
    (2, "SetValue"),
    (4, "CreateSubKey"),
    (8, "EnumSubKey"),
    (0x10, "Notify"),
    (0x20, "CreateLink"),
    (0x100, "Wow64-64Key"),
    (0x200, "Wow64-32Key"),
];
const SECTION: &[(u32, &str)] = &[
    (1, "Query"),
    (2, "MapWrite"),
    (4, "MapRead"),
    (8, "MapExecute"),
    (0x10, "Extend"),
    (0x20, "MapExecuteExplicit"),
];
const DIRECTORY: &[(u32, &str)] =
    &[(1, "Query"), (2, "Traverse"), (4, "CreateObject"), (8, "CreateSubDirectory")];
const SYMBOLIC_LINK: &[(u32, &str)] = &[(1, "Query")];
const TOKEN: &[(u32, &str)] = &[
    (1, "AssignPrimary"),
    (2, "Duplicate"),
    (4, "Impersonate"),
    (8, "Query"),
    (0x10, "QuerySource"),
    (0x20, "AdjustPrivileges"),
    (0x40, "AdjustGroups"),
    (0x80, "AdjustDefault"),
    (0x100, "AdjustSessionId"),
];
const JOB: &[(u32, &str)] = &[
    (1, "AssignProcess"),
    (2, "SetAttributes"),
    (4, "Query"),
    (8, "Terminate"),
    (0x10, "SetSecurityAttributes"),
];
const IO_COMPLETION: &[(u32, &str)] = &[(1, "QueryState"), (2, "ModifyState")];
const DESKTOP: &[(u32, &str)] = &[
    (1, "ReadObjects"),
    (2, "CreateWindow"),
    (4, "CreateMenu"),
    (8, "HookControl"),
    (0x10, "JournalRecord"),
    (0x20, "JournalPlayback"),
    (0x40, "Enumerate"),
    (0x80, "WriteObjects"),
    (0x100, "SwitchDesktop"),
];
const WINDOW_STATION: &[(u32, &str)] = &[
    (1, "EnumDesktops"),
    (2, "ReadAttr"),
    (4, "Clipboard"),
    (8, "CreateDesktop"),
    (0x10, "WriteAttr"),
    (0x20, "GlobalAtoms"),
    (0x40, "ExitWindows"),
    (0x100, "Enum"),
    (0x200, "ReadScreen"),
];
const PORT: &[(u32, &str)] = &[(1, "Connect")];
const WORKER_FACTORY: &[(u32, &str)] = &[
    (1, "ReleaseWorker"),
    (2, "Wait"),
    (4, "SetInformation"),
    (8, "QueryInformation"),
    (0x10, "ReadyWorker"),
    (0x20, "Shutdown"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_with_all_rights() {
        assert_eq!(standard(0x1f_0003), "Delete,ReadControl,WriteDac,WriteOwner,Synch");
        assert_eq!(specific("Event", 0x1f_0003), "QueryState,ModifyState");
        assert_eq!(specific("Event", 0x10_0000), "None");
        assert_eq!(specific("EtwRegistration", 0x804), "");
        assert_eq!(standard(0x804), "None");
    }
}
