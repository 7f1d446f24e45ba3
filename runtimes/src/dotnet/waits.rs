//! What a blocked thread waits for: the base library's method names the kind, a live reference of its frame the object.
//!
//! A reference counts as proof where the runtime itself keeps it alive: a live slot of the frame's GC info, or (8, 9)
//! the reference that the runtime's own helper frame protects.

use super::Clr;
use super::code::{Code, CodeKind};
use super::gc_info::{GcInfo, Place};
use super::layout::{Field, Variable};
use super::methods::Method;
use super::threads::Thread;
use crate::{Proof, ScriptWait, WaitKind, Walked};
use dumpscope_core::{Reg, Tid, Va};
use dumpscope_symbols::Frame;
use std::sync::{Arc, PoisonError};

/// Frames of the base library that are looked at, from the top.
const MAX_LIBRARY_FRAMES: usize = 64;
/// Most entries of one chain of direct calls.
const MAX_CHAIN: usize = 4096;

/// A method that waits.
struct Site {
    owner: &'static str,
    methods: &'static [&'static str],
    kind: WaitKind,
    /// How much the site says: the outermost of the highest rank names the wait.
    rank: u8,
    /// Types of the reference that is waited for; empty: any object.
    wanted: &'static [&'static str],
}

const fn site(
    owner: &'static str,
    methods: &'static [&'static str],
    kind: WaitKind,
    rank: u8,
    wanted: &'static [&'static str],
) -> Site {
    Site { owner, methods, kind, rank, wanted }
}

const TASK: &str = "System.Threading.Tasks.Task";
const HANDLE: &[&str] = &["System.Threading.WaitHandle", "Microsoft.Win32.SafeHandles.SafeWaitHandle"];

