//! Entries one after the other, cut into blocks that are packed each for itself.

use crate::words::Part;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

/// Bytes of a block before compression.
pub const BLOCK: usize = 4096;

pub struct Block {
    pub data: Vec<u8>,
    pub first: usize,
    pub ordinal: usize,
}

/// Entries one after the other, cut into blocks.
#[derive(Default)]
pub struct Blocks {
    pub all: Vec<Block>,
    pub now: Vec<u8>,
    pub first: usize,
    pub ordinal: usize,
    pub count: usize,
    pub previous: Vec<Part>,
    pub is_new: bool,
    pub limit: usize,
}

impl Blocks {
    /// True when the next entry is the first of a block.
    pub fn starts_anew(&mut self) -> bool {
        if self.now.len() >= self.limit.max(BLOCK) {
            self.cut();
        }
        self.is_new = self.now.is_empty();
        if self.is_new {
            self.previous.clear();
        }
        self.is_new
    }

    pub fn cut(&mut self) {
        if !self.now.is_empty() {
            let data = std::mem::take(&mut self.now);
            self.all.push(Block { data, first: self.first, ordinal: self.ordinal });
        }
    }

    pub fn push(&mut self, entry: &[u8], key: usize) {
        if self.now.is_empty() {
            (self.first, self.ordinal) = (key, self.count);
        }
        self.now.extend_from_slice(entry);
        self.count += 1;
    }

    pub fn done(mut self) -> Vec<Block> {
        self.cut();
        self.all
    }
}

pub fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(10));
    encoder.write_all(data).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// 16 bits of each name's hash (FNV-1a, folded), for saying no without unpacking.
pub fn prints<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Vec::new();
    for n in names {
        let mut h = 0x811c_9dc5u32;
        for b in n.bytes() {
            h = (h ^ u32::from(b)).wrapping_mul(0x0100_0193);
        }
        out.extend(((h >> 16) as u16 ^ h as u16).to_le_bytes());
    }
    out
}
