//! ARM64, by yaxpeax-arm, rewritten in WinDbg's manner: `ldr         x8,[sp,#0x10]`.

use super::instruction::{Instruction, Piece, Target, named};
use dumpscope_analyzers::Target as DumpTarget;
use dumpscope_core::Va;
use std::sync::Arc;
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

pub(super) fn decode(target: &Arc<DumpTarget>, va: Va, bytes: [u8; 4]) -> Instruction {
    let word = u32::from_le_bytes(bytes);
    let decoded = InstDecoder::default().decode(&mut U8Reader::new(&bytes)).ok();
    let text = decoded.map(|i| i.to_string());
    let valid = text.is_some();
    let (leads, place) = leads_to(word, va);
    let text = text.unwrap_or_else(|| "???".to_owned());
    Instruction {
        address: va,
        bytes: bytes.to_vec(),
        valid,
        text: rewrite(&text, place.map(|p| named(target, p, true))),
        target: if valid { leads } else { Target::Next },
        from_image: false,
        is_word: true,
    }
}

/// Sign-extends the low `bits` of a field.
fn signed(field: u32, bits: u32) -> u64 {
    let shift = 64 - bits;
    ((u64::from(field) << shift) as i64 >> shift) as u64
}

/// Where the instruction leads, and the address that it names. Encodings: Arm Architecture Reference Manual, "Branches,
/// exception generating and system instructions", "PC-rel. addressing", "Load register (literal)".
fn leads_to(word: u32, va: Va) -> (Target, Option<Va>) {
    let words = |field: u32, bits: u32| va.offset(signed(field, bits).wrapping_mul(4));
    let near = words(word & 0x03ff_ffff, 26);
    let near19 = words(word >> 5 & 0x7_ffff, 19);
    let near14 = words(word >> 5 & 0x3fff, 14);
    match word {
        w if w & 0xfc00_0000 == 0x1400_0000 => (Target::Jump(near), Some(near)),
        w if w & 0xfc00_0000 == 0x9400_0000 => (Target::Call(Some(near)), Some(near)),
        // b.cond; al and nv (14, 15) always branch, but compilers do not emit them.
        w if w & 0xff00_0000 == 0x5400_0000 => (Target::Branch(near19), Some(near19)),
        w if w & 0x7e00_0000 == 0x3400_0000 => (Target::Branch(near19), Some(near19)),
        w if w & 0x7e00_0000 == 0x3600_0000 => (Target::Branch(near14), Some(near14)),
        // br, ret, eret and their authenticating forms; blr.
        w if w & 0xfe00_0000 == 0xd600_0000 => match w >> 21 & 0xf {
            1 | 9 => (Target::Call(None), None),
            _ => (Target::Away, None),
        },
        // adr, adrp: imm is bits 23..5 and, low, 30..29.
        w if w & 0x1f00_0000 == 0x1000_0000 => {
            let imm = signed((w >> 5 & 0x7_ffff) << 2 | (w >> 29 & 3), 21);
            let place =
                if w >> 31 == 1 { Va(va.0 & !0xfff).offset(imm.wrapping_shl(12)) } else { va.offset(imm) };
            (Target::Next, Some(place))
        }
        w if w & 0x3b00_0000 == 0x1800_0000 => (Target::Next, Some(near19)),
        // brk, hlt.
        w if w & 0xffe0_001f == 0xd420_0000 || w & 0xffe0_001f == 0xd440_0000 => (Target::Away, None),
        _ => (Target::Next, None),
    }
}

fn rewrite(text: &str, place: Option<String>) -> Vec<(Piece, String)> {
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((text, ""));
    // `b.ne` is `bne`.
    let mnemonic = mnemonic.strip_prefix("b.").map_or(mnemonic.to_owned(), |cc| format!("b{cc}"));
    if operands.is_empty() {
        return vec![(Piece::Mnemonic, mnemonic)];
    }
    let mut out = vec![(Piece::Mnemonic, format!("{mnemonic:<11} "))];
    let mut rest = operands;
    while !rest.is_empty() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$' | '+' | '#' | '-');
        let word_len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let len = word_len.max(rest.chars().next().map_or(1, char::len_utf8));
        let word = rest.get(..len).unwrap_or("");
        let (piece, shown) = match word {
            " " => (Piece::Other, ""),
            w if w.starts_with('$') => (Piece::Symbol, place.as_deref().unwrap_or(w)),
            w if w.starts_with('#') => (Piece::Number, w),
            "x16" => (Piece::Register, "xip0"),
            "x17" => (Piece::Register, "xip1"),
            "x29" => (Piece::Register, "fp"),
            "x30" => (Piece::Register, "lr"),
            w if word_len > 0 => (Piece::Register, w),
            w => (Piece::Other, w),
        };
        if !shown.is_empty() {
            out.push((piece, shown.to_owned()));
        }
        rest = rest.get(len..).unwrap_or("");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: u32, place: Option<&str>) -> String {
        let decoded =
            InstDecoder::default().decode(&mut U8Reader::new(&word.to_le_bytes())).unwrap().to_string();
        rewrite(&decoded, place.map(str::to_owned)).into_iter().map(|(_, t)| t).collect()
    }

    #[test]
    fn windbgs_manner() {
        assert_eq!(text(0xa9bf_7bfd, None), "stp         fp,lr,[sp,#-0x10]!");
        assert_eq!(text(0x9100_03fd, None), "mov         fp,sp");
        assert_eq!(text(0xd65f_03c0, None), "ret");
        assert_eq!(text(0xf940_13f0, None), "ldr         xip0,[sp,#0x20]");
        assert_eq!(text(0x9400_0010, Some("app!f (1)")), "bl          app!f (1)");
        assert_eq!(text(0x5400_0041, Some("app!f+0x8 (1)")), "bne         app!f+0x8 (1)");
    }

    #[test]
    fn targets() {
        let at = Va(0x1_0000);
        assert_eq!(leads_to(0x9400_0010, at).0, Target::Call(Some(Va(0x1_0040))));
        assert_eq!(leads_to(0x17ff_ffff, at).0, Target::Jump(Va(0xfffc)));
        assert_eq!(leads_to(0x5400_0041, at).0, Target::Branch(Va(0x1_0008)));
        assert_eq!(leads_to(0xb400_0040, at).0, Target::Branch(Va(0x1_0008)));
        assert_eq!(leads_to(0x3700_0040, at).0, Target::Branch(Va(0x1_0008)));
        assert_eq!(leads_to(0xd65f_03c0, at).0, Target::Away);
        assert_eq!(leads_to(0xd63f_0100, at).0, Target::Call(None));
        // adrp x8, +0x1000; adr x0, +4
        assert_eq!(leads_to(0xb000_0008, Va(0x1_0123)).1, Some(Va(0x1_1000)));
        assert_eq!(leads_to(0x1000_0020, at).1, Some(Va(0x1_0004)));
    }
}
