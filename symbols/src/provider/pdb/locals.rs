//! Parameters and local variables at an address.

use super::PdbProvider;
use super::query::Procedure;
use super::records::{Home as RawHome, Record};
use crate::provider::variable::{Home, Place, RegPart, Variable};
use crate::types::{Type, TypeId, TypeProvider};
use crate::unwind::FrameData;
use dumpscope_core::base::{amd64, arm64, x86};
use dumpscope_core::{Machine, Reg, Rva};

/// CodeView's number of the x86 virtual frame pointer.
const VFRAME: u16 = 30006;
/// Most variables of one function.
const MAX_VARIABLES: usize = 1 << 14;

/// Flags of `S_FRAMEPROC`: the function calls `_alloca`; it has exception handlers of some kind.
const ALLOCA: u32 = 1;
const HANDLERS: u32 = 0x10 | 0x20 | 0x80;

/// Base pointers of a function's frame-relative records, from `S_FRAMEPROC`.
#[derive(Clone, Copy, Debug)]
struct Bases {
    local: Place,
    param: Place,
    /// Bytes of the frame, for telling x64 parameters from locals.
    frame_bytes: u32,
}

const NO_BASE: Place = Place::Unreadable("the PDB does not tell its base pointer");

impl Bases {
    /// The base pointers of the procedure whose records these are. The record may come after the variables.
    fn find(p: &Procedure<'_>, machine: Machine) -> Bases {
        let mut depth = 0usize;
        for (i, raw) in p.module.records(p.piece.record).enumerate() {
            match raw.decode() {
                Record::Proc { .. } if i > 0 => break,
                Record::Proc { .. } | Record::Block { .. } | Record::Inline { .. } => {
                    depth = depth.saturating_add(1);
                }
                Record::End if depth <= 1 => break,
                Record::End => depth = depth.saturating_sub(1),
                Record::FrameProc { frame_bytes, flags, .. } => {
                    let base = |bits: u32| base_place(machine, bits & 3);
                    return Bases { local: base(flags >> 14), param: base(flags >> 16), frame_bytes };
                }
                _ => {}
            }
        }
        Bases { local: NO_BASE, param: NO_BASE, frame_bytes: u32::MAX }
    }
}

/// A base pointer by its two bits in `S_FRAMEPROC`, as a place at offset 0.
fn base_place(machine: Machine, bits: u32) -> Place {
    let reg = |r: Reg| Place::Relative(r, 0);
    match (machine, bits) {
        (Machine::X86, 1) => Place::Frame(0),
        (Machine::X86, 2) => reg(x86::EBP),
        (Machine::X86, 3) => reg(x86::EBX),
        (Machine::Amd64, 1) => reg(amd64::RSP),
        (Machine::Amd64, 2) => reg(amd64::RBP),
        (Machine::Amd64, 3) => reg(amd64::R13),
        (Machine::Arm64, 1) => reg(arm64::SP),
        (Machine::Arm64, 2) => reg(arm64::FP),
        _ => NO_BASE,
    }
}

/// A place at `offset` from a base.
fn shifted(base: Place, offset: i32) -> Place {
    match base {
        Place::Relative(reg, _) => Place::Relative(reg, offset),
        Place::Frame(_) => Place::Frame(offset),
        other => other,
    }
}

impl PdbProvider {
    /// Unwind rules of an x64 function from what its records say of its frame, for dumps that do not hold the image.
    ///
    /// Only of unoptimized code of the simplest form: a fixed frame below the return address, reached through rsp. In
    /// its body rsp stays; parameters, when there are any, must lie right behind the return address.
    pub(super) fn simple_frame(&self, rva: Rva) -> Option<FrameData> {
        let p = self.procedure_at(rva)?;
        let Record::Proc { flags, body, .. } = p.module.record(p.piece.record)?.decode() else { return None };
        let at = p.at.since(p.piece.start)?;
        let in_body = body.0 < body.1 && (body.0..=body.1).contains(&at);
        if p.optimized() || flags & 1 != 0 || !in_body {
            return None;
        }
        let (mut frame, mut first) = (None, None);
        for (i, raw) in p.module.records(p.piece.record).enumerate() {
            match raw.decode() {
                Record::Proc { .. } if i > 0 => break,
                Record::End => break,
                Record::FrameProc { frame_bytes, saved_bytes: 0, flags }
                    if flags & (ALLOCA | HANDLERS) == 0 && flags >> 14 & 3 == 1 =>
                {
                    frame = Some(frame_bytes);
                }
                Record::RegRelative { register, offset, .. }
                    if matches!(self.relative(register, 0), Place::Relative(amd64::RSP, _)) =>
                {
                    let offset = u32::try_from(offset).unwrap_or(0);
                    if frame.is_some_and(|f| offset >= f) {
                        first = first.into_iter().chain(Some(offset)).min();
                    }
                }
                _ => {}
            }
        }
        // The return address lies right above the frame.
        let cfa = frame?.checked_add(8)?;
        if frame? % 8 != 0 || first.is_some_and(|first| first != cfa) {
            return None;
        }
        // Such code saves these only where it needs them, and nothing says whether it did.
        let rules = format!(".cfa: $rsp {cfa} + .ra: .cfa -8 + ^ $rbx: .undef $rsi: .undef $rdi: .undef");
        Some(FrameData::Cfi { rules })
    }

