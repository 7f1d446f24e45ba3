//! What readers give: plain data, the same for all runtimes. Texts are untrusted and not escaped.

use dumpscope_core::{Tid, Va};

/// A runtime in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// As its makers write it: `.NET`, `Ruby`, `Java`.
    pub name: &'static str,
    /// Its own version (`10.0.14`), where it says one.
    pub version: Option<String>,
    /// Index of its module in [`crate::Process::modules`].
    pub module: usize,
    /// Where the layout comes from: `contract descriptor`, `layout table 8.0`, `exports`, `module name`.
    pub how: String,
    /// False when threads and frames cannot be read; `why` says the reason.
    pub readable: bool,
    /// One line: why it cannot be read, or what is missing.
    pub why: Option<String>,
}

/// A thread as the runtime knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptThread {
    /// The runtime's record of it.
    pub address: Va,
    /// The native thread; `None` when it has ended, or never had one (unmounted virtual threads, fibers).
    pub tid: Option<Tid>,
    /// The runtime's own id.
    pub id: u64,
    /// The name that the program gave it.
    pub name: Option<String>,
    /// State words, in a fixed order: `background`, `dead`, `pool_worker`, …
    pub state: Vec<&'static str>,
    /// It has begun and has not ended, with or without a native thread.
    pub alive: bool,
    /// The native thread that carries it now, for one that has none of its own (mounted virtual threads).
    pub carrier: Option<Tid>,
}

/// What kind of code a frame runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameKind {
    /// Code of the program's language, compiled by the runtime or ahead of time (.NET).
    Managed,
    /// Run by the runtime's interpreter.
    Interpreted,
    /// Compiled by a runtime that has an interpreter too.
    Compiled,
    /// A native method called from the language.
    Native,
    /// The runtime's own.
    #[default]
    Internal,
}

impl FrameKind {
    /// The word in documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            FrameKind::Managed => "managed",
            FrameKind::Interpreted => "interpreted",
            FrameKind::Compiled => "compiled",
            FrameKind::Native => "native",
            FrameKind::Internal => "internal",
        }
    }
}

/// Where a method stands in its assembly: what a portable PDB is asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodPlace {
    /// The image of the assembly; 0 for one made at run time.
    pub base: Va,
    /// Row in the assembly's table of methods.
    pub row: u32,
    /// Offset in the method's IL, bytes; `None` in prologues and where no map is known.
    pub il_offset: Option<u32>,
}

/// One method's frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptFrame {
    /// The method as the runtime names it: `Namespace.Type+Nested.Method` (.NET), `package.Class.method` (Java),
    /// the label (Ruby). Without type arguments and parameters.
    pub function: String,
    /// What the user wrote: `Program.Fetch` for `Program+<Fetch>d__5.MoveNext`. Equal to `function` where nothing
    /// is hidden.
    pub display: String,
    /// The method with all arguments, as the runtime's own debugger prints it.
    pub full: String,
    /// Assembly file, gem, … that it comes from.
    pub module: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// It is in the runtime's own libraries.
    pub library: bool,
    /// Where a line table has it (.NET).
    pub place: Option<MethodPlace>,
    /// Bytes from the start of the method's code to `ip`; 0 for interpreted frames.
    pub displacement: u64,
    /// What runs it.
    pub kind: FrameKind,
    /// Instruction pointer, 0 for interpreted frames.
    pub ip: Va,
    /// Stack pointer, or the place of the interpreter's frame.
    pub sp: Va,
}

impl ScriptFrame {
    /// True for a method of the runtime's own libraries: what a program calls, not the program.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.library
    }
}

/// Kinds of locks that runtimes have of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockKind {
    /// .NET `Monitor` (`lock`), thin or inflated.
    Monitor,
    /// .NET `System.Threading.Lock`.
    DotnetLock,
    /// .NET `ReaderWriterLockSlim`.
    RwLockSlim,
    /// .NET `SemaphoreSlim`.
    SemaphoreSlim,
    /// Java `synchronized`.
    JavaMonitor,
    /// `java.util.concurrent.locks`.
    JavaLock,
    /// A class or type initializer.
    ClassInit,
    /// Ruby `Mutex`.
    RubyMutex,
    /// An interpreter's global lock.
    Gvl,
}

impl LockKind {
    /// The word in documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            LockKind::Monitor => "monitor",
            LockKind::DotnetLock => "dotnet_lock",
            LockKind::RwLockSlim => "rwlock_slim",
            LockKind::SemaphoreSlim => "semaphore_slim",
            LockKind::JavaMonitor => "java_monitor",
            LockKind::JavaLock => "java_lock",
            LockKind::ClassInit => "class_init",
            LockKind::RubyMutex => "ruby_mutex",
            LockKind::Gvl => "gvl",
        }
    }
}

/// Who holds a lock, as the lock itself says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOwner {
    /// The native thread; `None` when that has ended.
    pub tid: Option<Tid>,
    /// The runtime's id of the thread.
    pub id: Option<u64>,
    /// Its name.
    pub name: Option<String>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptLock {
    /// The object that is locked.
    pub address: Va,
    /// Its class.
    pub object_type: Option<String>,
    /// What kind of lock.
    pub kind: LockKind,
    /// Who holds it; several for a lock that is held for reading.
    pub owners: Vec<LockOwner>,
    /// How often the owner entered it; 0 when it is free.
    pub recursion: u32,
    /// Threads that the lock itself counts as waiting.
    pub waiting: u32,
}

