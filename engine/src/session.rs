//! A session: the target and what is selected in it.

use crate::command::CommandError;
use crate::doc::{Line, Message, RenderCx, Report, Sink};
use crate::expr::{self, ExprError};
use crate::host::Host;
use crate::lang::{Language, SessionEnv};
use dumpscope_analyzers::scope::Stored;
use dumpscope_analyzers::{Cancel, Scope, Stack, Target};
use dumpscope_core::context::Context;
use dumpscope_core::error::OpenError;
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, RegSet, ThreadIdx, Va};
use dumpscope_symbols::{Limits, SymbolConfig};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which WinDbg's layout output has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Layout {
    /// The layout of `shared/article` (2016 and before): the default.
    #[default]
    Classic,
    /// The layout of WinDbg 2023: frame numbers, wider columns.
    Modern,
}

/// What is selected: small and cloneable, so that a command can run in a worker on a clone.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Current thread; `None` when the dump has none.
    pub thread: Option<ThreadIdx>,
    /// Selected row of the stack (`.frame`).
    pub frame: u32,
    /// Effective machine (`.effmach`).
    pub machine: Machine,
    /// Context set by `.ecxr` or `.cxr`; replaces the thread's.
    pub context: Option<Context>,
    /// Default number base: 16, 10 or 8.
    pub radix: u32,
    /// Layout of output.
    pub layout: Layout,
    /// `.kframes`.
    pub max_frames: usize,
    /// `.args raw`: `kb` of 64-bit stacks shows raw words instead of recovered arguments.
    pub raw_args: bool,
    /// `!sym noisy`: commands tell how symbols were looked for.
    pub noisy: bool,
    /// `.lines -e`: in the modern layout source lines stand behind frames and symbols.
    pub lines: bool,
    /// `.expr /s c++`: expressions are C++ ones.
    pub cpp: bool,
    /// In the modern layout frames have their numbers without being asked for, as in WinDbg's window.
    pub numbers: bool,
    /// `.inline 0`: stacks without inlined calls.
    pub no_inlines: bool,
    /// `rm`: the registers that `r` shows in the modern layout; `None` until it was set.
    pub register_mask: Option<u64>,
}

impl Selection {
    /// Makes a thread current, as `~3s` does: the first row of its stack, its own context.
    pub fn select_thread(&mut self, thread: ThreadIdx) {
        self.thread = Some(thread);
        self.frame = 0;
        self.context = None;
    }
}

/// One dump in use. Cheap to clone: a worker can run a command on a clone and hand it back.
#[derive(Debug, Clone)]
pub struct Session {
    /// Path of the dump as the user gave it.
    pub path: String,
    /// The dump and its symbols.
    pub target: Arc<Target>,
    /// What is selected.
    pub sel: Selection,
    /// What the command language remembers between commands.
    pub language: Language,
    /// Asked to stop.
    pub cancel: Cancel,
    /// True where command lines come from somebody who must reach nothing but this dump: commands whose row says
    /// `outside` are refused, also in blocks, aliases and loops.
    pub confined: bool,
    /// What the program around the engine does for it (log files, scripts); without one these commands refuse.
    pub host: Option<Arc<dyn Host>>,
    /// How often expressions asked for source lines while these are switched off: told before the next output.
    pub(crate) line_warnings: Arc<AtomicU32>,
}

