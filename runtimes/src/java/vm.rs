//! The VM's own description of itself, and reading by it.
//!
//! `jvm.dll` exports `gHotSpotVMStructs`, `gHotSpotVMTypes`, `gHotSpotVMIntConstants` and `gHotSpotVMLongConstants`:
//! pointers to arrays, ended by an entry without a name, whose entry layout is told by further exports
//! (`…EntryArrayStride`, `…EntryTypeNameOffset`, …; all 64-bit values). Read so on 11.0.13, 17.0.9, 21.0.8 and 25.0.2
//! (x64). What the tables do not say is written where it is used.

use crate::Process;
use dumpscope_core::{Machine, ReadMemory, Va};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most entries of a table; JDK 11 has 815 of the longest one.
const MAX_ENTRIES: u64 = 8192;
/// Longest name in the tables, bytes.
const MAX_NAME: usize = 256;
/// Most command line flags; JDK 25 has 1500.
const MAX_FLAGS: u64 = 8192;
/// The low 42 bits of a reference are its address in the collector ZGC before generations (up to JDK 22).
const ZGC_ADDRESS: u64 = (1 << 42) - 1;

/// A field of a structure, or a static variable.
#[derive(Clone, Debug)]
struct Field {
    /// Offset, or address when static.
    at: u64,
    is_static: bool,
    type_name: String,
}

/// Pointer compression, as the VM is set.
#[derive(Clone, Copy, Debug, Default)]
struct Compression {
    on: bool,
    base: u64,
    shift: u32,
}

/// The VM.
pub(super) struct Vm {
    pub(super) process: Arc<Process>,
    pub(super) memory: Arc<dyn ReadMemory>,
    fields: BTreeMap<String, Field>,
    types: BTreeMap<String, u64>,
    constants: BTreeMap<String, i64>,
    /// `25.0.2+10-LTS`.
    pub(super) version: String,
    /// 25.
    pub(super) major: u32,
    oops: Compression,
    klasses: Compression,
    compact_headers: bool,
    zgc: bool,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vm({}, {} fields)", self.version, self.fields.len())
    }
}

impl Vm {
    /// Reads the tables.
    pub(super) fn open(process: &Arc<Process>, module: usize) -> Result<Vm, String> {
        if process.machine != Machine::Amd64 {
            return Err("only Java for x64 is read".to_owned());
        }
        let mut vm = Vm {
            process: Arc::clone(process),
            memory: Arc::clone(&process.memory),
            fields: BTreeMap::new(),
            types: BTreeMap::new(),
            constants: BTreeMap::new(),
            version: String::new(),
            major: 0,
            oops: Compression::default(),
            klasses: Compression::default(),
            compact_headers: false,
            zgc: false,
        };
        vm.read_tables(module).ok_or("the VM's tables of its structures are not in the dump")?;
        vm.read_version().ok_or("the VM's version is not in the dump")?;
        vm.read_settings();
        Ok(vm)
    }

    fn read_tables(&mut self, module: usize) -> Option<()> {
        let process = Arc::clone(&self.process);
        let value = |name: &str| process.memory.u64(process.export(module, name)?);
        let text = |at: u64| {
            let bytes = process.memory.c_str(Va(at), MAX_NAME).filter(|_| at != 0)?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };

        let stride = value("gHotSpotVMStructEntryArrayStride")?;
        let offset = |name: &str| value(&format!("gHotSpotVMStructEntry{name}Offset"));
        let (type_at, field_at, string_at) =
            (offset("TypeName")?, offset("FieldName")?, offset("TypeString")?);
        let (static_at, offset_at, address_at) = (offset("IsStatic")?, offset("Offset")?, offset("Address")?);
        let start = Va(value("gHotSpotVMStructs")?);
        for i in 0..MAX_ENTRIES {
            let entry = start.offset(i.checked_mul(stride)?);
            let word = |o: u64| process.memory.u64(entry.offset(o));
            let Some(owner) = word(type_at).and_then(text) else { break };
            let Some(name) = word(field_at).and_then(text) else { continue };
            let is_static = process.memory.u32(entry.offset(static_at))? != 0;
            let at = word(if is_static { address_at } else { offset_at })?;
            let type_name = word(string_at).and_then(text).unwrap_or_default();
            self.fields.insert(format!("{owner}::{name}"), Field { at, is_static, type_name });
        }

        let stride = value("gHotSpotVMTypeEntryArrayStride")?;
        let (name_at, size_at) =
            (value("gHotSpotVMTypeEntryTypeNameOffset")?, value("gHotSpotVMTypeEntrySizeOffset")?);
        let start = Va(value("gHotSpotVMTypes")?);
        for i in 0..MAX_ENTRIES {
            let entry = start.offset(i.checked_mul(stride)?);
            let Some(name) = process.memory.u64(entry.offset(name_at)).and_then(text) else { break };
            self.types.insert(name, process.memory.u64(entry.offset(size_at))?);
        }

        for (kind, wide) in [("Int", false), ("Long", true)] {
            let stride = value(&format!("gHotSpotVM{kind}ConstantEntryArrayStride"))?;
            let name_at = value(&format!("gHotSpotVM{kind}ConstantEntryNameOffset"))?;
            let value_at = value(&format!("gHotSpotVM{kind}ConstantEntryValueOffset"))?;
            let start = Va(value(&format!("gHotSpotVM{kind}Constants"))?);
            for i in 0..MAX_ENTRIES {
                let entry = start.offset(i.checked_mul(stride)?);
                let Some(name) = process.memory.u64(entry.offset(name_at)).and_then(text) else { break };
                let at = entry.offset(value_at);
                let number = if wide {
                    process.memory.u64(at)?.cast_signed()
                } else {
                    process.memory.u32(at)?.cast_signed().into()
                };
                self.constants.insert(name, number);
            }
        }
        (!self.fields.is_empty()).then_some(())
    }

