//! Minidumps of Linux, macOS and other systems, read by rust-minidump.
//!
//! Breakpad and Crashpad write minidumps on every system. Their streams are Windows' own, but stacks need ELF or
//! Mach-O unwind rules and crash reasons are signals or Mach exceptions: `minidump-processor` knows both, with
//! Breakpad `.sym` files from the local folders of the symbol path. Nothing outside of this module knows that
//! library; its answers come out as our own types.

use crate::Target;
use crate::model::{ForeignCrash, ForeignDump, Stack, StackFrame};
use dumpscope_core::{Machine, RegSet, Rva, Tid, Va};
use dumpscope_symbols::{EndReason, Frame, SourceLine, Symbol, SymbolKind, SymbolSource, Trust, UnwindIssue};
use minidump_processor::{ProcessState, ProcessorOptions, process_minidump_with_options};
use minidump_unwind::{CallStack, FrameTrust, Symbolizer, simple_symbol_supplier};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

impl Target {
    /// What another reader says of a dump of Linux, macOS or another system; `None` for Windows dumps, and when
    /// that reader cannot read it.
    #[must_use]
    pub fn foreign(&self) -> Option<&ForeignDump> {
        self.foreign.get_or_init(|| read_foreign(self)).as_ref()
    }
}

/// Reads a dump of another system. `None` for Windows dumps and for dumps that the library refuses.
fn read_foreign(target: &Target) -> Option<ForeignDump> {
    if target.dump.system().value().is_none_or(|s| s.is_windows()) {
        return None;
    }
    // The library has a few unchecked places on bytes of the dump; it only reads what it is given.
    let state = catch_unwind(AssertUnwindSafe(|| process(target))).ok()??;
    let stacks = state.threads.iter().map(|t| stack_of(target, t)).collect();
    let crash = crash_of(&state);
    Some(ForeignDump { pid: state.process_id, crash, stacks })
}

fn process(target: &Target) -> Option<ProcessState> {
    let dump = minidump::Minidump::read(target.dump.file_bytes()).ok()?;
    let folders = local_folders(&target.symbols.config().symbol_path);
    let symbols = Symbolizer::new(simple_symbol_supplier(folders));
    let work = process_minidump_with_options(&dump, &symbols, ProcessorOptions::stable_basic());
    block_on(work).ok()
}

/// The local folders of a symbol path: plain entries and the stores of `srv*`, without servers.
fn local_folders(path: &str) -> Vec<PathBuf> {
    let parts = path.split(';').flat_map(|entry| entry.split('*'));
    parts
        .map(str::trim)
        .filter(|p| !p.is_empty() && !p.contains("://"))
        .map(PathBuf::from)
        .filter(|p| p.is_dir())
        .collect()
}

fn crash_of(state: &ProcessState) -> Option<ForeignCrash> {
    let info = state.exception_info.as_ref()?;
    let tid = state.requesting_thread.and_then(|i| state.threads.get(i))?.thread_id;
    Some(ForeignCrash { tid: Tid(tid), reason: info.reason.to_string(), address: Va(info.address.0) })
}

fn stack_of(target: &Target, walked: &CallStack) -> Option<Stack> {
    let machine = target.dump.machine();
    walked.frames.first()?;
    let mut frames = Vec::with_capacity(walked.frames.len());
    for (nth, frame) in walked.frames.iter().enumerate() {
        let caller = nth.checked_add(1).and_then(|n| walked.frames.get(n));
        add_rows(target, machine, frame, caller, &mut frames);
    }
    Some(Stack { machine, frames, end: EndReason::NoCaller, overflow: false })
}

/// Adds a physical frame behind its inlined calls.
fn add_rows(
    target: &Target,
    machine: Machine,
    from: &minidump_unwind::StackFrame,
    caller: Option<&minidump_unwind::StackFrame>,
    rows: &mut Vec<StackFrame>,
) {
    let ip = Va(from.resume_address);
    let sp = Va(from.context.get_stack_pointer());
    let mut regs = RegSet::new(machine);
    for (name, value) in from.context.valid_registers() {
        let name = if name == "x29" { "fp" } else { name };
        if let Some(reg) = RegSet::by_name(machine, name) {
            regs.set(reg, value);
        }
    }
    regs.set(RegSet::ip_reg(machine), ip.0);
    regs.set(RegSet::sp_reg(machine), sp.0);
    let trust = match from.trust {
        FrameTrust::Context => Trust::Context,
        FrameTrust::CallFrameInfo | FrameTrust::PreWalked => Trust::Cfi,
        FrameTrust::FramePointer => Trust::FramePointerUnverified,
        FrameTrust::CfiScan | FrameTrust::Scan | FrameTrust::None => Trust::Scan,
    };
    let base = from.module.as_ref().map(|m| Va(m.raw.base_of_image));
    let modules = target.symbols.modules();
    let module = base.and_then(|b| modules.iter().position(|m| m.base == b));
    let start = from.function_base.map(Va);
    let frame = Frame {
        ip,
        sp,
        frame_base: sp,
        return_address: caller.map_or(Va(0), |c| Va(c.resume_address)),
        regs,
        saved_at: Vec::new(),
        exact_ip: trust == Trust::Context,
        trust,
        issue: if module.is_none() { Some(UnwindIssue::NotInModule) } else { None },
    };
    if from.function_name.is_none() && from.inlines.is_empty() {
        // The library finds `.sym` files by the store's layout only; our own search knows more places.
        super::name_frame(target, &frame, None, rows);
        return;
    }
    let row = |trust, function: Option<String>, file: Option<String>, line: Option<u32>| StackFrame {
        frame: frame.clone(),
        trust,
        module,
        source: function.as_ref().map(|_| SymbolSource::Breakpad),
        function,
        assembly: None,
        managed: false,
        symbol: None,
        displacement: ip.0.wrapping_sub(start.or(base).unwrap_or_default().0),
        line: file.zip(line).map(|(file, line)| SourceLine {
            file,
            line,
            displacement: 0,
            source: SymbolSource::Breakpad,
        }),
        has_unwind_info: trust == Trust::Cfi,
    };
    for inline in &from.inlines {
        rows.push(row(
            Trust::Inline,
            Some(inline.function_name.clone()),
            inline.source_file_name.clone(),
            inline.source_line,
        ));
    }
    let mut physical =
        row(trust, from.function_name.clone(), from.source_file_name.clone(), from.source_line);
    physical.symbol = from.function_name.clone().zip(start.zip(base)).and_then(|(name, (start, base))| {
        let rva: Rva = start.rva(base)?;
        Some(Symbol {
            rva,
            size: None,
            name,
            decorated: None,
            kind: SymbolKind::Function,
            source: SymbolSource::Breakpad,
        })
    });
    rows.push(physical);
}

/// Runs a future on this thread. The library is async for symbol servers; with local files it hardly ever waits.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(out) = future.as_mut().poll(&mut cx) {
            return out;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_that_wait_are_run_to_their_end() {
        let mut polls = 0;
        let out = block_on(std::future::poll_fn(|cx| {
            polls += 1;
            if polls < 3 {
                let waker = cx.waker().clone();
                std::thread::spawn(move || waker.wake());
                return Poll::Pending;
            }
            Poll::Ready(polls)
        }));
        assert_eq!(out, 3);
    }

    #[test]
    fn servers_are_no_folders() {
        let dir = std::env::temp_dir();
        let path = format!("srv*{}*https://example.invalid/x;;nowhere-at-all", dir.display());
        assert_eq!(local_folders(&path), [dir]);
    }
}
