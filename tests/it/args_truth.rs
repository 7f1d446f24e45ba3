//! Recovered arguments against what compiled functions were really called with (`fixtures/args`).
//!
//! What counts as recoverable is found here, from the dump alone: a parameter's value lies in a non-volatile register
//! or a stack word of the frames from the innermost to the caller's, or as a constant in the code.

use dumpscope_analyzers::arguments::recover_all;
use dumpscope_analyzers::model::{ArgPlace, Argument, Confidence, Stack, StackFrame};
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, Reg, ThreadIdx, Va};
use dumpscope_symbols::{Limits, SymbolConfig, Trust};
use std::fmt::Write;
use std::path::PathBuf;

/// The stream with the truth.
const TRUTH: u32 = 0x4152_4753;
/// Values below say nothing when they turn up somewhere.
const SMALL: u64 = 0x1_0000;

/// What a function was called with.
struct Row {
    function: u64,
    thread: u32,
    /// 0 plain, 1 thiscall, 2 fastcall.
    convention: u32,
    params: Vec<(u64, u8)>,
}

struct Truth {
    rows: Vec<Row>,
    /// The functions under test.
    section: std::ops::Range<u64>,
}

fn truth(dump: &Dump) -> Truth {
    let entry = dump.directory().iter().find(|d| d.stream_type == TRUTH).unwrap();
    let at = usize::try_from(entry.offset.0).unwrap();
    let raw = &dump.file_bytes()[at..][..entry.size as usize];
    let u32_at = |at: usize| u32::from_le_bytes(raw[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(raw[at..at + 8].try_into().unwrap());
    let size = u32_at(4) as usize;
    let row = |n: usize| {
        let at = 24 + n * size;
        let count = u32_at(at + 12);
        let param = |k: usize| (u64_at(at + 16 + k * 16), u8::try_from(u64_at(at + 24 + k * 16)).unwrap());
        Row {
            function: u64_at(at),
            thread: u32_at(at + 8),
            convention: count >> 16,
            params: (0..(count & 0xffff) as usize).map(param).collect(),
        }
    };
    Truth { rows: (0..u32_at(0) as usize).map(row).collect(), section: u64_at(8)..u64_at(16) }
}

fn place(machine: Machine, convention: u32, k: usize) -> ArgPlace {
    let regs: &[u8] = match (machine, convention) {
        (Machine::Amd64, _) => &[1, 2, 8, 9],
        (_, 1) => &[1],
        (_, 2) => &[1, 2],
        _ => &[],
    };
    let first = if machine.is_64() { 0x28 } else { 4 };
    match regs.get(k) {
        Some(reg) => ArgPlace::Register(Reg(*reg)),
        None => ArgPlace::Stack(first + ((k - regs.len()) * machine.ptr_size()) as i32),
    }
}

#[derive(Default)]
struct Count {
    frames: usize,
    params: usize,
    recoverable: usize,
    /// Of the recoverable ones: found with at least `Strong`.
    found: usize,
    /// By confidence: right and wrong.
    right: [usize; 3],
    wrong: [usize; 3],
    mistakes: String,
    missed: String,
}

fn mask(bits: u64, bytes: u8) -> u64 {
    if bytes >= 8 { bits } else { bits & !(u64::MAX << (bytes * 8)) }
}

/// Where a value could be found: in the bytes of stack and code, or a register.
struct Places<'a> {
    stack: Vec<u8>,
    code: &'a [u8],
    regs: Vec<u64>,
}

impl Places<'_> {
    fn hold(&self, value: u64, bytes: u8) -> bool {
        let wanted = &value.to_le_bytes()[..usize::from(bytes)];
        self.stack.chunks(4).enumerate().any(|(n, _)| self.stack[n * 4..].starts_with(wanted))
            || self.regs.iter().any(|r| mask(*r, bytes) == value)
            || value <= 0x7fff_ffff && self.code.windows(4).any(|w| w == &value.to_le_bytes()[..4])
    }
}

/// The frames that matter for the one at `n`: from the innermost to its caller.
fn places<'a>(target: &Target, frames: &[&StackFrame], n: usize, code: &'a [u8]) -> Places<'a> {
    let machine = frames[0].frame.regs.machine();
    let low = frames[0].frame.sp;
    let high = frames.get(n + 2).map_or(frames[n].frame.sp.offset(0x400), |f| f.frame.sp);
    let mut stack = vec![0; usize::try_from(high.0 - low.0).unwrap()];
    let got = target.dump.memory().read_at(low, &mut stack).got;
    stack.truncate(got & !3);
    let kept: &[u8] = if machine.is_64() { &[3, 5, 6, 7, 12, 13, 14, 15] } else { &[3, 5, 6, 7] };
    let regs = frames.iter().take(n + 2).flat_map(|f| kept.iter().filter_map(|r| f.frame.regs.get(Reg(*r))));
    Places { stack, code, regs: regs.collect() }
}