    fn read_version(&mut self) -> Option<()> {
        let at = self.variable_u64("Abstract_VM_Version::_s_vm_release")?;
        self.version = String::from_utf8_lossy(&self.memory.c_str(Va(at), 64)?).into_owned();
        let digits: String = self.version.chars().take_while(char::is_ascii_digit).collect();
        self.major = digits.parse().ok()?;
        Some(())
    }

    fn read_settings(&mut self) {
        const OOPS: &[&str] = &["CompressedOops::", "CompressedOops::_narrow_oop.", "Universe::_narrow_oop."];
        const KLASSES: &[&str] = &[
            "CompressedKlassPointers::",
            "CompressedKlassPointers::_narrow_klass.",
            "Universe::_narrow_klass.",
        ];
        let flags = self.flags();
        let on = |name: &str| flags.get(name).is_some_and(|at| self.memory.u8(*at).unwrap_or(0) != 0);
        let compression = |on: bool, places: &[&str]| {
            let read = |place: &&str| {
                let base = self.variable_u64(&format!("{place}_base"))?;
                let shift = self.memory.u32(self.variable(&format!("{place}_shift"))?)?;
                (shift < 32).then_some(Compression { on, base, shift })
            };
            places.iter().find_map(read).unwrap_or_default()
        };
        let oops = compression(on("UseCompressedOops"), OOPS);
        let klasses = compression(on("UseCompressedClassPointers"), KLASSES);
        let (compact, zgc) = (on("UseCompactObjectHeaders"), on("UseZGC"));
        (self.oops, self.klasses, self.compact_headers, self.zgc) = (oops, klasses, compact, zgc);
    }

    /// Addresses of the values of the VM's flags.
    fn flags(&self) -> BTreeMap<String, Va> {
        let mut out = BTreeMap::new();
        let mut read = || {
            let start = Va(self.variable_u64("JVMFlag::flags")?);
            let count = self.variable_u64("JVMFlag::numFlags")?.min(MAX_FLAGS);
            let size = self.size("JVMFlag")?;
            for i in 0..count {
                let flag = start.offset(i.checked_mul(size)?);
                let name = self.u64(flag, "JVMFlag::_name").filter(|n| *n != 0)?;
                let name = self.memory.c_str(Va(name), MAX_NAME)?;
                if name.starts_with(b"Use") {
                    let name = String::from_utf8_lossy(&name).into_owned();
                    out.insert(name, Va(self.u64(flag, "JVMFlag::_addr")?));
                }
            }
            Some(())
        };
        // The last entry has no name: the end.
        let _ = read();
        out
    }

    /// How many fields the tables have.
    pub(super) fn known(&self) -> usize {
        self.fields.len()
    }

    /// Offset of a field.
    pub(super) fn offset(&self, name: &str) -> Option<u64> {
        self.fields.get(name).filter(|f| !f.is_static).map(|f| f.at)
    }

