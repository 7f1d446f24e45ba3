//! What C++ expressions see of a session.

use super::SessionEnv;
use crate::commands::types::{Object, find, global, local, static_member};
use crate::expr::cpp::{self, CppEnv, Ty, Value};
use crate::expr::{self, Env, ErrorKind, ExprError, RegisterMiss, TypeSet};
use crate::session::{Layout, Session};
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::types::{TypeId, builtin};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Deepest nesting of MASM and C++ expressions in each other.
const MAX_NESTING: u32 = 8;

/// Types of Windows' headers that programs name without a PDB that has them. `P` before one is a pointer to it.
const WINDOWS: &[(&str, u32)] = &[
    ("BOOL", 0x74),
    ("BOOLEAN", 0x20),
    ("BYTE", 0x20),
    ("CHAR", 0x70),
    ("DWORD", 0x22),
    ("DWORD64", 0x77),
    ("HRESULT", 0x12),
    ("INT", 0x74),
    ("LONG", 0x12),
    ("LONG64", 0x76),
    ("LONGLONG", 0x76),
    ("NTSTATUS", 0x12),
    ("SHORT", 0x11),
    ("UCHAR", 0x20),
    ("UINT", 0x75),
    ("UINT64", 0x77),
    ("ULONG", 0x22),
    ("ULONG64", 0x77),
    ("ULONGLONG", 0x77),
    ("USHORT", 0x21),
    ("WCHAR", 0x71),
    ("WORD", 0x21),
];

/// Evaluates the C++ expression at the start of `text`; gives the value and the offset of what follows.
///
/// # Errors
/// What is wrong and at which byte.
pub(crate) fn evaluate(session: &Session, text: &str) -> Result<(Value, usize), ExprError> {
    cpp::evaluate_prefix(text, &CppSession::new(session, 0))
}

/// The value of a C++ expression as a number: of a structure, array or function its address.
pub(super) fn number(session: &Session, text: &str, depth: u32) -> Result<u64, ExprError> {
    let unsupported = |text: String| ExprError::new(ErrorKind::Unsupported(text), 0);
    if depth > MAX_NESTING {
        return Err(unsupported("Expressions are nested too deeply.".into()));
    }
    let env = CppSession::new(session, depth);
    let value = cpp::evaluate(text, &env)?;
    let fraction = if env.modern() { value.fraction(env.memory()) } else { None };
    fraction.or_else(|| value.number(env.memory())).ok_or_else(|| match value.address() {
        Some(va) => unsupported(format!("Memory access error at '{text}': {:#x} is not in the dump.", va.0)),
        None => unsupported(format!("'{text}' is no number.")),
    })
}

/// The C++ expression at the start of `text` as a number, where C++ is the default language.
pub(crate) fn prefix(session: &Session, text: &str) -> Result<(u64, usize), ExprError> {
    if text.trim().is_empty() {
        return Err(ExprError::new(ErrorKind::Missing, 0));
    }
    let env = CppSession::new(session, 0);
    let (value, end) = cpp::evaluate_prefix(text, &env)?;
    let number = match value.ty.is_aggregate() {
        // A structure is no number.
        true => None,
        false => value.fraction(env.memory()).or_else(|| value.number(env.memory())),
    };
    let number = number.ok_or_else(|| ExprError::new(ErrorKind::Missing, end))?;
    Ok((number, end))
}

struct CppSession<'a> {
    session: &'a Session,
    masm: SessionEnv<'a>,
    depth: u32,
    /// What names meant: the parser asks for each of them before the evaluator does.
    names: RefCell<BTreeMap<String, Option<Result<Value, String>>>>,
}