/// Methods of the base library that wait (8, 9 and 10), inner ones with lower ranks.
const SITES: &[Site] = &[
    site(
        "System.Threading.Thread",
        &["Sleep", "SleepInternal", "UninterruptibleSleep0"],
        WaitKind::Sleep,
        1,
        &[],
    ),
    site(
        "System.Threading.WaitHandle",
        &[
            "WaitOneNoCheck",
            "WaitOne",
            "WaitOneCore",
            "InternalWaitOne",
            "SignalAndWait",
            "SignalAndWaitCore",
        ],
        WaitKind::Event,
        2,
        HANDLE,
    ),
    site(
        "System.Threading.WaitHandle",
        &["WaitMultiple", "WaitAny", "WaitAll", "WaitMultipleIgnoringSyncContext"],
        WaitKind::Event,
        3,
        &[],
    ),
    site("System.Threading.Monitor", &["Wait", "ObjWait"], WaitKind::MonitorWait, 3, &[]),
    site(
        "Interop+Kernel32",
        &["ReadFile", "WriteFile", "DeviceIoControl", "ConnectNamedPipe", "ReadConsole"],
        WaitKind::Io,
        3,
        &[],
    ),
    site(
        "System.Threading.ManualResetEventSlim",
        &["Wait"],
        WaitKind::Event,
        4,
        &["System.Threading.ManualResetEventSlim"],
    ),
    site(
        "System.Threading.Monitor",
        &[
            "Enter_Slowpath",
            "Enter",
            "ReliableEnter",
            "TryEnter_Slowpath",
            "TryEnter",
            "ReliableEnterTimeout",
            "TryEnterSlowpath",
        ],
        WaitKind::Monitor,
        5,
        &[],
    ),
    site(
        "System.Threading.Lock",
        &[
            "TryEnterSlow",
            "EnterAndGetCurrentThreadId",
            "Enter",
            "TryEnter",
            "EnterScope",
            "TryEnter_Outlined",
        ],
        WaitKind::ScriptLock,
        6,
        &["System.Threading.Lock"],
    ),
    site(
        "System.Threading.Thread",
        &["Join", "JoinInternal"],
        WaitKind::Thread,
        6,
        &["System.Threading.Thread"],
    ),
    site(
        "System.Threading.Barrier",
        &["SignalAndWait", "DiscontinuousWait"],
        WaitKind::ScriptLock,
        7,
        &["System.Threading.Barrier"],
    ),
    site(
        "System.Threading.CountdownEvent",
        &["Wait"],
        WaitKind::ScriptLock,
        7,
        &["System.Threading.CountdownEvent"],
    ),
    site(
        TASK,
        &[
            "SpinThenBlockingWait",
            "InternalWaitCore",
            "InternalWait",
            "Wait",
            "WaitAllBlockingCore",
            "WaitAllCore",
            "WaitAll",
        ],
        WaitKind::Task,
        8,
        &[TASK],
    ),
    site("System.Threading.Tasks.Task`1", &["GetResultCore", "get_Result"], WaitKind::Task, 8, &[TASK]),
    site(
        "System.Runtime.CompilerServices.TaskAwaiter",
        &["HandleNonSuccessAndDebuggerNotification", "ValidateEnd"],
        WaitKind::Task,
        8,
        &[TASK],
    ),
    site(
        "System.Threading.ReaderWriterLockSlim",
        &[
            "WaitOnEvent",
            "TryEnterReadLockCore",
            "TryEnterWriteLockCore",
            "TryEnterUpgradeableReadLockCore",
            "EnterReadLock",
            "EnterWriteLock",
            "EnterUpgradeableReadLock",
            "TryEnterReadLock",
            "TryEnterWriteLock",
            "TryEnterUpgradeableReadLock",
        ],
        WaitKind::ScriptLock,
        8,
        &["System.Threading.ReaderWriterLockSlim"],
    ),
    site(
        "System.Threading.ReaderWriterLock",
        &["AcquireReaderLock", "AcquireWriterLock", "UpgradeToWriterLock"],
        WaitKind::ScriptLock,
        8,
        &["System.Threading.ReaderWriterLock"],
    ),
    site(
        "System.Threading.SemaphoreSlim",
        &["WaitUntilCountOrTimeout", "WaitCore", "Wait"],
        WaitKind::ScriptLock,
        9,
        &["System.Threading.SemaphoreSlim"],
    ),
    site("System.GC", &["WaitForPendingFinalizers", "_WaitForPendingFinalizers"], WaitKind::Thread, 9, &[]),
    site("System.GC", &["Collect", "_Collect"], WaitKind::Gc, 9, &[]),
    site(
        "System.Net.Sockets.Socket",
        &["Receive", "Accept", "Connect", "Send", "ReceiveFrom"],
        WaitKind::Io,
        9,
        &["System.Net.Sockets.Socket"],
    ),
    site(
        "System.Net.Sockets.SocketPal",
        &["Receive", "Accept", "Connect", "Send", "ReceiveFrom"],
        WaitKind::Io,
        8,
        &["System.Net.Sockets.SafeSocketHandle"],
    ),
    site(
        "System.IO.Pipes.NamedPipeServerStream",
        &["WaitForConnection"],
        WaitKind::Io,
        9,
        &["System.IO.Pipes.NamedPipeServerStream"],
    ),
    site(
        "System.IO.Pipes.PipeStream",
        &["ReadCore", "WriteCore", "ReadByte", "Read"],
        WaitKind::Io,
        9,
        &["System.IO.Pipes.PipeStream"],
    ),
    site(
        "System.Collections.Concurrent.BlockingCollection`1",
        &["TryTakeWithNoTimeValidation"],
        WaitKind::ScriptLock,
        10,
        &["System.Collections.Concurrent.BlockingCollection`1"],
    ),
    site(
        "System.Threading.LowLevelLifoSemaphore",
        &["WaitForSignal", "Wait", "WaitNative"],
        WaitKind::Idle,
        11,
        &[],
    ),
    site("System.Threading.PortableThreadPool+GateThread", &["GateThreadStart"], WaitKind::Idle, 12, &[]),
    site("System.Threading.PortableThreadPool+WaitThread", &["WaitThreadStart"], WaitKind::Idle, 12, &[]),
    site("System.Threading.TimerQueue", &["TimerThread"], WaitKind::Idle, 12, &[]),
    site("System.Threading.PortableThreadPool+IOCompletionPoller", &["Poll"], WaitKind::Idle, 12, &[]),
];

/// A managed frame of a stack.
pub(super) struct Managed {
    /// Index in the machine frames.
    pub(super) at: usize,
    code: Arc<Code>,
    pub(super) method: Arc<Method>,
}

/// A wait that one frame tells of.
struct Found {
    rank: u8,
    kind: WaitKind,
    object: Option<Va>,
    proof: Proof,
    method: String,
}

