//! What a thread asked Windows for: the function of Windows that it is in, with its arguments, as a sentence.
//!
//! A wait tells the object that ends it (`event f0`); the function tells what for (`connects to 10.0.0.7:5432`).

use crate::arguments::{is_windows, with_hints_of};
use crate::hint_table::plain_name;
use crate::model::{
    ArgSource, Argument, Confidence, Hint, HintSource, Kind, Stack, StackFrame, ThreadFacts, Value, Wait,
};
use crate::stacks::is_exact;
use crate::syscalls::is_far;
use crate::{Cancel, Target};

/// Innermost frames in which such a function is looked for.
const DEPTH: usize = 12;

/// Functions and what a thread in them does, the most exact sentence first: the first one whose parts are all known is
/// taken. `A` and `W` at the end of a name do not count.
///
/// Parts, with the number of a parameter: `{0}` the value, `{0=}` what it means, `{0n}` the name of the handle's object,
/// `{0r}` reading, writing or both, by the access rights, `{0z}` nothing, and the value is zero, `{0m1}` a message or a
/// range of messages.
const CALLS: &[(&[&str], &[&str])] = &[
    (
        &["connect", "WSAConnect"],
        &[
            "connects to {1=} (socket handle {0})",
            "connects to {1=}",
            "connects socket handle {0}",
            "connects a socket",
        ],
    ),
    (
        &["recv", "recvfrom", "WSARecv", "WSARecvFrom", "WSARecvEx"],
        &["reads from socket handle {0}", "reads from a socket"],
    ),
    (&["send", "sendto", "WSASend", "WSASendTo"], &["writes to socket handle {0}", "writes to a socket"]),
    (
        &["accept", "WSAAccept"],
        &["waits for a connection to socket handle {0}", "waits for a connection to a socket"],
    ),
    (
        &["select"],
        &[
            "waits until it can read from {1=}{2z}{3z} (select)",
            "waits until it can write to {2=}{1z}{3z} (select)",
            "waits for sockets (select)",
        ],
    ),
    (&["WSAPoll"], &["waits for sockets (WSAPoll)"]),
    (
        &["getaddrinfo", "GetAddrInfo", "GetAddrInfoEx", "gethostbyname"],
        &["looks up the address of {0=}", "looks up an address"],
    ),
    (&["getnameinfo", "GetNameInfo"], &["looks up the name of {0=}", "looks up the name of an address"]),
    (&["CreateFile", "CreateFile2"], &["opens {0=} for {1r}", "opens {0=}", "opens a file"]),
    (&["NtCreateFile", "NtOpenFile"], &["opens {2=} for {1r}", "opens {2=}", "opens a file"]),
    (&["DeleteFile"], &["deletes {0=}", "deletes a file"]),
    (&["CreateDirectory", "CreateDirectoryEx"], &["creates the folder {0=}", "creates a folder"]),
    (&["RemoveDirectory"], &["deletes the folder {0=}", "deletes a folder"]),
    (&["CopyFile", "CopyFileEx", "CopyFile2"], &["copies {0=} to {1=}", "copies a file"]),
    (&["MoveFile", "MoveFileEx", "MoveFileWithProgress"], &["moves {0=} to {1=}", "moves a file"]),
    (
        &["GetFileAttributes", "GetFileAttributesEx"],
        &["asks for the attributes of {0=}", "asks for a file's attributes"],
    ),
    (&["FindFirstFile", "FindFirstFileEx"], &["lists {0=}", "lists a folder"]),
    (
        &["ReadFile", "ReadFileEx"],
        &["reads from {0n} (handle {0})", "reads from file handle {0}", "reads from a file"],
    ),
    (
        &["WriteFile", "WriteFileEx"],
        &["writes to {0n} (handle {0})", "writes to file handle {0}", "writes to a file"],
    ),
    (&["FlushFileBuffers"], &["flushes {0n} (handle {0})", "flushes file handle {0}", "flushes a file"]),
    (
        &["LockFile", "LockFileEx"],
        &[
            "waits for a lock on {0n} (handle {0})",
            "waits for a lock on file handle {0}",
            "waits for a lock on a file",
        ],
    ),
    (
        &["GetOverlappedResult", "GetOverlappedResultEx"],
        &[
            "waits for overlapped I/O on {0n} (handle {0})",
            "waits for overlapped I/O of file handle {0}",
            "waits for overlapped I/O",
        ],
    ),
    (
        &["ReadDirectoryChanges", "ReadDirectoryChangesEx"],
        &["waits for changes in {0n}", "waits for changes in a folder"],
    ),
    (
        &["DeviceIoControl"],
        &[
            "sends control code {1} to {0n} (handle {0})",
            "sends control code {1} to handle {0}",
            "sends a control code to a driver",
        ],
    ),
    (
        &["ConnectNamedPipe"],
        &[
            "waits for a client of the pipe {0n} (handle {0})",
            "waits for a client of pipe handle {0}",
            "waits for a client of a pipe",
        ],
    ),
    (&["WaitNamedPipe"], &["waits for the pipe {0=}", "waits for a pipe"]),
    (&["CallNamedPipe"], &["calls the server of the pipe {0=}", "calls the server of a pipe"]),
    (
        &["TransactNamedPipe"],
        &[
            "calls the server of the pipe {0n} (handle {0})",
            "calls the server of pipe handle {0}",
            "calls the server of a pipe",
        ],
    ),
    (&["ReadConsole", "ReadConsoleInput", "ReadConsoleInputEx"], &["waits for input of the console"]),
    (&["WaitCommEvent"], &["waits for the serial port (handle {0})", "waits for a serial port"]),
    (&["WaitForDebugEvent", "WaitForDebugEventEx"], &["waits for events of the process that it debugs"]),
    (
        &["GetMessage"],
        &[
            "waits for a window message{1z}{2z}{3z}",
            "waits for a message of window {1}{2z}{3z}",
            "waits for message {2m3}{1z}",
            "waits for message {2m3} of window {1}",
        ],
    ),
    (
        &["SendMessage"],
        &["waits for window {0} to answer message {1} ({1=})", "waits for window {0} to answer message {1}"],
    ),
    (
        &["SendMessageTimeout"],
        &[
            "waits for window {0} to answer message {1} ({1=}) for at most {5=}",
            "waits for window {0} to answer message {1}",
        ],
    ),
    (
        &[
            "WinHttpReceiveResponse",
            "WinHttpSendRequest",
            "HttpSendRequest",
            "HttpSendRequestEx",
            "HttpEndRequest",
        ],
        &["waits for the answer to an HTTP request"],
    ),
    (
        &[
            "WinHttpReadData",
            "WinHttpQueryDataAvailable",
            "InternetReadFile",
            "InternetReadFileEx",
            "InternetQueryDataAvailable",
        ],
        &["reads the answer to an HTTP request"],
    ),
    (&["InternetOpenUrl"], &["opens {1=}", "opens a URL"]),
    (
        &["RegOpenKeyEx", "RegOpenKey", "RegCreateKeyEx"],
        &["opens the registry key {1=}", "opens a registry key"],
    ),
    (&["RegQueryValueEx", "RegGetValue"], &["reads the registry value {1=}", "reads a registry value"]),
    (&["RegNotifyChangeKeyValue"], &["waits for changes of a registry key"]),
    (&["CreateProcess", "CreateProcessAsUser"], &["starts {1=}", "starts {0=}", "starts a process"]),
    (&["ShellExecute"], &["opens {2=} by the shell", "opens something by the shell"]),
    (&["ShellExecuteEx"], &["opens something by the shell"]),
    (
        &["WaitForInputIdle"],
        &["waits until process handle {0} is ready for input", "waits until a process is ready for input"],
    ),
    (&["MessageBox", "MessageBoxEx"], &["shows the message box {1=}", "shows a message box"]),
    (&["OpenService", "StartService", "ControlService", "OpenSCManager"], &["asks the service manager"]),
    (&["EnumPrinters", "OpenPrinter", "DocumentProperties"], &["asks the print spooler"]),
];

