//! What arguments of Windows' functions are told as, by their types in the Win32 table: a built process in which each thread
//! is in one such function, and a truth table.

use dumpscope_analyzers::arguments::{add_hints, recover_all};
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_fixtures::dump::{Cpu, Handle};
use dumpscope_fixtures::world::{World, frame};
use dumpscope_symbols::{Limits, SymbolConfig};

/// A function, what it was called with, and what its arguments are told as: place and text.
struct Row {
    function: &'static str,
    args: Vec<u64>,
    told: Vec<(usize, &'static str)>,
}

/// 2016-04-02 10:15:30 UTC in 100 ns units since 1601.
const TIME: u64 = 131_040_657_300_000_000;

fn row(function: &'static str, args: &[u64], told: &[(usize, &'static str)]) -> Row {
    Row { function, args: args.to_vec(), told: told.to_vec() }
}

fn wide(w: &mut World, text: &str) -> u64 {
    let units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let at = w.alloc(units.len() as u64 + 8);
    w.dump.space.write(at, &units);
    at
}

fn put(w: &mut World, bytes: &[u8]) -> u64 {
    let at = w.alloc(bytes.len() as u64 + 8);
    w.dump.space.write(at, bytes);
    at
}

fn words(w: &mut World, words: &[u32]) -> u64 {
    let raw: Vec<u8> = words.iter().flat_map(|v| v.to_le_bytes()).collect();
    put(w, &raw)
}

