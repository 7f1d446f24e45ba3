//! Reads words and Ruby's own objects: strings, arrays, names of methods.

use super::layout::{Layout, StringForm};
use crate::Process;
use dumpscope_core::{ReadMemory, Va};
use std::sync::Arc;

/// Longest path or name, bytes.
const MAX_TEXT: usize = 1024;
/// Names in one array of the table of symbols.
const IDS_PER_ARRAY: u64 = 512;
/// Ids of operators are their own serial numbers, others lie 4 bits higher; no Ruby has more than 170 operators,
/// and the first other id is above 2700.
const LAST_OPERATOR: u64 = 1000;
/// Low bits of an object's flags: its type.
const TYPE_MASK: u64 = 0x1f;
const T_STRING: u64 = 5;
const T_ARRAY: u64 = 7;
const T_DATA: u64 = 0xc;
const T_IMEMO: u64 = 0x1a;
/// Strings: the text lies elsewhere. Arrays: the items lie in the object.
const FLAG_1: u64 = 1 << 13;

/// Internal objects of the interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Internal {
    /// Holds special variables of a frame.
    Svar = 2,
    /// A method's entry.
    Method = 6,
    /// An instruction sequence.
    Iseq = 7,
}

/// Memory, layout and the module.
#[derive(Debug)]
pub(super) struct Core {
    process: Arc<Process>,
    module: usize,
    pub(super) layout: Layout,
    /// Array of arrays of names.
    ids: Option<Va>,
}

impl Core {
    pub(super) fn new(process: &Arc<Process>, module: usize, layout: Layout) -> Core {
        let mut core = Core { process: process.clone(), module, layout, ids: None };
        core.ids = core.export("ruby_global_symbols").and_then(|at| core.field(at, 2 * layout.word));
        core
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    fn memory(&self) -> &dyn ReadMemory {
        self.process.memory.as_ref()
    }

    /// Address of an exported variable.
    pub(super) fn export(&self, name: &str) -> Option<Va> {
        self.process.export(self.module, name)
    }

    /// A word of the process, for a search.
    pub(super) fn scanned_word(&self, at: Va) -> Option<u64> {
        let mut bytes = [0u8; 8];
        let len = usize::try_from(self.layout.word).ok()?;
        let part = bytes.get_mut(..len)?;
        (self.memory().scan_at(at, part).got == len).then(|| u64::from_le_bytes(bytes))
    }

    /// A word.
    pub(super) fn word(&self, at: Va) -> Option<u64> {
        match self.layout.word {
            4 => self.memory().u32(at).map(u64::from),
            _ => self.memory().u64(at),
        }
    }

    /// 32 bits.
    pub(super) fn u32(&self, at: Va) -> Option<u32> {
        self.memory().u32(at)
    }

    /// 64 bits on every machine.
    pub(super) fn u64(&self, at: Va) -> Option<u64> {
        self.memory().u64(at)
    }

    /// The pointer in a field, not null.
    pub(super) fn field(&self, at: Va, offset: u64) -> Option<Va> {
        self.word(at.offset(offset)).filter(|p| *p != 0).map(Va)
    }

    /// True for a value that can be an object: neither immediate nor unaligned.
    fn is_object(&self, value: Va) -> bool {
        value.0 >= 0x40 && value.0.is_multiple_of(self.layout.word)
    }

    /// The flags of an object of this type.
    fn flags(&self, value: Va, of: u64) -> Option<u64> {
        let flags = self.is_object(value).then(|| self.word(value))??;
        (flags & TYPE_MASK == of).then_some(flags)
    }

    /// True for an internal object of this kind.
    pub(super) fn is_internal(&self, value: Va, kind: Internal) -> bool {
        self.flags(value, T_IMEMO).is_some_and(|f| f >> 12 & 15 == kind as u64)
    }

    /// The text of a String.
    pub(super) fn string(&self, value: Va) -> Option<String> {
        let flags = self.flags(value, T_STRING)?;
        let body = value.offset(2 * self.layout.word);
        let far = flags & FLAG_1 != 0;
        let (len, text) = match self.layout.string {
            _ if far => (self.u32(body)?, self.field(body, self.layout.word)?),
            StringForm::InFlags => ((flags >> 14 & 0x1f) as u32, body),
            StringForm::Field { embedded } => (self.u32(body)?, value.offset(embedded)),
        };
        let len = usize::try_from(len).ok().filter(|l| *l <= MAX_TEXT)?;
        let mut bytes = vec![0; len];
        let got = self.memory().read_at(text, &mut bytes).got;
        (got == len).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// An item of an Array.
    pub(super) fn item(&self, array: Va, index: u64) -> Option<Va> {
        let flags = self.flags(array, T_ARRAY)?;
        let body = array.offset(2 * self.layout.word);
        let (len, items) = if flags & FLAG_1 != 0 {
            (flags >> 15 & self.layout.array_mask, body)
        } else {
            (u64::from(self.u32(body)?), self.field(body, 2 * self.layout.word)?)
        };
        (index < len).then(|| self.field(items, index.checked_mul(self.layout.word)?))?
    }

    /// The name behind an id.
    pub(super) fn id_name(&self, id: u64) -> Option<String> {
        let serial = if id > LAST_OPERATOR { id >> 4 } else { id } & u64::from(u32::MAX);
        let names = self.item(self.ids?, serial / IDS_PER_ARRAY)?;
        // Each name is followed by its symbol.
        self.string(self.item(names, serial % IDS_PER_ARRAY * 2)?)
    }

    /// The record of an object that an extension or Ruby's core made of a C structure, and what its type calls
    /// itself: `mutex`, `queue`, `VM/thread`.
    pub(super) fn data(&self, value: Va) -> Option<(Va, String)> {
        self.flags(value, T_DATA)?;
        let kind = self.field(value, 2 * self.layout.word)?;
        let name = self.memory().c_str(self.field(kind, 0)?, 64)?;
        let name = String::from_utf8(name).ok().filter(|n| n.chars().all(|c| c.is_ascii_graphic()))?;
        Some((self.field(value, 4 * self.layout.word)?, name))
    }

    /// The path of a location: a String, or an Array of the path and its real path.
    pub(super) fn path(&self, value: Va) -> Option<String> {
        self.string(value).or_else(|| self.string(self.item(value, 0)?))
    }
}
