//! What compiled code says about its places: inlined methods and the monitors that they hold.
//!
//! `PcDesc` entries, sorted by code offset, lead to a chain of scopes (UNSIGNED5): sender's offset, method's index
//! (from 1), bytecode index plus 1, then offsets of locals, expressions and monitors.

use super::code_cache::Blob;
use super::stream::Stream;
use super::vm::Vm;
use dumpscope_core::Va;

/// Deepest inlining; the compilers' limit is 15 by default.
const MAX_SCOPES: usize = 512;
/// Most monitors of one scope.
const MAX_MONITORS: u32 = 64;
/// Largest table of places, bytes.
const MAX_PLACES: u64 = 8 << 20;
/// The register that compiled code keeps over calls, in the VM's numbering (two for each register): rbp.
const RBP: u32 = 10;

/// A compiled method's tables.
pub(super) struct Compiled {
    blob: Blob,
    pub(super) method: Va,
    places: Va,
    places_end: Va,
    scopes: Va,
    metadata: Option<Va>,
}

/// A method at a place; several where it was inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) method: Va,
    /// Bytecode index; `None` when no place is known.
    pub(super) index: Option<u32>,
    /// Objects whose monitors it holds.
    pub(super) monitors: Vec<Va>,
}

/// Where the values of a frame lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameAt {
    pub(super) sp: Va,
    pub(super) fp: Va,
}

impl Compiled {
    pub(super) fn of(vm: &Vm, blob: &Blob) -> Option<Compiled> {
        let at = blob.at;
        let int = |name: &str| vm.u32(at, name).map(u64::from);
        let method = vm.ptr(at, vm.first(&["nmethod::_method", "CompiledMethod::_method"])?)?;
        if let Some(fixed) = vm.ptr(at, "nmethod::_immutable_data") {
            let scopes = fixed.offset(int("nmethod::_scopes_data_offset")?);
            let mutable = vm.ptr(at, "CodeBlob::_mutable_data");
            let skip = int("CodeBlob::_relocation_size");
            return Some(Compiled {
                blob: *blob,
                method,
                places: fixed.offset(int("nmethod::_scopes_pcs_offset")?),
                places_end: scopes,
                scopes,
                metadata: mutable.zip(skip).map(|(m, s)| m.offset(s)),
            });
        }
        let scopes = match vm.ptr(at, "CompiledMethod::_scopes_data_begin") {
            Some(scopes) => scopes,
            None => at.offset(int("nmethod::_scopes_data_offset")?),
        };
        Some(Compiled {
            blob: *blob,
            method,
            places: at.offset(int("nmethod::_scopes_pcs_offset")?),
            places_end: at.offset(int("nmethod::_dependencies_offset")?),
            scopes,
            metadata: int("nmethod::_metadata_offset").map(|o| at.offset(o)),
        })
    }

    /// The place where a deoptimized frame really was, when `pc` is the handler that replaced it.
    pub(super) fn original_pc(&self, vm: &Vm, pc: Va, sp: Va) -> Option<Va> {
        const BEGINS: &[&str] = &[
            "nmethod::_deopt_handler_begin",
            "nmethod::_deopt_mh_handler_begin",
            "CompiledMethod::_deopt_handler_begin",
            "CompiledMethod::_deopt_mh_handler_begin",
        ];
        const OFFSETS: &[&str] = &["nmethod::_deopt_handler_offset", "nmethod::_deopt_mh_handler_offset"];
        let at = self.blob.at;
        let by_address = BEGINS.iter().any(|name| vm.ptr(at, name) == Some(pc));
        let offsets = OFFSETS.iter().filter_map(|name| vm.u32(at, name)).filter(|o| (1..1 << 31).contains(o));
        // From the blob's start, or from its code's (not the same in all versions).
        let by_offset = offsets.map(u64::from).any(|o| at.offset(o) == pc || self.blob.code.offset(o) == pc);
        if !by_address && !by_offset {
            return None;
        }
        let slot = sp.offset(vm.u32(at, "nmethod::_orig_pc_offset")?.into());
        vm.memory.u64(slot).map(Va).filter(|pc| !pc.is_null())
    }

    /// Methods at a place, innermost first. Between two known places (a running thread) the next one counts, and monitors
    /// are not read.
    pub(super) fn scopes(&self, vm: &Vm, pc: Va, frame: Option<FrameAt>) -> Vec<Scope> {
        let found = self.place(vm, pc).map(|(scope, exact)| self.chain(vm, scope, frame.filter(|_| exact)));
        let whole = Scope { method: self.method, index: None, monitors: Vec::new() };
        found.filter(|s| !s.is_empty()).unwrap_or_else(|| vec![whole])
    }