/// Tells a wait by what the thread asked for, when that says more than the object.
pub(super) fn fill(target: &Target, stack: &Stack, wait: &mut Wait) {
    let open = match wait.kind {
        Kind::FileIo | Kind::Socket | Kind::MessageQueue => true,
        Kind::Event | Kind::Other => wait.owner_tid.is_none() && wait.com.is_none() && wait.rpc.is_none(),
        _ => false,
    };
    let Some(found) = open.then(|| doing(target, stack, Some(wait))).flatten() else { return };
    if found != wait.sentence {
        let before = std::mem::replace(&mut wait.sentence, found);
        wait.evidence.push(format!("it {before}"));
    }
}

/// The same for a thread that is in a function of Windows which is no known wait.
pub(super) fn fill_thread(target: &Target, t: &mut ThreadFacts) {
    let Some(activity) = t.activity.as_mut() else { return };
    if t.wait.is_some() || activity.pattern.is_some() || t.running != Some(false) || t.is_writer {
        return;
    }
    if let Some(found) = t.stack.as_ref().and_then(|s| doing(target, s, None)) {
        activity.text = dumpscope_core::base::text::escape(&found).into_owned();
    }
}

/// What the outermost function of Windows that the program called is asked for.
fn doing(target: &Target, stack: &Stack, wait: Option<&Wait>) -> Option<String> {
    let mut found: Option<(usize, &[&str])> = None;
    for (row, frame) in stack.frames.iter().enumerate().take(DEPTH) {
        if !belongs(target, frame) {
            break;
        }
        let Some(name) = frame.function.as_deref().filter(|_| !is_far(frame) && is_exact(target, frame))
        else {
            continue;
        };
        // What Windows calls the program for is another question than what the program called.
        if name.starts_with("KiUser") {
            break;
        }
        if let Some(sentences) = sentences(name) {
            found = Some((row, sentences));
        }
    }
    let (row, sentences) = found?;
    let plain = |s: &&&str| !s.contains('{');
    // Without arguments in any of its sentences the work is not needed.
    if sentences.first().is_some_and(|s| plain(&s)) {
        return sentences.first().map(|s| (*s).to_owned());
    }
    let mut args = with_hints_of(target, stack, row, &Cancel::default());
    let of_a_file = sentences.iter().any(|s| s.contains("handle {0}"));
    if let Some(wait) = wait.filter(|w| of_a_file && w.kind == Kind::FileIo) {
        file_of_the_call(stack, wait, &mut args);
    }
    sentences.iter().find_map(|s| said(s, &args))
}

