//! ARM64 instructions in the data flow's form, from their encodings (Arm Architecture Reference Manual, "A64
//! instruction set encoding").
//!
//! Moves, address sums, loads and stores of general registers, branches and calls are spelled out; of the rest the
//! destination register is made unknown.

use super::ir::{Callee, Effect, Flow, Insn, Mem, Val};

/// The number that is the stack pointer as a base and the zero register elsewhere.
const ZR: u8 = 31;

/// The instruction in the first four bytes.
pub(super) fn decode(at: u64, bytes: &[u8]) -> Option<Insn> {
    let word = u32::from_le_bytes(*bytes.first_chunk()?);
    let mut insn = Insn { at, len: 4, effects: Vec::new(), reads: 0, flow: Flow::Next };
    if word == 0 {
        return None;
    }
    if !branch(word, at, &mut insn) {
        body(word, at, &mut insn);
    }
    Some(insn)
}

fn field(word: u32, low: u32, bits: u32) -> u32 {
    word >> low & ((1 << bits) - 1)
}

fn reg(word: u32, low: u32) -> u8 {
    (word >> low & 31) as u8
}

/// Sign-extends the low `bits`.
fn signed(value: u32, bits: u32) -> i64 {
    let shift = 64 - bits;
    (i64::from(value) << shift) >> shift
}

fn branch(w: u32, at: u64, insn: &mut Insn) -> bool {
    let to = |value: u32, bits: u32| at.wrapping_add_signed(signed(value, bits).wrapping_mul(4));
    insn.flow = match w {
        _ if w & 0xfc00_0000 == 0x1400_0000 => Flow::Jump(to(field(w, 0, 26), 26)),
        _ if w & 0xfc00_0000 == 0x9400_0000 => Flow::Call(Callee::Direct(to(field(w, 0, 26), 26))),
        _ if w & 0xff00_0010 == 0x5400_0000 => Flow::Branch(to(field(w, 5, 19), 19)),
        _ if w & 0x7e00_0000 == 0x3400_0000 => Flow::Branch(to(field(w, 5, 19), 19)),
        _ if w & 0x7e00_0000 == 0x3600_0000 => Flow::Branch(to(field(w, 5, 14), 14)),
        // blr, with its authenticating forms.
        _ if w & 0xfeff_f000 == 0xd63f_0000 => Flow::Call(Callee::Through(Val::Reg(reg(w, 5), 0))),
        _ if w & 0xfeff_f000 == 0xd65f_0000 => Flow::Return(0),
        _ if w & 0xfe00_0000 == 0xd600_0000 => Flow::Indirect(Val::Reg(reg(w, 5), 0)),
        _ if w & 0xffe0_001f == 0xd400_0001 => Flow::System,
        _ if w & 0xff00_0000 == 0xd400_0000 => Flow::Stop,
        _ => return false,
    };
    if w & 0x7e00_0000 == 0x3400_0000 || w & 0x7e00_0000 == 0x3600_0000 {
        read(insn, reg(w, 0));
    }
    true
}

fn read(insn: &mut Insn, reg: u8) {
    if reg != ZR {
        insn.reads |= 1 << reg;
    }
}

fn set(insn: &mut Insn, reg: u8, val: Val, wide: bool) {
    let bytes = if wide { 8 } else { 4 };
    insn.effects.push(Effect::Set { reg, val, bytes, rest_zero: !wide });
}