    fn register(&self, number: u16) -> Place {
        RegPart::from_codeview(self.container.machine, number).map_or(
            Place::Unreadable("it is in a register that is not in the frame's registers"),
            Place::Register,
        )
    }

    fn relative(&self, number: u16, offset: i32) -> Place {
        if number == VFRAME && self.container.machine == Machine::X86 {
            return Place::Frame(offset);
        }
        match RegPart::from_codeview(self.container.machine, number) {
            Some(part) if part.shift == 0 => Place::Relative(part.reg, offset),
            _ => Place::Unreadable("its base register is not in the frame's registers"),
        }
    }

    /// The variables in scope at `rva`; `None` when the file tells nothing of the function's variables.
    pub(super) fn variables_at(&self, rva: Rva) -> Option<Vec<Variable>> {
        let p = self.procedure_at(rva)?;
        let machine = self.container.machine;
        let bases = Bases::find(&p, machine);
        let chain = self.sites_at(&p);
        // Index among the inlined calls, innermost first, as `inlines` returns them.
        let site_index = |record: u32| {
            let outer = chain.iter().position(|s| s.record == record)?;
            chain.len().checked_sub(outer)?.checked_sub(1)
        };
        let mut out = Scope { variables: Vec::new(), live: false };
        // Open scopes: `Some` when the address lies in them, with the inlined call they belong to.
        let mut open: Vec<Option<Option<usize>>> = Vec::new();
        for (i, raw) in p.module.records(p.piece.record).enumerate() {
            let record = raw.decode();
            match record {
                Record::Proc { .. } if i == 0 => {
                    open.push(Some(None));
                    continue;
                }
                Record::Proc { .. } => break,
                Record::Block { start, len, .. } => {
                    let inside = p.at.since(start).is_some_and(|d| d < len);
                    let outer = open.last().copied().flatten();
                    open.push(if inside { outer } else { None });
                    continue;
                }
                Record::Inline { .. } => {
                    let outer = open.last().copied().flatten();
                    open.push(outer.and_then(|_| site_index(raw.offset).map(Some)));
                    continue;
                }
                Record::Thunk { .. } | Record::Separate { .. } => {
                    open.push(None);
                    continue;
                }
                Record::End => {
                    open.pop();
                    out.live = false;
                    if open.is_empty() {
                        break;
                    }
                    continue;
                }
                _ => {}
            }
            match open.last().copied().flatten() {
                Some(site) => self.variable_record(&record, &p, &bases, site, &mut out),
                None => out.live = false,
            }
        }
        let mut variables = out.variables;
        if p.optimized() {
            self.settle_old_records(&p, &mut variables);
        }
        Some(variables.into_iter().map(|v| v.0).collect())
    }