    /// The C++ type of a field.
    pub(super) fn type_of(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |f| f.type_name.as_str())
    }

    /// Address of a static variable.
    pub(super) fn variable(&self, name: &str) -> Option<Va> {
        self.fields.get(name).filter(|f| f.is_static).map(|f| Va(f.at))
    }

    /// A static variable of 64 bits.
    pub(super) fn variable_u64(&self, name: &str) -> Option<u64> {
        self.memory.u64(self.variable(name)?)
    }

    /// Size of a type.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.types.get(name).copied()
    }

    /// A constant.
    pub(super) fn constant(&self, name: &str) -> Option<i64> {
        self.constants.get(name).copied()
    }

    /// The field of the structure at `at`, 64 bits.
    pub(super) fn u64(&self, at: Va, name: &str) -> Option<u64> {
        self.memory.u64(at.offset(self.offset(name)?))
    }

    /// The same, as an address that is not 0.
    pub(super) fn ptr(&self, at: Va, name: &str) -> Option<Va> {
        self.u64(at, name).map(Va).filter(|v| !v.is_null())
    }

    /// The same, 32 bits.
    pub(super) fn u32(&self, at: Va, name: &str) -> Option<u32> {
        self.memory.u32(at.offset(self.offset(name)?))
    }

    /// The same, 16 bits.
    pub(super) fn u16(&self, at: Va, name: &str) -> Option<u16> {
        self.memory.u16(at.offset(self.offset(name)?))
    }

    /// The same, 8 bits.
    pub(super) fn u8(&self, at: Va, name: &str) -> Option<u8> {
        self.memory.u8(at.offset(self.offset(name)?))
    }

    /// A field of up to 8 bytes, for a search: see [`ReadMemory::scan_at`]. What is found is read again.
    pub(super) fn peek(&self, at: Va, name: &str, len: usize) -> Option<u64> {
        let mut bytes = [0u8; 8];
        let got = self.memory.scan_at(at.offset(self.offset(name)?), bytes.get_mut(..len)?).got;
        (got == len).then(|| u64::from_le_bytes(bytes))
    }

    /// The first of the names that the tables have.
    pub(super) fn first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().find(|n| self.fields.contains_key(**n)).copied()
    }

    /// The object behind 32 bits that the VM compressed.
    pub(super) fn narrow(&self, value: u32) -> Option<Va> {
        let at = u64::from(value).checked_shl(self.oops.shift)?;
        (value != 0).then(|| Va(self.oops.base).offset(at))
    }

    /// A whole reference; colours of ZGC before generations are taken off.
    pub(super) fn wide(&self, value: u64) -> Option<Va> {
        let at = if self.zgc && self.major < 23 { value & ZGC_ADDRESS } else { value };
        (at != 0).then_some(Va(at))
    }

    /// The reference in a field of an object or an element of an array.
    pub(super) fn reference(&self, at: Va) -> Option<Va> {
        if self.oops.on { self.narrow(self.memory.u32(at)?) } else { self.wide(self.memory.u64(at)?) }
    }

    /// Bytes of a reference in an object.
    pub(super) fn reference_size(&self) -> u64 {
        if self.oops.on { 4 } else { 8 }
    }

    /// The object behind a handle in a structure of the VM: the field is the object itself up to JDK 11.
    pub(super) fn handle(&self, at: Va, name: &str) -> Option<Va> {
        let value = self.ptr(at, name)?;
        if self.type_of(name) == "oop" {
            return self.wide(value.0);
        }
        self.wide(self.memory.u64(value)?)
    }

    /// The class of an object.
    pub(super) fn klass_of(&self, object: Va) -> Option<Va> {
        if self.compact_headers {
            return self.klass(self.memory.u64(object)? >> self.compact_shift());
        }
        if self.klasses.on {
            return self.klass(self.memory.u32(object.offset(8))?.into());
        }
        self.memory.u64(object.offset(8)).map(Va).filter(|k| !k.is_null())
    }

    fn klass(&self, narrow: u64) -> Option<Va> {
        let at = narrow.checked_shl(self.klasses.shift)?;
        (narrow != 0).then(|| Va(self.klasses.base).offset(at))
    }

    fn compact_shift(&self) -> u32 {
        let said = self.constant("markWord::klass_shift").and_then(|s| u32::try_from(s).ok());
        said.filter(|s| *s < 64).unwrap_or(42)
    }

    /// The class that the words at the start of an object name: what a search of the heap looks at.
    pub(super) fn named_class(&self, mark: u64, second: u64) -> Option<Va> {
        if self.compact_headers {
            self.klass(mark >> self.compact_shift())
        } else if self.klasses.on {
            self.klass(second & 0xffff_ffff)
        } else {
            Some(Va(second))
        }
    }

    /// Offset of an array's length; its elements follow, bytes without a gap, others aligned to 8 bytes.
    pub(super) fn array_length_at(&self) -> u64 {
        match (self.compact_headers, self.klasses.on) {
            (true, _) => 8,
            (false, true) => 12,
            (false, false) => 16,
        }
    }

    /// Offset of a byte array's first element. Up to JDK 21 it is aligned to 8 bytes.
    pub(super) fn array_bytes_at(&self) -> u64 {
        let end = self.array_length_at() + 4;
        if self.major < 22 { end.next_multiple_of(8) } else { end }
    }
}