fn body(w: u32, at: u64, insn: &mut Insn) {
    let wide = w >> 31 == 1;
    let (rd, rn, rm) = (reg(w, 0), reg(w, 5), reg(w, 16));
    // add, sub (immediate): both registers may be the stack pointer. The forms that set flags (cmp) write no sp.
    if w & 0x1f80_0000 == 0x1100_0000 {
        let shift = if w >> 22 & 1 == 1 { 12 } else { 0 };
        let by = i64::from(field(w, 10, 12)) << shift;
        let by = if w >> 30 & 1 == 1 { -by } else { by };
        if rn != ZR && by != 0 || w >> 29 & 1 == 1 {
            read(insn, rn);
        }
        if w >> 29 & 1 == 0 || rd != ZR {
            set(insn, rd, Val::Reg(rn, by), wide);
        }
    // orr (shifted register) with the zero register and no shift: mov.
    } else if w & 0x7fe0_ffe0 == 0x2a00_03e0 {
        if rm == ZR {
            set_unless_zero(insn, rd, Val::Const(0), wide);
        } else {
            read(insn, rm);
            set_unless_zero(insn, rd, Val::Reg(rm, 0), wide);
        }
    // movn, movz, movk.
    } else if w & 0x1f80_0000 == 0x1280_0000 {
        let value = u64::from(field(w, 5, 16)) << (field(w, 21, 2) * 16);
        let val = match field(w, 29, 2) {
            0 => Val::Const(if wide { !value } else { !value & 0xffff_ffff }),
            2 => Val::Const(value),
            _ => Val::Unknown,
        };
        set_unless_zero(insn, rd, val, wide);
    // adr, adrp.
    } else if w & 0x1f00_0000 == 0x1000_0000 {
        let imm = signed(field(w, 5, 19) << 2 | field(w, 29, 2), 21);
        let value = if wide {
            (at & !0xfff).wrapping_add_signed(imm.wrapping_shl(12))
        } else {
            at.wrapping_add_signed(imm)
        };
        set_unless_zero(insn, rd, Val::Const(value), true);
    } else if w & 0x3b00_0000 == 0x1800_0000 {
        // ldr (literal); the vector form has bit 26.
        if w >> 26 & 1 == 0 {
            let near = at.wrapping_add_signed(signed(field(w, 5, 19), 19).wrapping_mul(4));
            let mem = Mem { base: None, disp: near.cast_signed(), fuzzy: false };
            set_unless_zero(insn, rd, Val::Load(mem), field(w, 30, 2) == 1);
        }
    } else if w & 0x3a00_0000 == 0x2800_0000 {
        pair(w, insn);
    } else if w & 0x3a00_0000 == 0x3800_0000 {
        single(w, insn);
    } else if w & 0x3f00_0000 == 0x0800_0000 {
        // Exclusive and ordered accesses: status, data registers, memory.
        for r in [rm, rd, reg(w, 10)] {
            set_unless_zero(insn, r, Val::Unknown, true);
        }
        let at = Mem { base: Some(rn), disp: 0, fuzzy: true };
        insn.effects.push(Effect::Store { at, val: Val::Unknown, bytes: 16 });
    } else if w & 0x1c00_0000 == 0x1000_0000 || w & 0x0e00_0000 == 0x0a00_0000 {
        // Other data processing, immediate or register.
        read(insn, rn);
        if w & 0x0e00_0000 == 0x0a00_0000 {
            read(insn, rm);
        }
        if w >> 29 & 3 == 0 || rd != ZR {
            set_unless_zero(insn, rd, Val::Unknown, true);
        }
        // and, orr, eor (immediate) and add, sub (extended register) may write the stack pointer.
        let logical = w & 0x1f80_0000 == 0x1200_0000 && w >> 29 & 3 != 3;
        let extended = w & 0x1fe0_0000 == 0x0b20_0000 && w >> 29 & 1 == 0;
        if rd == ZR && (logical || extended) {
            set(insn, ZR, Val::Unknown, true);
        }
    } else if w & 0x1e00_0000 == 0x1e00_0000 && w & 0x0000_fc00 == 0 && w >> 21 & 1 == 1 {
        // Vector to general register: fmov, fcvtzs …
        set_unless_zero(insn, rd, Val::Unknown, true);
    } else if w & 0x9f20_0c00 == 0x0e00_0c00 || w & 0x9fe0_8400 == 0x0e00_0400 {
        // umov, smov.
        set_unless_zero(insn, rd, Val::Unknown, true);
    } else if w & 0xfff0_0000 == 0xd530_0000 {
        // mrs.
        set_unless_zero(insn, rd, Val::Unknown, true);
    }
}

fn set_unless_zero(insn: &mut Insn, reg: u8, val: Val, wide: bool) {
    if reg != ZR {
        set(insn, reg, val, wide);
    }
}

/// ldp, stp and their forms with write-back.
fn pair(w: u32, insn: &mut Insn) {
    let (vector, load) = (w >> 26 & 1 == 1, w >> 22 & 1 == 1);
    let opc = field(w, 30, 2);
    let size = match (vector, opc) {
        (false, 0 | 1) => 4,
        (false, _) => 8,
        (true, n) => 4i64 << n.min(2),
    };
    let offset = signed(field(w, 15, 7), 7).wrapping_mul(size);
    let (post, write_back) = (field(w, 23, 2) == 1, field(w, 23, 2) & 1 == 1);
    let base = reg(w, 5);
    let pre = write_back && !post;
    if pre {
        insn.effects.push(Effect::Set { reg: base, val: Val::Reg(base, offset), bytes: 8, rest_zero: false });
    }
    let disp = if write_back { 0 } else { offset };
    for (n, r) in [(0, reg(w, 0)), (1, reg(w, 10))] {
        let at = Mem { base: Some(base), disp: disp.wrapping_add(size.wrapping_mul(n)), fuzzy: false };
        access(insn, r, at, (size, load, vector));
    }
    if post {
        insn.effects.push(Effect::Set { reg: base, val: Val::Reg(base, offset), bytes: 8, rest_zero: false });
    }
}