impl Clr {
    /// What threads wait for.
    pub(super) fn waits(&self, stacks: &[Walked<'_>]) -> Vec<ScriptWait> {
        let mut waits: Vec<_> = stacks.iter().filter_map(|stack| self.wait(*stack)).collect();
        if waits.iter().any(|w| w.kind == WaitKind::Task) {
            let running = self.running_tasks(stacks);
            for wait in waits.iter_mut().filter(|w| w.kind == WaitKind::Task) {
                let chain = wait.object.map(|o| self.chain(o)).unwrap_or_default();
                let runner = chain.iter().find_map(|o| running.get(o)).copied();
                wait.target = runner.filter(|tid| *tid != wait.tid);
            }
        }
        self.add_readers(stacks, &mut waits);
        waits
    }

    /// Tasks that a stack runs.
    pub(super) fn executing(&self, stack: Walked<'_>) -> Vec<Va> {
        let runs = |m: &&Managed| {
            let owner = m.method.owner();
            match m.method.name.as_str() {
                "ExecuteWithThreadLocal"
                | "ExecuteEntryUnsafe"
                | "ExecuteEntry"
                | "InnerInvoke"
                | "Execute" => owner.starts_with(TASK),
                "MoveNext" | "ExecuteFromThreadPool" => {
                    owner.contains("StateMachineBox") || owner.starts_with(TASK)
                }
                _ => false,
            }
        };
        let managed = self.managed(stack.frames);
        managed.iter().filter(runs).flat_map(|m| self.live_objects(stack.frames, m, &[TASK])).collect()
    }

    /// Managed frames of a stack.
    pub(super) fn managed(&self, frames: &[Frame]) -> Vec<Managed> {
        let one = |(at, frame): (usize, &Frame)| {
            let code = self.code_at(frame.lookup_ip()).filter(|c| !c.method.is_null())?;
            let method = self.method(code.method)?;
            Some(Managed { at, code, method })
        };
        frames.iter().enumerate().filter_map(one).collect()
    }

    fn wait(&self, stack: Walked<'_>) -> Option<ScriptWait> {
        let thread = self.thread_by_tid(stack.tid).and_then(|i| self.threads().get(i))?;
        let managed = self.managed(stack.frames);
        // A thread whose top frame is managed code runs.
        if managed.first()?.at == 0 {
            return None;
        }
        let user_frame = managed.iter().position(|m| !is_library(&m.method));
        let mut found: Vec<_> = self.helper_wait(thread, stack.frames, &managed).into_iter().collect();
        let library = user_frame.unwrap_or(managed.len()).min(MAX_LIBRARY_FRAMES);
        for m in managed.get(..library).unwrap_or_default() {
            let owner = m.method.owner();
            let site = SITES.iter().find(|s| s.owner == owner && s.methods.contains(&m.method.name.as_str()));
            let Some(site) = site else { continue };
            let object =
                if site.kind == WaitKind::Idle { None } else { self.wanted(stack.frames, m, site.wanted) };
            found.push(Found {
                rank: site.rank,
                kind: site.kind,
                object,
                proof: Proof::LiveReference,
                method: format!("{owner}.{}", m.method.name),
            });
        }
        self.fill(&mut found, stack.frames, &managed);
        self.around(&mut found);
        // The highest rank, then the first with an object.
        let rank = found.iter().map(|f| f.rank).max()?;
        let best = found
            .iter()
            .filter(|f| f.rank == rank)
            .find(|f| f.object.is_some())
            .or_else(|| found.iter().find(|f| f.rank == rank))?;
        let object = best.object.map(|o| self.handle_owner(o, stack.frames, &managed).unwrap_or(o));
        let target = match best.kind {
            WaitKind::Thread => match object {
                Some(object) => self.thread_by_object(object).and_then(|i| self.threads().get(i)),
                None if best.method.contains("PendingFinalizers") => {
                    self.threads().iter().find(|t| t.finalizer)
                }
                None => None,
            },
            _ => None,
        };
        Some(ScriptWait {
            tid: stack.tid,
            kind: best.kind,
            object,
            object_type: object.and_then(|o| self.object_name(o)).map(|n| n.to_string()),
            proof: best.proof,
            target: target.and_then(|t| t.script.tid),
            serves: false,
            // Entering a monitor has no limit, whatever its wait for an event says.
            endless: best.kind == WaitKind::Monitor
                && !["Try", "Timeout"].iter().any(|limited| best.method.contains(limited)),
            method: best.method.clone(),
            user_frame,
        })
    }

    /// The event, mutex … whose handle a frame waits for, when a frame near the top keeps that alive too.
    fn handle_owner(&self, handle: Va, frames: &[Frame], managed: &[Managed]) -> Option<Va> {
        if !self.object_is(handle, "Microsoft.Win32.SafeHandles.SafeWaitHandle") {
            return None;
        }
        managed
            .iter()
            .take(8)
            .flat_map(|m| self.live_objects(frames, m, &["System.Threading.WaitHandle"]))
            .find(|o| self.reference(*o, "_waitHandle") == Some(handle))
    }

    /// Where the outer object of a wait is not known, the inner one that the thread waits by leads to it.
    fn around(&self, found: &mut [Found]) {
        const OUTER: &[(&str, WaitKind)] = &[
            ("System.Threading.ManualResetEventSlim", WaitKind::MonitorWait),
            ("System.Threading.SemaphoreSlim", WaitKind::MonitorWait),
            // By a node of its list, when others wait for it without a thread.
            ("System.Threading.SemaphoreSlim", WaitKind::Task),
            ("System.Threading.CountdownEvent", WaitKind::Event),
        ];
        for (of, kind) in OUTER {
            let inner = found.iter().filter(|f| f.kind == *kind).find_map(|f| f.object);
            for f in found.iter_mut().filter(|f| f.object.is_none() && f.method.starts_with(of)) {
                f.object = inner.and_then(|i| self.outer(i, of));
                f.proof = Proof::Derived;
            }
        }
    }

    /// An object that is not alive in its own frame may be in that of another site of the same kind, or be the only one
    /// of its type in the frames that call it.
    fn fill(&self, found: &mut [Found], frames: &[Frame], managed: &[Managed]) {
        let objects: Vec<_> = found.iter().map(|f| (f.kind, f.object)).collect();
        for (i, f) in found.iter_mut().enumerate().filter(|(_, f)| f.object.is_none()) {
            let neighbours =
                [i.checked_sub(1), Some(i + 1)].into_iter().flatten().filter_map(|n| objects.get(n));
            let same = neighbours.filter(|(kind, _)| *kind == f.kind).find_map(|(_, object)| *object);
            if let Some(object) = same {
                f.object = Some(object);
                f.proof = Proof::LiveReference;
                continue;
            }
            let wanted: &[&str] = match f.kind {
                // It waits for the runtime's finalizer thread, whatever threads its callers know.
                WaitKind::Thread if f.method.contains("PendingFinalizers") => continue,
                WaitKind::Thread => &["System.Threading.Thread"],
                WaitKind::Event => &["System.Threading.WaitHandle"],
                WaitKind::Task => &[TASK],
                _ => continue,
            };
            for m in managed.iter().skip(1).take(4) {
                let all = self.live_objects(frames, m, wanted);
                if let [only] = all.as_slice() {
                    f.object = Some(*only);
                    f.proof = Proof::Derived;
                    break;
                }
            }
        }
    }

    /// The first live reference of a frame of one of the wanted types.
    fn wanted(&self, frames: &[Frame], m: &Managed, wanted: &[&str]) -> Option<Va> {
        self.live_objects(frames, m, wanted).first().copied()
    }

    /// Live references of a frame, of one of the wanted types (any type if none is named), without repeats.
    pub(super) fn live_objects(&self, frames: &[Frame], m: &Managed, wanted: &[&str]) -> Vec<Va> {
        let mut out = Vec::new();
        for object in self.live(frames, m).unwrap_or_default() {
            let Some(mt) = self.object_type(object) else { continue };
            let fits = wanted.is_empty() || wanted.iter().any(|w| self.is_a(mt, w));
            if fits && !out.contains(&object) {
                out.push(object);
            }
        }
        out
    }

    /// References that the runtime would report for a frame.
    fn live(&self, frames: &[Frame], m: &Managed) -> Option<Vec<Va>> {
        let frame = frames.get(m.at)?;
        if m.code.funclet || frame.exact_ip {
            return None;
        }
        let info = self.gc_info(&m.code)?;
        let caller_sp = frames.get(m.at + 1)?.sp;
        let memory = self.core.memory();
        let value = |place| match place {
            // Scratch registers do not survive a call, and are unknown in callers.
            Place::Register(r) => frame.regs.get(Reg(r)).map(Va),
            Place::CallerSp(o) => memory.u64(Va(caller_sp.0.wrapping_add_signed(o))).map(Va),
            Place::Sp(o) => memory.u64(Va(frame.sp.0.wrapping_add_signed(o))).map(Va),
            Place::FrameRegister(o) => {
                let base = frame.regs.get(Reg(info.frame_register?))?;
                memory.u64(Va(base.wrapping_add_signed(o))).map(Va)
            }
        };
        let offset = frame.ip.distance_from(m.code.start)?;
        let slots = info.live(offset);
        Some(
            slots
                .iter()
                .filter(|s| !s.interior)
                .filter_map(|s| value(s.place))
                .filter(|v| !v.is_null())
                .collect(),
        )
    }

    /// The GC info of a method's code, kept.
    pub(super) fn gc_info(&self, code: &Code) -> Option<Arc<GcInfo>> {
        let at = match code.kind {
            CodeKind::Jit => self.core.target(code.owner, Field::CodeGcInfo)?,
            // Behind the unwind data of the method's first piece and the address of its personality routine.
            CodeKind::ReadyToRun => {
                let image = self.image(code.owner)?;
                let [_, _, unwind] = image.entry(&self.core, code.index)?;
                let at = code.image.offset(unwind.into());
                let codes = u64::from(self.core.memory().u8(at.offset(2))?);
                at.offset((4 + codes * 2 + 4).next_multiple_of(4))
            }
            CodeKind::Stub => return None,
        };
        let mut known = self.gc_infos.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.core.layout.gc_info_version(self.core.descriptor.as_ref());
        known.entry(at).or_insert_with(|| GcInfo::read(self.core.memory(), at, version).map(Arc::new)).clone()
    }

    /// 8 and 9: the runtime function that managed code called directly, with the reference that its frame protects.
    fn helper_wait(&self, thread: &Thread, frames: &[Frame], managed: &[Managed]) -> Option<Found> {
        let core = &self.core;
        let helper = thread.frame?;
        let entry = core.target(helper, Field::HelperFunction)?;
        let runtime = core.process.modules.get(core.module)?;
        // Only a frame below the first managed one tells of the present.
        let caller_sp = frames.get(managed.first()?.at + 1)?.sp;
        if !runtime.contains(entry) || helper >= caller_sp {
            return None;
        }
        let method = self.method(self.direct_call(entry)?)?;
        let name = method.name.as_str();
        let (kind, rank) = match name {
            "ReliableEnter" | "Enter" | "ReliableEnterTimeout" | "TryEnter" => (WaitKind::Monitor, 5),
            "ObjWait" | "Wait" => (WaitKind::MonitorWait, 3),
            "JoinInternal" | "Join" => (WaitKind::Thread, 6),
            _ if name.contains("Sleep") => (WaitKind::Sleep, 1),
            _ if name.starts_with("Wait") => (WaitKind::Event, 2),
            _ => return None,
        };
        // The protected reference lies on the stack, near the frame.
        let slot = core.target(helper, Field::HelperReference).filter(|s| s.0.abs_diff(helper.0) < 0x2000);
        let object = slot.and_then(|s| core.deref(s)).filter(|o| self.object_type(*o).is_some());
        Some(Found {
            rank,
            kind,
            object,
            proof: Proof::LiveReference,
            method: format!("{}.{name}", method.owner()),
        })
    }

    /// Type and name of the function that a helper frame stands for.
    pub(super) fn helper_name(&self, helper: Va) -> Option<(String, String)> {
        let entry = self.core.target(helper, Field::HelperFunction)?;
        let method = self.method(self.direct_call(entry)?)?;
        Some((method.owner(), method.name.clone()))
    }

    /// The method that a helper frame stands for.
    pub(super) fn helper_method(&self, helper: Va) -> Option<String> {
        let entry = self.core.target(helper, Field::HelperFunction)?;
        let method = self.method(self.direct_call(entry)?)?;
        Some(self.full_name(&method).to_owned())
    }

    /// The method behind a directly called function: a hash table of 127 chains of (next, function, record).
    fn direct_call(&self, entry: Va) -> Option<Va> {
        let table = self.core.variable(Variable::DirectCalls)?;
        let memory = self.core.memory();
        let mut next = self.core.deref(table.offset(entry.0 % 127 * 8));
        for _ in 0..MAX_CHAIN {
            let at = next?;
            if memory.u64(at.offset(8))? == entry.0 {
                return self.core.deref(at.offset(16));
            }
            next = self.core.deref(at);
        }
        None
    }

    /// Threads in cooperative mode other than the one that stops them: what a suspension waits for.
    pub(super) fn suspension(&self) -> Option<crate::Suspension> {
        let by = self.core.variable_target(Variable::SuspendingThread)?;
        let tid = |t: &Thread| t.script.tid;
        let running: Vec<Tid> =
            self.threads().iter().filter(|t| t.cooperative && t.address != by).filter_map(tid).collect();
        Some(crate::Suspension { by: self.threads().iter().find(|t| t.address == by).and_then(tid), running })
    }
}

/// True for methods of the base library: what a program calls, not the program.
pub(super) fn is_library(method: &Method) -> bool {
    let owner = method.type_parts.first().map_or("", String::as_str);
    method.is_stub()
        || ["System.", "Microsoft.Win32.", "Interop", "Internal."].iter().any(|p| owner.starts_with(p))
}