/// How it is known what a thread waits for; better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// The runtime itself keeps the object alive for this frame (a live slot, a protected reference).
    LiveReference,
    /// The runtime's own record of the thread names it.
    Record,
    /// From the frames next to it, or the only object that fits.
    Derived,
    /// A word on the stack. At most a guess.
    StackWord,
}

/// Kinds of waits that runtimes have of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// Enters a monitor.
    Monitor,
    /// `Monitor.Wait`, `Object.wait`: waits to be woken.
    MonitorWait,
    /// Enters another lock of the runtime.
    ScriptLock,
    /// An event or handle of the system's, behind an object.
    Event,
    /// A task or future.
    Task,
    /// A class or type initializer that another thread runs.
    ClassInit,
    /// The end of another thread.
    Thread,
    /// A collection, or the end of a suspension.
    Gc,
    /// The interpreter's global lock.
    Gvl,
    /// A period.
    Sleep,
    /// Work: a pool's idle worker, the finalizer, a timer thread.
    Idle,
    /// Input or output.
    Io,
}

impl WaitKind {
    /// The word in documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            WaitKind::Monitor => "monitor",
            WaitKind::MonitorWait => "monitor_wait",
            WaitKind::ScriptLock => "script_lock",
            WaitKind::Event => "event",
            WaitKind::Task => "task",
            WaitKind::ClassInit => "class_init",
            WaitKind::Thread => "thread",
            WaitKind::Gc => "gc",
            WaitKind::Gvl => "gvl",
            WaitKind::Sleep => "sleep",
            WaitKind::Idle => "worker_idle",
            WaitKind::Io => "file_io",
        }
    }
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptWait {
    /// The thread.
    pub tid: Tid,
    /// What kind of wait.
    pub kind: WaitKind,
    /// The object; `None` when it is not known, or there is none.
    pub object: Option<Va>,
    /// Its class.
    pub object_type: Option<String>,
    /// How the object is known.
    pub proof: Proof,
    /// The thread whose end is waited for.
    pub target: Option<Tid>,
    /// The runtime says that the program set no limit, whatever the system's wait looks like: runtimes wait in slices.
    pub endless: bool,
    /// It waits for whoever connects next, or for what the connected ones send: the thread serves others.
    pub serves: bool,
    /// The method that waits (`System.Threading.Monitor.Wait`).
    pub method: String,
    /// Index of the first one outside of the runtime's own libraries in the script frames: the thread's, or of the thread
    /// that it carries.
    pub user_frame: Option<usize>,
}

/// What a thread without a native one waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachedWait {
    /// The thread's record ([`ScriptThread::address`]).
    pub thread: Va,
    /// What kind of wait.
    pub kind: WaitKind,
    /// The object.
    pub object: Option<Va>,
    /// Its class.
    pub object_type: Option<String>,
    /// Who holds it, by the lock's own record.
    pub owner: Option<LockOwner>,
    /// The runtime says that the program set no limit.
    pub endless: bool,
    /// The innermost method.
    pub method: String,
}

/// What has become of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExceptionState {
    /// Nobody handles it: the process ends.
    Unhandled,
    /// A handler is running, or is being looked for.
    Handling,
    /// The last one of its thread; it was handled.
    LastThrown,
    /// Found on the heap only.
    Heap,
}

impl ExceptionState {
    /// The word in documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ExceptionState::Unhandled => "unhandled",
            ExceptionState::Handling => "handling",
            ExceptionState::LastThrown => "last_thrown",
            ExceptionState::Heap => "heap",
        }
    }
}

/// An exception object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptException {
    /// The object.
    pub address: Va,
    /// The thread that threw it, when that is known.
    pub tid: Option<Tid>,
    /// Its class.
    pub type_name: String,
    /// Its message; `None` when the runtime's default text was not asked for yet.
    pub message: Option<String>,
    /// .NET: its HRESULT.
    pub hresult: Option<u32>,
    /// What has become of it.
    pub state: ExceptionState,
    /// Where it was thrown, innermost first.
    pub frames: Vec<ScriptFrame>,
    /// What caused it.
    pub inner: Option<Box<ScriptException>>,
}

/// Asynchronous work that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Methods that await each other, outermost first, innermost last (display names).
    pub chain: Vec<String>,
    /// The thread that waits for the outermost one.
    pub blocked: Option<Tid>,
    /// What the innermost one waits for, in words.
    pub reason: String,
    /// What is awaited has ended, and the rest was posted to the thread that blocks.
    pub posted_to_blocked: bool,
    /// The innermost one is a source that nobody has completed.
    pub nobody: bool,
}

/// A thread pool.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pool {
    /// Workers that run work items now.
    pub working: u32,
    /// Workers that exist.
    pub existing: u32,
    /// How many the pool wants at the moment.
    pub goal: u32,
    /// Configured least number.
    pub min: u32,
    /// Configured greatest number.
    pub max: u32,
    /// Work items that wait in queues.
    pub queued: u64,
}

/// A runtime that stops its threads (for a collection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// The thread that stops the others.
    pub by: Option<Tid>,
    /// Threads that have not stopped.
    pub running: Vec<Tid>,
}

/// A thread in the runtime's own end of the process: it does not come back from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The thread.
    pub tid: Tid,
    /// The call that ends the process (`System.Environment.FailFast`).
    pub method: String,
    /// What the program gave as its reason.
    pub message: Option<String>,
    /// The exception that it gave.
    pub exception: Option<ScriptException>,
    /// Index in the script frames of the first one outside of the runtime's own libraries.
    pub user_frame: Option<usize>,
}