impl Session {
    /// Opens a dump; no symbols are loaded yet.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn open(path: &Path, config: SymbolConfig) -> Result<Session, OpenError> {
        let dump = Dump::open(path)?;
        Ok(Session::new(path.display().to_string(), Arc::new(Target::new(dump, config))))
    }

    /// A session on a target. The current thread is that of the exception, else the first.
    #[must_use]
    pub fn new(path: String, target: Arc<Target>) -> Session {
        let dump = &target.dump;
        let event = dump.exception().value().and_then(|e| dump.thread_by_tid(e.tid));
        let thread = event.or_else(|| dump.threads().first()).map(|t| t.index);
        let sel = Selection {
            thread,
            frame: 0,
            machine: dump.machine(),
            context: None,
            radix: 16,
            layout: Layout::Classic,
            max_frames: 256,
            raw_args: false,
            noisy: false,
            lines: true,
            cpp: false,
            numbers: true,
            no_inlines: false,
            register_mask: None,
        };
        let (language, cancel) = (Language::default(), Cancel::default());
        Session {
            path,
            target,
            sel,
            language,
            cancel,
            confined: false,
            host: None,
            line_warnings: Arc::default(),
        }
    }

    /// Starts as the bare engine does, without WinDbg's window: no frame numbers, no source lines. What the classic
    /// layout shows does not depend on it.
    pub fn as_bare_engine(&mut self) {
        self.sel.lines = false;
        self.sel.numbers = false;
    }

    /// Reads a NatVis file, through the host, and puts it in use for `dx` and `dv`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn load_natvis(&mut self, path: &str) -> Result<(), String> {
        crate::commands::natvis::load_file(self, path)
    }

    /// The dump.
    #[must_use]
    pub fn dump(&self) -> &Dump {
        &self.target.dump
    }

    /// The prompt, with its blank: `0:000> `, `0:000:x86> ` in a machine that is not the dump's, `?:???> ` without
    /// a thread.
    #[must_use]
    pub fn prompt(&self) -> String {
        let Some(ThreadIdx(index)) = self.sel.thread else { return "?:???> ".to_owned() };
        let machine = if self.sel.machine == self.dump().machine() {
            String::new()
        } else {
            format!(":{}", self.sel.machine.json_name())
        };
        format!("0:{index:03}{machine}> ")
    }

    /// `module!name+0x12` of an address in the effective machine; `None` when no module holds it. Not escaped.
    #[must_use]
    pub fn name_of(&self, va: Va) -> Option<String> {
        let symbols = &self.target.symbols;
        if self.sel.layout == Layout::Modern
            && let Some(resolved) = symbols.resolve(va)
            && let Some(symbol) = &resolved.symbol
            // At its first byte the engine takes the first of an export's names.
            && (resolved.displacement != 0 || !symbol.name.starts_with("Nt"))
            && let Some(name) = crate::commands::code::export_name(self, resolved.module, symbol)
        {
            let module = symbols.name_in(resolved.module, self.sel.machine);
            return Some(match resolved.displacement_in(self.sel.machine) {
                0 => format!("{module}!{name}"),
                n => format!("{module}!{name}+0x{n:x}"),
            });
        }
        symbols.format(va, self.sel.machine)
    }

    /// A module's name in the effective machine. Escaped.
    #[must_use]
    pub fn module_name(&self, module: usize) -> String {
        dumpscope_core::base::text::escape(self.target.symbols.name_in(module, self.sel.machine)).into_owned()
    }

    /// What renderings need to know.
    #[must_use]
    pub fn render_cx(&self) -> RenderCx {
        RenderCx { layout: self.sel.layout, wide: self.sel.machine.is_64() }
    }

    /// Hands a report to the sink.
    ///
    /// # Errors
    /// [`CommandError::Stopped`] when the sink wants no more.
    pub fn emit(&self, sink: &mut dyn Sink, report: &dyn Report) -> Result<(), CommandError> {
        self.tell_warnings(sink)?;
        match sink.report(report, &self.render_cx()) {
            ControlFlow::Continue(()) if self.cancel.is_cancelled() => Err(CommandError::Stopped),
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(CommandError::Stopped),
        }
    }

    /// Tells what expressions have met since the last output.
    ///
    /// # Errors
    /// [`CommandError::Stopped`] when the sink wants no more.
    pub(crate) fn tell_warnings(&self, sink: &mut dyn Sink) -> Result<(), CommandError> {
        let count = self.line_warnings.swap(0, Ordering::Relaxed);
        if count == 0 {
            return Ok(());
        }
        let line = |_| Line::plain("WARNING: Line information loading disabled");
        let lines = (0..count.min(64)).map(line).collect();
        match sink.report(&Message(lines), &self.render_cx()) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(CommandError::Stopped),
        }
    }

    /// The thread of the event, the `#` of `~#`: that of the exception, without one the first.
    #[must_use]
    pub fn event_thread(&self) -> Option<ThreadIdx> {
        let dump = self.dump();
        let raised = dump.exception().value().and_then(|e| dump.thread_by_tid(e.tid));
        raised.or_else(|| dump.threads().first()).map(|t| t.index)
    }

    /// The context in force for frame 0: `.ecxr`/`.cxr`'s, else the current thread's in the effective machine.
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        if let Some(context) = &self.sel.context {
            return Some(context.clone());
        }
        let thread = self.sel.thread?;
        let dump = self.dump();
        if self.sel.machine == Machine::X86 && dump.machine() != Machine::X86 {
            return dump.wow64_context(thread);
        }
        dump.context(thread)
    }

    /// Stack bounds of the current thread in the effective machine (its TEB's, else what was captured): lowest
    /// address, address after the highest.
    #[must_use]
    pub fn stack_bounds(&self) -> Option<(Va, Va)> {
        let sp = self.context()?.sp();
        dumpscope_analyzers::stacks::stack_bounds(&self.target, self.sel.thread?, self.sel.machine, sp)
            .map(|bounds| (bounds.low, bounds.high))
    }

    /// The stack of the current thread or context, at most `frames` physical frames (`None`: `.kframes`).
    #[must_use]
    pub fn stack(&self, frames: Option<usize>) -> Option<Stack> {
        Some(self.stack_and_left_out(frames)?.0)
    }

    /// The same, and the addresses of the frames that the engine's view of it leaves out.
    pub(crate) fn stack_and_left_out(&self, frames: Option<usize>) -> Option<(Stack, Vec<Va>)> {
        let (mut stack, left_out) = if crate::commands::stack::chain::applies(self) {
            let most = frames.unwrap_or(self.sel.max_frames);
            // The view leaves frames out.
            let whole = self.whole_stack(Some(most.saturating_mul(2).saturating_add(16)))?;
            crate::commands::stack::chain::engine_view(self, whole, most)
        } else {
            (self.whole_stack(frames)?, Vec::new())
        };
        if self.sel.no_inlines {
            stack.frames.retain(|f| f.trust != dumpscope_symbols::Trust::Inline);
        }
        Some((stack, left_out))
    }

    /// As [`Session::stack`], always with all frames.
    #[must_use]
    pub fn whole_stack(&self, frames: Option<usize>) -> Option<Stack> {
        let limits = Limits { frames: frames.unwrap_or(self.sel.max_frames), ..Limits::default() };
        match &self.sel.context {
            Some(context) => {
                let bounds = self.stack_bounds();
                Some(dumpscope_analyzers::stacks::stack_from(
                    &self.target,
                    &context.regs,
                    bounds,
                    &limits,
                    &self.cancel,
                ))
            }
            None => dumpscope_analyzers::stacks::thread_stack(
                &self.target,
                self.sel.thread?,
                self.sel.machine,
                &limits,
                &self.cancel,
            ),
        }
    }

    /// Registers as `r` and expressions see them: those of the context. As in WinDbg `.frame` alone does not change
    /// them, `.frame /c` does.
    #[must_use]
    pub fn register_context(&self) -> Option<RegSet> {
        self.context().map(|c| c.regs)
    }

    /// Registers of the selected frame: all of the context in frame 0, what the walk restored in callers.
    #[must_use]
    pub fn frame_regs(&self) -> Option<RegSet> {
        if self.sel.frame == 0 {
            return self.context().map(|c| c.regs);
        }
        let row = self.sel.frame as usize;
        self.stack(Some(row.saturating_add(1)))?.frames.get(row).map(|f| f.frame.regs)
    }

    /// The variables of the selected frame; `None` when no symbol file tells them.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        let row = self.sel.frame as usize;
        // One frame more: it holds the row's return address.
        Scope::of(&self.target, &self.stack(Some(row.saturating_add(2)))?, row)
    }

    /// The pointer of the effective machine's size that a place holds.
    #[must_use]
    pub fn pointer_in(&self, stored: &Stored) -> Option<Va> {
        match stored {
            Stored::Memory(va) => self.dump().memory().ptr(*va, self.sel.machine),
            Stored::Bytes(bytes) => {
                let mut value = [0u8; 8];
                let size = self.sel.machine.ptr_size();
                value.get_mut(..size)?.copy_from_slice(bytes.get(..size)?);
                Some(Va(u64::from_le_bytes(value)))
            }
        }
    }

    /// Index of the module whose code the selected frame runs.
    #[must_use]
    pub fn scope_module(&self) -> Option<usize> {
        self.target.symbols.module_at(self.frame_regs()?.ip()?)
    }

    /// Evaluates the MASM expression at the start of `text`; gives the value and the offset of what follows.
    ///
    /// # Errors
    /// What is wrong and at which byte.
    pub fn eval(&self, text: &str) -> Result<(u64, usize), ExprError> {
        if self.sel.cpp {
            return crate::lang::cpp_prefix(self, text);
        }
        expr::evaluate(text, &SessionEnv::new(self))
    }

    /// Cuts a value to an address of the effective machine.
    #[must_use]
    pub fn address(&self, value: u64) -> Va {
        Va(if self.sel.machine.is_64() { value } else { value & 0xffff_ffff })
    }
}