fn rows(w: &mut World) -> Vec<Row> {
    let time = put(w, &TIME.to_le_bytes());
    let system: Vec<u8> = [2016u16, 4, 6, 2, 10, 15, 30, 250].iter().flat_map(|v| v.to_le_bytes()).collect();
    let system = put(w, &system);
    // BSTR: its length in bytes, then the text.
    let bstr = put(w, b"\x0a\0\0\0h\0e\0l\0l\0o\0\0\0") + 4;
    let text = wide(w, "Contoso.Widgets");
    let hstring = words(w, &[0, 15, 0, 0, u32::try_from(text).unwrap()]);
    let msg = words(w, &[0x1_0a2c, 0x0f, 0, 0, 0, 0, 0]);
    let user_msg = words(w, &[0x1_0a2c, 0x401, 0, 0, 0, 0, 0]);
    let v4 = put(w, &[2, 0, 0x15, 0x38, 10, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut six = vec![23, 0, 0x01, 0xbb, 0, 0, 0, 0];
    six.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0]);
    let v6 = put(w, &six);
    let overlapped = words(w, &[0, 0, 0x2000, 1, 0x1c4]);
    let span = put(w, &(-50_000_000i64).to_le_bytes());
    let until = put(w, &TIME.to_le_bytes());
    let clsid = put(
        w,
        &[0xc6, 0x5a, 0x2f, 0x41, 0x4d, 0xdb, 0xd0, 0x11, 0xa9, 0xc7, 0, 0xc0, 0x4f, 0xc2, 0xf5, 0xfe],
    );
    let unknown = put(w, &[0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46]);
    let path = wide(w, r"C:\logs\service.log");
    let key = wide(w, r"Software\Contoso");
    let handles = words(w, &[0x1c4, 0x1c8]);
    let point = words(w, &[10, 20]);
    vec![
        row("kernel32!FileTimeToSystemTime", &[time, 0], &[(0, "Apr 2 10:15:30 2016 UTC")]),
        row("kernel32!SystemTimeToFileTime", &[system, 0], &[(0, "2016-04-02 10:15:30.250")]),
        row("oleaut32!SysStringLen", &[bstr], &[(0, "\"hello\"")]),
        row("combase!WindowsDuplicateString", &[hstring, 0], &[(0, "\"Contoso.Widgets\"")]),
        row("user32!DispatchMessageW", &[msg], &[(0, "WM_PAINT for window 10a2c")]),
        row("user32!TranslateMessage", &[user_msg], &[(0, "WM_USER+0x1 for window 10a2c")]),
        row("ws2_32!connect", &[0x1cc, v4, 16], &[(1, "10.0.0.7:5432")]),
        row("ws2_32!bind", &[0x1cc, v6, 28], &[(1, "[2001:db8::5]:443")]),
        row(
            "KERNELBASE!ReadFile",
            &[0x1d0, time, 0x100, 0, overlapped],
            &[
                (0, r#"File "\Device\NamedPipe\demo""#),
                (1, "for output"),
                (4, r#"offset 0x100002000, event 1c4 Event "ready" (in and out)"#),
            ],
        ),
        row("kernel32!SetWaitableTimer", &[0x1c4, span, 0, 0, 0, 1], &[(1, "5000 ms"), (5, "TRUE")]),
        row("ntdll!NtDelayExecution", &[0, until], &[(1, "until Apr 2 10:15:30 2016 UTC")]),
        row("KERNELBASE!WaitForSingleObject", &[0x1c4, 1500], &[(0, r#"Event "ready""#), (1, "1500 ms")]),
        row(
            "KERNELBASE!WaitForMultipleObjects",
            &[2, handles, 0, 0xffff_ffff],
            &[(1, r#"1c4 Event "ready", 1c8 Mutant"#), (2, "FALSE"), (3, "for ever")],
        ),
        row(
            "combase!CoCreateInstance",
            &[clsid, 0, 0x17, unknown, 0],
            &[(3, "IUnknown {00000000-0000-0000-c000-000000000046}")],
        ),
        row(
            "KERNELBASE!CreateFileW",
            &[path, 0xc000_0000, 3, 0, 4, 0x80, 0],
            &[
                (0, r#""C:\logs\service.log""#),
                (1, "GENERIC_WRITE|GENERIC_READ"),
                (2, "FILE_SHARE_READ|FILE_SHARE_WRITE"),
                (4, "OPEN_ALWAYS"),
                (5, "FILE_ATTRIBUTE_NORMAL"),
            ],
        ),
        row(
            "advapi32!RegOpenKeyExW",
            &[0x8000_0002, key, 0, 0x2_0019, 0],
            &[(0, "HKEY_LOCAL_MACHINE"), (1, r#""Software\Contoso""#), (3, "KEY_READ")],
        ),
        row("user32!PostMessageW", &[0x1_0a2c, 0x113, 1, 0], &[(1, "WM_TIMER")]),
        row("user32!ScreenToClient", &[0x1_0a2c, point], &[(1, "x 10, y 20 (in and out)")]),
    ]
}

/// Every thread's innermost function but one is the row's; what a function of the same name in a module that is not Windows'
/// is told as must be nothing of this.
#[test]
fn values_are_told_by_their_types() {
    let mut w = World::new(Cpu::X86, 19045, 0x1a2c, r"C:\app\demo.exe");
    w.dump.handles = Some(vec![
        Handle::new(0x1c4, "Event", vec![]).named("ready"),
        Handle::new(0x1c8, "Mutant", vec![]),
        Handle::new(0x1d0, "File", vec![]).named(r"\Device\NamedPipe\demo"),
    ]);
    let all = rows(&mut w);
    for (n, r) in (0u32..).zip(&all) {
        let inner = frame("ntdll!NtWaitForSingleObject").args(&[0x1c4, 0, 0]);
        let of = frame(&format!("{}+0x40", r.function)).args(&r.args);
        let head = if r.function.starts_with("ntdll!Nt") {
            vec![frame(r.function).args(&r.args)]
        } else {
            vec![inner, of]
        };
        let rest = [
            frame(&format!("demo!caller{n}+0x5a")).args(&[1]),
            frame("ntdll!_RtlUserThreadStart+0x1b").args(&[0x40_1000, 0]),
        ];
        w.thread(0x1000 + n * 4, &head.into_iter().chain(rest).collect::<Vec<_>>());
    }
    let (dump, _) = w.finish();
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default());
    let (mut told, mut right, mut wrong) = (0, 0, Vec::new());
    for (n, r) in (0u32..).zip(&all) {
        let stack = thread_stack(&target, ThreadIdx(n), Machine::X86, &Limits::default(), &Cancel::default())
            .unwrap();
        let mut args = recover_all(&target, &stack, &Cancel::default());
        add_hints(&target, &stack, &mut args, &Cancel::default());
        let name = r.function.split_once('!').unwrap().1;
        let at = stack.frames.iter().position(|f| f.function.as_deref() == Some(name));
        let row = at.and_then(|at| args.get(at)).map(Vec::as_slice).unwrap_or_default();
        for (parameter, text) in &r.told {
            let found = row.get(*parameter);
            let hint = found.and_then(|a| a.hint.as_ref()).map(|h| h.text.as_str());
            told += usize::from(hint.is_some());
            right += usize::from(hint == Some(*text));
            if hint != Some(*text) {
                let names: Vec<_> =
                    row.iter().map(|a| (a.name.as_deref(), a.value.as_ref().map(|v| v.bits))).collect();
                let frames: Vec<_> = stack.frames.iter().map(|f| f.function.as_deref()).collect();
                wrong.push(format!("{name} {parameter}: {hint:?}, not {text}; {names:x?} in {frames:?}"));
            }
        }
    }
    let rows: usize = all.iter().map(|r| r.told.len()).sum();
    println!("values by type: precision {right}/{told}, recall {right}/{rows}");
    // The fixture's oleaut32 and advapi32 have one function each, and their frames no name: nothing is told there.
    assert!(told == right && right >= 26, "{wrong:#?}");
}