/// Functions for files hand their file down to the system call: where they lost it, that one knows it.
fn file_of_the_call(stack: &Stack, wait: &Wait, args: &mut [Argument]) {
    let Some(&[handle]) = wait.handles.as_deref() else { return };
    let lost = |a: &&mut Argument| a.index == 0 && a.at_least(Confidence::Strong).is_none();
    let Some(argument) = args.iter_mut().find(lost) else { return };
    argument.value = Some(Value {
        bits: handle,
        bytes: u8::try_from(stack.machine.ptr_size()).unwrap_or(8),
        source: ArgSource::CallerSetup,
        confidence: wait.confidence.min(Confidence::Strong),
        evidence: Vec::new(),
    });
    let text = wait.object.as_ref().map(|name| format!("File \"{name}\""));
    argument.hint = text.map(|text| Hint { text, source: HintSource::Table, at: None });
}

/// True for frames of Windows' own modules.
pub(super) fn belongs(target: &Target, frame: &StackFrame) -> bool {
    let Some(index) = frame.module else { return false };
    let system = target.symbols.modules().get(index);
    system.is_some_and(|m| target.patterns().is_system_file(&m.file_name))
        || is_windows(target, index) == Some(true)
}

fn sentences(name: &str) -> Option<&'static [&'static str]> {
    let plain = plain_name(name);
    let row = |n: &str| CALLS.iter().find(|(names, _)| names.contains(&n)).map(|(_, s)| *s);
    row(plain).or_else(|| row(plain.strip_suffix(['A', 'W'])?))
}