/// ldr, str and their forms.
fn single(w: u32, insn: &mut Insn) {
    let vector = w >> 26 & 1 == 1;
    let (size_bits, opc) = (field(w, 30, 2), field(w, 22, 2));
    let scale = if vector && opc >= 2 { 4 } else { size_bits };
    let size = 1i64 << scale;
    let load = if vector { opc & 1 == 1 } else { opc != 0 };
    // prfm
    if !vector && size_bits == 3 && opc >= 2 {
        return;
    }
    let base = reg(w, 5);
    let (disp, fuzzy, write_back) = if w >> 24 & 1 == 1 {
        (i64::from(field(w, 10, 12)).wrapping_mul(size), false, None)
    } else if w >> 21 & 1 == 1 {
        (0, true, None)
    } else {
        let by = signed(field(w, 12, 9), 9);
        match field(w, 10, 2) {
            1 => (0, false, Some((by, false))),
            3 => (0, false, Some((by, true))),
            _ => (by, false, None),
        }
    };
    let move_base = |by: i64| Effect::Set { reg: base, val: Val::Reg(base, by), bytes: 8, rest_zero: false };
    if let Some((by, true)) = write_back {
        insn.effects.push(move_base(by));
    }
    let signed_load = !vector && opc >= 2;
    let at = Mem { base: Some(base), disp, fuzzy };
    if signed_load && load {
        // The bytes above are copies of the sign.
        let r = reg(w, 0);
        if r != ZR {
            let bytes = u8::try_from(size).unwrap_or(8);
            insn.effects.push(Effect::Set { reg: r, val: Val::Load(at), bytes, rest_zero: false });
        }
    } else {
        access(insn, reg(w, 0), at, (size, load, vector));
    }
    if let Some((by, false)) = write_back {
        insn.effects.push(move_base(by));
    }
}

fn access(insn: &mut Insn, r: u8, at: Mem, (size, load, vector): (i64, bool, bool)) {
    if let Some(base) = at.base.filter(|b| *b != ZR) {
        read(insn, base);
    }
    let bytes = u8::try_from(size.min(8)).unwrap_or(8);
    match (load, vector) {
        (true, true) => {}
        (true, false) if r == ZR => {}
        (true, false) => {
            insn.effects.push(Effect::Set { reg: r, val: Val::Load(at), bytes, rest_zero: bytes < 8 });
        }
        (false, _) => {
            let val = match (vector, r) {
                (true, _) => Val::Unknown,
                (false, ZR) => Val::Const(0),
                (false, r) => Val::Reg(r, 0),
            };
            let bytes = u16::try_from(size).unwrap_or(16);
            insn.effects.push(Effect::Store { at, val, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lift(word: u32) -> Insn {
        decode(0x1000, &word.to_le_bytes()).unwrap()
    }

    #[test]
    fn prologues() {
        // stp fp, lr, [sp, #-0x10]!
        let i = lift(0xa9bf_7bfd);
        let at = |disp| Mem { base: Some(31), disp, fuzzy: false };
        assert_eq!(
            i.effects,
            [
                Effect::Set { reg: 31, val: Val::Reg(31, -16), bytes: 8, rest_zero: false },
                Effect::Store { at: at(0), val: Val::Reg(29, 0), bytes: 8 },
                Effect::Store { at: at(8), val: Val::Reg(30, 0), bytes: 8 },
            ]
        );
        // mov fp, sp; mov x19, x0; str x0, [sp, #0x18]
        assert_eq!(
            lift(0x9100_03fd).effects,
            [Effect::Set { reg: 29, val: Val::Reg(31, 0), bytes: 8, rest_zero: false }]
        );
        assert_eq!(
            lift(0xaa00_03f3).effects,
            [Effect::Set { reg: 19, val: Val::Reg(0, 0), bytes: 8, rest_zero: false }]
        );
        assert_eq!(
            lift(0xf900_0fe0).effects,
            [Effect::Store { at: at(0x18), val: Val::Reg(0, 0), bytes: 8 }]
        );
        // mov w1, #5; mov w2, #-1
        assert_eq!(
            lift(0x5280_00a1).effects,
            [Effect::Set { reg: 1, val: Val::Const(5), bytes: 4, rest_zero: true }]
        );
        assert_eq!(
            lift(0x1280_0002).effects,
            [Effect::Set { reg: 2, val: Val::Const(0xffff_ffff), bytes: 4, rest_zero: true }]
        );
    }

    #[test]
    fn flows() {
        assert_eq!(lift(0x9400_0010).flow, Flow::Call(Callee::Direct(0x1040)));
        assert_eq!(lift(0xd65f_03c0).flow, Flow::Return(0));
        assert_eq!(lift(0xd63f_0100).flow, Flow::Call(Callee::Through(Val::Reg(8, 0))));
        assert_eq!(lift(0x5400_0041).flow, Flow::Branch(0x1008));
        assert_eq!(lift(0xd400_0081).flow, Flow::System);
        assert_eq!(lift(0xd61f_0100).flow, Flow::Indirect(Val::Reg(8, 0)));
    }
}