    /// Optimized code lists its variables twice: with code ranges, and once more in the old form that claims one
    /// place for the whole function. Only the first form is true everywhere. What has the old form only was
    /// optimized away; on the stack or in a base register such a record can only be a parameter when the function's
    /// type has more parameters than were found.
    fn settle_old_records(&self, p: &Procedure<'_>, variables: &mut Vec<(Variable, bool)>) {
        let ranged: Vec<(String, Option<usize>)> =
            variables.iter().filter(|v| v.1).map(|v| (v.0.name.clone(), v.0.site)).collect();
        variables.retain(|(v, has_ranges)| {
            let is_static = matches!(v.homes.first(), Some(Home { place: Place::Static(_), .. }));
            *has_ranges || is_static || !ranged.iter().any(|(name, site)| *name == v.name && *site == v.site)
        });
        let wanted = match self.function_type_of(p).map(|t| self.get_type(t)) {
            Some(Type::Function { params, .. }) => params.len(),
            _ => 0,
        };
        let count = |list: &[(Variable, bool)]| {
            list.iter().filter(|(v, _)| v.is_param && v.site.is_none() && v.name != "this").count()
        };
        let mut missing = wanted.saturating_sub(count(variables));
        for (v, has_ranges) in variables.iter_mut().filter(|(v, _)| v.site.is_none()) {
            let Some(Home { place, .. }) = v.homes.first().copied() else { continue };
            if *has_ranges || matches!(place, Place::Static(_)) {
                continue;
            }
            if !v.is_param && missing > 0 && !matches!(place, Place::Register(_)) {
                v.is_param = true;
                missing = missing.saturating_sub(1);
            }
            v.homes.clear();
        }
    }

    fn variable_record(
        &self,
        record: &Record<'_>,
        p: &Procedure<'_>,
        bases: &Bases,
        site: Option<usize>,
        out: &mut Scope,
    ) {
        let whole = |place| vec![Home { place, part: None }];
        let x64 = self.container.machine == Machine::Amd64;
        let (name, ty, is_param, homes, ranged) = match *record {
            Record::Local { ty, flags, name } => (name, ty, flags & 1 != 0, Vec::new(), true),
            Record::BpRelative { offset, ty, name } => {
                let base = if x64 { amd64::RBP } else { x86::EBP };
                (name, ty, offset > 0, whole(Place::Relative(base, offset)), false)
            }
            Record::RegRelative { offset, ty, register, name } => {
                let place = self.relative(register, offset);
                let is_param = match place {
                    Place::Frame(o) => o > 0,
                    Place::Relative(r, o) if !x64 && r == x86::EBP => o > 0,
                    // Parameters lie behind the frame and the return address.
                    Place::Relative(r, o) if x64 && r == amd64::RSP => {
                        i64::from(o) >= i64::from(bases.frame_bytes).saturating_add(8)
                    }
                    _ => name == b"this",
                };
                (name, ty, is_param, whole(place), false)
            }
            Record::Register { ty, register, name } => {
                (name, ty, name == b"this", whole(self.register(register)), false)
            }
            Record::Data { ty, place, name, .. } => {
                let Some(rva) = self.container.map.rva(place) else { return };
                (name, ty, false, whole(Place::Static(rva)), false)
            }
            Record::DefRange { home, offset_in_parent, ref range } => {
                if out.live
                    && range.as_ref().is_none_or(|r| r.contains(p.at))
                    && let Some((variable, _)) = out.variables.last_mut()
                {
                    let base = if variable.is_param { bases.param } else { bases.local };
                    let place = match home {
                        RawHome::Register(number) => self.register(number),
                        RawHome::Frame(offset) => shifted(base, offset),
                        RawHome::Relative(number, offset) => self.relative(number, offset),
                        RawHome::Program => Place::Unreadable("its place is a program of an unknown form"),
                    };
                    variable.homes.push(Home { place, part: offset_in_parent });
                }
                return;
            }
            _ => return,
        };
        out.live = ranged;
        if out.variables.len() >= MAX_VARIABLES {
            out.live = false;
            return;
        }
        let ty = TypeId(self.resolve(p.index, ty).unwrap_or(0));
        let name = String::from_utf8_lossy(name).into_owned();
        out.variables.push((Variable { name, ty, is_param, site, homes }, ranged));
    }

    /// The type of the function at `rva`.
    pub(super) fn function_type_at(&self, rva: Rva) -> Option<TypeId> {
        self.function_type_of(&self.procedure_at(rva)?)
    }

    fn function_type_of(&self, p: &Procedure<'_>) -> Option<TypeId> {
        let Record::Proc { ty, by_id, .. } = p.module.record(p.piece.record)?.decode() else { return None };
        let ty = self.resolve(p.index, ty)?;
        let ty = if by_id { self.function_type(ty)? } else { ty };
        matches!(self.get_type(TypeId(ty)), Type::Function { .. }).then_some(TypeId(ty))
    }
}

/// Variables found so far, each with true when its homes come with code ranges; and whether the last one is in
/// scope and takes location records.
struct Scope {
    variables: Vec<(Variable, bool)>,
    live: bool,
}
