//! Numbers as bytes.

pub fn varint(mut v: u64, out: &mut Vec<u8>) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Small numbers of both signs become small ones.
pub fn signed(v: i64, out: &mut Vec<u8>) {
    varint(((v << 1) ^ (v >> 63)).cast_unsigned(), out);
}

pub fn u16(v: usize, out: &mut Vec<u8>) {
    out.extend(u16::try_from(v).expect("fits 16 bits").to_le_bytes());
}

pub fn u32(v: usize, out: &mut Vec<u8>) {
    out.extend(u32::try_from(v).expect("fits 32 bits").to_le_bytes());
}