/// A sentence with its parts; `None` when one of them is not known.
fn said(sentence: &str, args: &[Argument]) -> Option<String> {
    let mut out = String::new();
    let mut rest = sentence;
    while let Some((before, part)) = rest.split_once('{') {
        out.push_str(before);
        let (part, after) = part.split_once('}')?;
        let digits =
            part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| part.get(..end).unwrap_or(part));
        let find = |digits: &str| {
            let index: usize = digits.parse().ok()?;
            let argument = args.iter().find(|a| a.index == index && a.name.is_some())?;
            Some((argument, argument.at_least(Confidence::Strong)?))
        };
        let (argument, value) = find(digits)?;
        let hint = argument.hint.as_ref().map(|h| h.text.trim_end_matches(" (in and out)"));
        match part.strip_prefix(digits)? {
            "" => out.push_str(&format!("{value:x}")),
            "=" => out.push_str(hint?),
            "n" => out.push_str(hint?.split_once(' ').map(|(_, name)| name).filter(|n| n.starts_with('"'))?),
            "r" => out.push_str(reading(value)?),
            "z" if value == 0 => {}
            "z" => return None,
            other => {
                // A range that ends before it begins is none: the arguments are not what they seem.
                let (_, last) = find(other.strip_prefix('m')?).filter(|(_, last)| *last >= value)?;
                let name = hint.map(|h| format!(" ({h})")).unwrap_or_default();
                match last == value {
                    true => out.push_str(&format!("0x{value:x}{name}")),
                    false => out.push_str(&format!("0x{value:x} to 0x{last:x}")),
                }
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// What access rights to a file are for: the generic ones, or those to read, write and append (`winnt.h`).
fn reading(rights: u64) -> Option<&'static str> {
    const ALL: u64 = 0x1000_0000;
    let (read, write) = (rights & (0x8000_0000 | ALL | 1) != 0, rights & (0x4000_0000 | ALL | 6) != 0);
    match (read, write) {
        (true, true) => Some("reading and writing"),
        (true, false) => Some("reading"),
        (false, true) => Some("writing"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ArgPlace;

    fn argument(index: usize, bits: u64, hint: Option<&str>) -> Argument {
        let value = Value {
            bits,
            bytes: 8,
            source: ArgSource::StackSlot,
            confidence: Confidence::Strong,
            evidence: Vec::new(),
        };
        Argument {
            index,
            place: ArgPlace::Elsewhere,
            name: Some("p".into()),
            type_text: None,
            value: Some(value),
            overwritten: false,
            hint: hint.map(|t| Hint { text: t.into(), source: HintSource::Table, at: None }),
            leads_to: None,
        }
    }

    #[test]
    fn the_first_sentence_whose_parts_are_known() {
        let say = |name: &str, args: &[Argument]| sentences(name).unwrap().iter().find_map(|s| said(s, args));
        let file = [argument(0, 0x1000, Some("\"C:\\log\\x.log\"")), argument(1, 0x4000_0000, None)];
        assert_eq!(say("CreateFileW", &file).as_deref(), Some("opens \"C:\\log\\x.log\" for writing"));
        assert_eq!(say("_CreateFileA@28", &file[..1]).as_deref(), Some("opens \"C:\\log\\x.log\""));
        assert_eq!(say("CreateFileW", &[]).as_deref(), Some("opens a file"));
        let filter = [
            argument(1, 0x2_0036, None),
            argument(2, 0x400, Some("WM_USER")),
            argument(3, 0x400, Some("WM_USER")),
        ];
        assert_eq!(
            say("GetMessageW", &filter).as_deref(),
            Some("waits for message 0x400 (WM_USER) of window 20036")
        );
        let all = [argument(1, 0, None), argument(2, 0, None), argument(3, 0, None)];
        assert_eq!(say("GetMessageW", &all).as_deref(), Some("waits for a window message"));
        let pipe = [argument(0, 0xac, Some("File \"\\Device\\NamedPipe\\x\""))];
        assert_eq!(
            say("ReadFile", &pipe).as_deref(),
            Some("reads from \"\\Device\\NamedPipe\\x\" (handle ac)")
        );
        assert_eq!(
            say("ReadFile", &[argument(0, 0xac, Some("File"))]).as_deref(),
            Some("reads from file handle ac")
        );
        assert!(sentences("NoSuchCall").is_none());
    }

    #[test]
    fn every_sentence_can_be_read() {
        let args: Vec<Argument> = (0..8).map(|n| argument(n, 3, Some("File \"x\""))).collect();
        let zeros: Vec<Argument> = (0..8).map(|n| argument(n, 0, Some("File \"x\""))).collect();
        for (names, all) in CALLS {
            for sentence in *all {
                let words = said(sentence, &args).or_else(|| said(sentence, &zeros));
                // Parts that must be zero beside others that must not: no list of values fits all.
                assert!(words.is_some() || sentence.contains("z}"), "{names:?}: {sentence}");
            }
        }
    }
}