impl<'a> CppSession<'a> {
    fn new(session: &'a Session, depth: u32) -> CppSession<'a> {
        let names = RefCell::default();
        CppSession { session, masm: SessionEnv::nested(session, depth), depth, names }
    }

    fn look_up(&self, name: &str) -> Option<Result<Value, String>> {
        let found = if name.contains('!') {
            None
        } else {
            self.masm.scope().and_then(|s| local(self.session, s, name))
        };
        if let Some(object) = found.or_else(|| global(self.session, name)) {
            return Some(value(object));
        }
        // A type's name is no variable, and looking for one would load symbols.
        if self.find_type(name).is_some() {
            return None;
        }
        let (module, plain) = match name.split_once('!') {
            Some((module, plain)) => (Some(module).filter(|m| !m.is_empty()), plain),
            None => (None, name),
        };
        // A module's name is no symbol for today's engine.
        let machine = self.session.sel.machine;
        if self.modern()
            && module.is_none()
            && !self.session.target.symbols.modules_named_in(plain, machine).is_empty()
        {
            return None;
        }
        let va = self.masm.symbol(module, plain).ok()?;
        let set = TypeSet::built_in(self.session.sel.machine, None);
        let ty = Ty { set, id: TypeId::VOID, stars: 0, alias: None };
        Some(Ok(Value { ty, place: Stored::Memory(Va(va)) }))
    }

    fn built_in_pointer(&self, name: &str, va: u64) -> Value {
        let named = find(self.session, &format!("ntdll!{name}")).map(|f| (f.set, f.id));
        let machine = self.session.sel.machine;
        let own = || {
            let id = builtin(machine).find_type(name, false).first().copied().unwrap_or(TypeId::VOID);
            (TypeSet::built_in(machine, None), id)
        };
        let (set, id) = named.unwrap_or_else(own);
        self.plain(Ty { set, id, stars: 1, alias: None }, va)
    }

    fn plain(&self, ty: Ty, value: u64) -> Value {
        let size = usize::try_from(ty.size().unwrap_or(8)).unwrap_or(8);
        let bytes = value.to_le_bytes().get(..size).unwrap_or_default().to_vec();
        Value { ty, place: Stored::Bytes(bytes) }
    }
}

fn value(object: Object) -> Result<Value, String> {
    let ty = Ty { set: object.set, id: object.id, stars: 0, alias: None };
    object.place.map(|place| Value { ty, place }).map_err(str::to_owned)
}

impl CppEnv for CppSession<'_> {
    fn machine(&self) -> Machine {
        self.session.sel.machine
    }

    fn modern(&self) -> bool {
        self.session.sel.layout == Layout::Modern
    }

    fn enumerator(&self, name: &str) -> Option<Value> {
        let (ty, value) = crate::commands::types::enumerator(self.session, name)?;
        Some(self.plain(ty, value))
    }

    fn memory(&self) -> &dyn ReadMemory {
        self.masm.memory()
    }

    fn find_type(&self, name: &str) -> Option<(TypeSet, TypeId)> {
        if let Some((_, id)) = WINDOWS.iter().find(|(n, _)| *n == name) {
            return Some((TypeSet::built_in(self.machine(), None), TypeId(*id)));
        }
        find(self.session, name).map(|f| (f.set, f.id))
    }

    fn variable(&self, name: &str) -> Option<Result<Value, String>> {
        if let Some(known) = self.names.borrow().get(name) {
            return known.clone();
        }
        let found = self.look_up(name);
        self.names.borrow_mut().insert(name.to_owned(), found.clone());
        found
    }

    fn static_member(&self, set: &TypeSet, class: &str, name: &str) -> Option<Va> {
        let (va, storage) = static_member(self.session, set, class, name);
        va.filter(|_| storage)
    }

    fn register(&self, name: &str) -> Result<(u64, u32), RegisterMiss> {
        self.masm.register(name)
    }

    fn pseudo(&self, name: &str) -> Option<Result<Value, RegisterMiss>> {
        let slot = name.strip_prefix('t').and_then(|n| n.parse::<usize>().ok());
        if let Some(value) = slot.and_then(|n| self.session.language.typed.get(&n)) {
            return Some(Ok(value.clone()));
        }
        let value = match self.masm.pseudo(name)? {
            Ok(value) => value,
            Err(miss) => return Some(Err(miss)),
        };
        let wide = self.machine().is_64();
        let modern = self.modern();
        let code = matches!(
            name,
            "ip" | "ra" | "eventip" | "scopeip" | "exentry" | "csp" | "peb" | "teb" | "proc" | "thread"
        );
        if modern && code {
            let set = TypeSet::built_in(self.machine(), None);
            return Some(Ok(self.plain(Ty { set, id: TypeId(0x20), stars: 1, alias: None }, value)));
        }
        let id = match name {
            "peb" | "proc" if !modern => return Some(Ok(self.built_in_pointer("_PEB", value))),
            "teb" | "thread" if !modern => return Some(Ok(self.built_in_pointer("_TEB", value))),
            "tid" | "tpid" | "dtid" | "dpid" | "dsid" | "frame" | "ptrsize" | "pagesize" | "exr_code"
            | "exr_chance" | "exr_numparams" => 0x75,
            _ if !wide && !name.starts_with('t') => 0x75,
            _ => 0x77,
        };
        let set = TypeSet::built_in(self.machine(), None);
        Some(Ok(self.plain(Ty { set, id: TypeId(id), stars: 0, alias: None }, value)))
    }

    fn masm(&self, text: &str) -> Result<u64, String> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_NESTING {
            return Err("Expressions are nested too deeply.".into());
        }
        let env = SessionEnv::nested(self.session, depth);
        expr::evaluate_all(text, &env).map_err(|e| e.message(text))
    }
}
