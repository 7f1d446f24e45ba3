//! Images made by hand, for tests.

use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{ReadMemory, Va};

/// Blocks of bytes at addresses.
#[derive(Debug)]
pub(crate) struct Memory {
    blocks: Vec<(Va, Vec<u8>)>,
}

impl Memory {
    pub(crate) fn new(blocks: Vec<(Va, Vec<u8>)>) -> Memory {
        Memory { blocks }
    }
}

impl ReadMemory for Memory {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut got = 0;
        for (start, bytes) in &self.blocks {
            let Some(at) = va.distance_from(*start).and_then(|d| usize::try_from(d).ok()) else { continue };
            if let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
                got = rest.len().min(buf.len());
                buf[..got].copy_from_slice(&rest[..got]);
                break;
            }
        }
        Read { got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        self.blocks.iter().filter(|(s, b)| va < s.offset(b.len() as u64)).map(|(s, _)| va.max(*s)).min()
    }
}

/// Builds an image of 0x6000 bytes in memory layout: `.text` at 0x1000, `.rdata` at 0x2000 (empty), `.data` at
/// 0x3000, `.edata` at 0x4000.
#[derive(Debug)]
pub(crate) struct ImageBuilder {
    plus: bool,
    exports: Vec<(String, u32)>,
}

impl ImageBuilder {
    /// PE32+ (x64) or PE32 (x86).
    pub(crate) fn new(plus: bool) -> ImageBuilder {
        ImageBuilder { plus, exports: Vec::new() }
    }

    /// Adds an export; an empty name makes it one by ordinal.
    pub(crate) fn export(mut self, name: &str, rva: u32) -> ImageBuilder {
        self.exports.push((name.into(), rva));
        self
    }

    /// The image.
    pub(crate) fn build(self) -> Vec<u8> {
        let mut b = vec![0u8; 0x6000];
        let put = |b: &mut Vec<u8>, at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
        let put32 = |b: &mut Vec<u8>, at: usize, v: u32| put(b, at, &v.to_le_bytes());
        put(&mut b, 0, b"MZ");
        put32(&mut b, 0x3c, 0x80);
        put(&mut b, 0x80, b"PE\0\0");
        let (machine, magic, size) =
            if self.plus { (0x8664u16, 0x20bu16, 240u16) } else { (0x14c, 0x10b, 224) };
        put(&mut b, 0x84, &machine.to_le_bytes());
        put(&mut b, 0x86, &4u16.to_le_bytes());
        put32(&mut b, 0x88, 0x5f00_0001);
        put(&mut b, 0x94, &size.to_le_bytes());
        let opt = 0x98;
        put(&mut b, opt, &magic.to_le_bytes());
        put32(&mut b, opt + 56, 0x6000);
        put32(&mut b, opt + 60, 0x400);
        let count = opt + if self.plus { 108 } else { 92 };
        put32(&mut b, count, 16);
        let sections = opt + usize::from(size);
        let table = [
            (".text", 0x1000u32, 0x6000_0020u32),
            (".rdata", 0x2000, 0x4000_0040),
            (".data", 0x3000, 0xc000_0040),
            (".edata", 0x4000, 0x4000_0040),
        ];
        for (i, (name, rva, flags)) in table.into_iter().enumerate() {
            let at = sections + i * 40;
            put(&mut b, at, name.as_bytes());
            put32(&mut b, at + 8, 0x1000);
            put32(&mut b, at + 12, rva);
            put32(&mut b, at + 16, 0x1000);
            put32(&mut b, at + 20, rva);
            put32(&mut b, at + 36, flags);
        }
        let n = self.exports.len() as u32;
        let named: Vec<_> = self.exports.iter().enumerate().filter(|(_, e)| !e.0.is_empty()).collect();
        let (dir, functions) = (0x4000usize, 0x4028u32);
        let names = functions + n * 4;
        let ordinals = names + named.len() as u32 * 4;
        let mut text = ordinals + named.len() as u32 * 2;
        put32(&mut b, dir + 16, 1);
        put32(&mut b, dir + 20, n);
        put32(&mut b, dir + 24, named.len() as u32);
        put32(&mut b, dir + 28, functions);
        put32(&mut b, dir + 32, names);
        put32(&mut b, dir + 36, ordinals);
        for (i, (_, rva)) in self.exports.iter().enumerate() {
            put32(&mut b, functions as usize + i * 4, *rva);
        }
        for (k, (i, (name, _))) in named.into_iter().enumerate() {
            put32(&mut b, names as usize + k * 4, text);
            put(&mut b, ordinals as usize + k * 2, &(i as u16).to_le_bytes());
            put(&mut b, text as usize, name.as_bytes());
            text += name.len() as u32 + 1;
        }
        put32(&mut b, count + 4, 0x4000);
        put32(&mut b, count + 8, text - 0x4000);
        b
    }
}
