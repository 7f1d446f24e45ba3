//! Memory and modules made by hand, for the unit tests of this folder.

use super::{DynamicFunction, FrameData, UnwindContext, UnwindRule};
use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{ReadMemory, Va};
use std::collections::BTreeMap;

/// Sparse memory.
#[derive(Debug, Default, Clone)]
pub(crate) struct TestMemory(BTreeMap<u64, u8>);

impl TestMemory {
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (i, b) in bytes.iter().enumerate() {
            self.0.insert(at + i as u64, *b);
        }
    }

    pub(crate) fn put32(&mut self, at: u64, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    pub(crate) fn put64(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    /// A PE32+ (or PE32) header with one executable section and an exception directory.
    pub(crate) fn put_image(&mut self, base: u64, machine: u16, code: (u32, u32), pdata: (u32, u32)) {
        self.put(base, b"MZ");
        self.put32(base + 0x3c, 0x80);
        let nt = base + 0x80;
        self.put32(nt, 0x4550);
        self.put(nt + 4, &machine.to_le_bytes());
        self.put(nt + 6, &1u16.to_le_bytes());
        self.put(nt + 20, &0xf0u16.to_le_bytes());
        let optional = nt + 24;
        let wide = machine != 0x14c;
        self.put(optional, &(if wide { 0x20bu16 } else { 0x10b }).to_le_bytes());
        let count_at = optional + if wide { 108 } else { 92 };
        self.put32(count_at, 16);
        self.put32(count_at + 4 + 24, pdata.0);
        self.put32(count_at + 4 + 28, pdata.1);
        let section = optional + 0xf0;
        self.put(section, b".text\0\0\0");
        self.put32(section + 8, code.1);
        self.put32(section + 12, code.0);
        self.put32(section + 36, 0x6000_0020);
    }
}

impl ReadMemory for TestMemory {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut got = 0;
        for (i, slot) in buf.iter_mut().enumerate() {
            let Some(b) = va.0.checked_add(i as u64).and_then(|a| self.0.get(&a)) else { break };
            *slot = *b;
            got += 1;
        }
        Read { got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        self.0.range(va.0..).next().map(|(a, _)| Va(*a))
    }
}

/// Modules and frame data by address.
#[derive(Debug, Default)]
pub(crate) struct TestContext {
    pub(crate) modules: Vec<(u64, u32)>,
    pub(crate) frame_data: Vec<(std::ops::Range<u64>, FrameData)>,
    pub(crate) dynamic: Vec<DynamicFunction>,
    /// Starts of functions.
    pub(crate) starts: Vec<u64>,
}

impl UnwindContext for TestContext {
    fn module_at(&self, va: Va) -> Option<(Va, u32)> {
        let (base, size) =
            self.modules.iter().find(|(b, s)| va.0.checked_sub(*b).is_some_and(|d| d < u64::from(*s)))?;
        Some((Va(*base), *size))
    }

    fn frame_data(&self, va: Va) -> Option<FrameData> {
        self.frame_data.iter().find(|(r, _)| r.contains(&va.0)).map(|(_, d)| d.clone())
    }

    fn function_start(&self, va: Va) -> Option<Va> {
        self.starts.iter().copied().filter(|s| *s <= va.0).max().map(Va)
    }

    fn dynamic_rule(&self, va: Va) -> Option<UnwindRule> {
        let holds = |d: &&DynamicFunction| va.rva(d.base).is_some_and(|rva| rva >= d.begin && rva < d.end);
        self.dynamic.iter().find(holds).copied().map(UnwindRule::Codes)
    }
}