    /// The scope of a place, and whether the table has just that one.
    fn place(&self, vm: &Vm, pc: Va) -> Option<(u32, bool)> {
        let wanted = i64::try_from(pc.distance_from(self.blob.code)?).ok()?;
        let size = vm.size("PcDesc").filter(|s| *s >= 8)?;
        let bytes = self.places_end.distance_from(self.places)?.min(MAX_PLACES);
        let offset = |i: u64| {
            let at = self.places.offset(i * size).offset(vm.offset("PcDesc::_pc_offset")?);
            Some(i64::from(vm.memory.u32(at)?.cast_signed()))
        };
        // The first entry has offset -1.
        let (mut low, mut high) = (0, bytes / size);
        let end = high;
        while low < high {
            let middle = low + (high - low) / 2;
            if offset(middle)? < wanted { low = middle + 1 } else { high = middle }
        }
        if low >= end {
            return None;
        }
        let scope = vm.u32(self.places.offset(low * size), "PcDesc::_scope_decode_offset")?;
        Some((scope, offset(low)? == wanted))
    }

    fn chain(&self, vm: &Vm, first: u32, frame: Option<FrameAt>) -> Vec<Scope> {
        let mut out = Vec::new();
        let mut next = first;
        // Senders lie before those that they call: a chain that does not go down is broken.
        while next != 0 && out.len() < MAX_SCOPES {
            let mut stream = Stream::new(vm.memory.as_ref(), self.scopes.offset(next.into()), vm.major);
            let mut read = || {
                let (sender, method, index) = (stream.number()?, stream.number()?, stream.number()?);
                let (_locals, _expressions, monitors) =
                    (stream.number()?, stream.number()?, stream.number()?);
                let slot = self.metadata?.offset(u64::from(method.checked_sub(1)?) * 8);
                let scope = Scope {
                    method: Va(vm.memory.u64(slot)?),
                    // -1, on entry of a synchronized method, is told as 0.
                    index: Some(index.saturating_sub(1)),
                    monitors: frame.map(|f| self.monitors(vm, monitors, f)).unwrap_or_default(),
                };
                Some((sender, scope))
            };
            let Some((sender, scope)) = read() else { break };
            out.push(scope);
            if sender >= next {
                break;
            }
            next = sender;
        }
        out
    }

    /// A list of monitors: each a place of the lock, a value for the object, and whether it was optimized away. Values
    /// begin with their kind: 0 a place, 2 a constant object; others (objects that do not exist) end the list.
    fn monitors(&self, vm: &Vm, at: u32, frame: FrameAt) -> Vec<Va> {
        let mut out = Vec::new();
        if at == 0 {
            return out;
        }
        let mut stream = Stream::new(vm.memory.as_ref(), self.scopes.offset(at.into()), vm.major);
        let mut read = || {
            for _ in 0..stream.number()?.min(MAX_MONITORS) {
                stream.number()?;
                let object = match stream.number()? {
                    0 => self.value(vm, stream.number()?, frame),
                    2 => self.constant(vm, stream.number()?),
                    _ => return None,
                };
                let eliminated = stream.byte()? != 0;
                out.extend(object.filter(|_| !eliminated));
            }
            Some(())
        };
        // What stands before a break stays.
        let _ = read();
        out
    }

    /// The object at a location: type in bits 0-3 (8: compressed), bit 4: in a register, number above.
    fn value(&self, vm: &Vm, location: u32, frame: FrameAt) -> Option<Va> {
        let (narrow, number) = (location & 15 == 8, location >> 5);
        if location & 16 != 0 {
            let value = (number == RBP).then_some(frame.fp.0)?;
            return if narrow { vm.narrow(u32::try_from(value & 0xffff_ffff).ok()?) } else { vm.wide(value) };
        }
        let at = frame.sp.offset(u64::from(number) * 4);
        if narrow { vm.narrow(vm.memory.u32(at)?) } else { vm.wide(vm.memory.u64(at)?) }
    }

    fn constant(&self, vm: &Vm, index: u32) -> Option<Va> {
        let name = vm.first(&["nmethod::_oops_offset", "CodeBlob::_data_offset"])?;
        let table = self.blob.at.offset(vm.u32(self.blob.at, name)?.into());
        vm.wide(vm.memory.u64(table.offset(u64::from(index.checked_sub(1)?) * 8))?)
    }
}