fn check_dump(name: &str) -> Count {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/args").join(name);
    let target = Target::new(Dump::open(&path).unwrap(), SymbolConfig::default());
    let machine = target.dump.machine();
    let truth = truth(&target.dump);
    let mut code = vec![0; usize::try_from(truth.section.end - truth.section.start).unwrap()];
    assert_eq!(target.dump.memory().read_at(Va(truth.section.start), &mut code).got, code.len());
    let mut starts: Vec<u64> = truth.rows.iter().map(|r| r.function).collect();
    starts.sort_unstable();
    let mut count = Count::default();
    for thread in 0..u32::try_from(target.dump.threads().len()).unwrap() {
        let cancel = Cancel::default();
        let stack = thread_stack(&target, ThreadIdx(thread), machine, &Limits::default(), &cancel).unwrap();
        let args = recover_all(&target, &stack, &cancel);
        let rows: Vec<&Row> = truth.rows.iter().filter(|r| r.thread == thread).rev().collect();
        check_thread(&target, (&stack, &args), (&rows, &starts, &truth.section), &code, &mut count);
    }
    count
}

fn check_thread(
    target: &Target,
    (stack, args): (&Stack, &[Vec<Argument>]),
    (rows, starts, section): (&[&Row], &[u64], &std::ops::Range<u64>),
    code: &[u8],
    count: &mut Count,
) {
    let frames: Vec<&StackFrame> = stack.frames.iter().filter(|f| f.trust != Trust::Inline).collect();
    let mut rest = rows.iter();
    for (n, (f, args)) in frames.iter().zip(args).enumerate() {
        let ip = f.frame.lookup_ip().0;
        if !section.contains(&ip) {
            continue;
        }
        let start = starts[starts.partition_point(|s| *s <= ip) - 1];
        // A function that jumped to the next one is not on the stack.
        let Some(row) = rest.by_ref().find(|r| r.function == start) else { continue };
        count.frames += 1;
        let around = places(target, &frames, n, code);
        for (k, (value, bytes)) in row.params.iter().enumerate() {
            count.params += 1;
            let place = place(stack.machine, row.convention, k);
            let claim = args.iter().find(|a| a.place == place).and_then(|a| a.value.as_ref());
            let both = claim.map_or(0, |c| c.bytes.min(*bytes));
            let is_right = claim.is_some_and(|c| mask(c.bits, both) == mask(*value, both));
            let told = || {
                let claim =
                    claim.map(|c| (c.bits, c.bytes, c.source.name(), c.confidence.name(), &c.evidence));
                format!(
                    "thread {} frame {n} {start:x}+{:x} param {k} {place:?}: {value:x}/{bytes}, claim {claim:x?}\n",
                    row.thread,
                    ip - start
                )
            };
            if let Some(claim) = claim {
                let slot = claim.confidence as usize;
                if is_right {
                    count.right[slot] += 1;
                } else {
                    count.wrong[slot] += 1;
                    count.mistakes.push_str(&told());
                }
            }
            if *value >= SMALL && around.hold(*value, *bytes) {
                count.recoverable += 1;
                let found = claim.is_some_and(|c| c.confidence >= Confidence::Strong && c.bytes >= *bytes)
                    && is_right;
                count.found += usize::from(found);
                if !found {
                    count.missed.push_str(&told());
                }
            }
        }
    }
}

/// The bars of the issue; the figures are also in `analyzers/README.md`.
#[test]
fn precision_and_recall_over_compiled_functions() {
    let mut table = String::new();
    let mut failures = String::new();
    let mut strong = (0, 0);
    for level in ["O0", "O1", "O2"] {
        for machine in ["x64", "x86"] {
            let count = check_dump(&format!("{machine}-{level}.dmp.zst"));
            let [guess, sure, proven] = [0, 1, 2].map(|n| (count.right[n], count.right[n] + count.wrong[n]));
            let recall = 100.0 * count.found as f64 / count.recoverable.max(1) as f64;
            writeln!(
                table,
                "{machine} -{level}: {} frames, {} parameters, {} recoverable, {} found ({recall:.1} %); right of claimed: proven {}/{}, strong {}/{}, guess {}/{}",
                count.frames, count.params, count.recoverable, count.found,
                proven.0, proven.1, sure.0, sure.1, guess.0, guess.1
            )
            .unwrap();
            strong = (strong.0 + sure.0, strong.1 + sure.1);
            let bar = if level == "O0" { 95.0 } else { 80.0 };
            if std::env::var_os("DUMPSCOPE_SHOW_MISSES").is_some() {
                println!("{machine}-{level} wrong:\n{}missed:\n{}", count.mistakes, count.missed);
            }
            if proven.0 != proven.1 {
                writeln!(failures, "{machine}-{level}: a proven value is wrong").unwrap();
            }
            if recall < bar {
                writeln!(failures, "{machine}-{level}: recall {recall:.1} % is below {bar} %").unwrap();
            }
        }
    }
    println!("{table}");
    assert!(strong.0 * 100 >= strong.1 * 99, "strong: {} of {} are right\n{table}", strong.0, strong.1);
    assert!(failures.is_empty(), "{failures}{table}");
}
