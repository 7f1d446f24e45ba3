//! Language runtimes in a memory in which every pointer leads somewhere.

use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{Machine, ModuleInfo, ReadMemory, Reg, RegSet, Tid, Va};
use dumpscope_runtimes::{NativeThread, Process, Reader, Walked, find};
use dumpscope_symbols::unwind::{UnwindContext, UnwindRule, walk};
use dumpscope_symbols::{Frame, Limits};
use std::sync::Arc;

/// Where the runtime's image lies; all of the memory is behind it.
const BASE: u64 = 0x1_0000;
/// Bytes of the image.
const IMAGE: usize = 0x1000;
/// Bytes of the memory.
const SIZE: u64 = 1 << 20;

/// The image, then the input again and again.
struct Everywhere {
    image: Vec<u8>,
    input: Vec<u8>,
}

impl ReadMemory for Everywhere {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut got = 0;
        for (i, slot) in buf.iter_mut().enumerate() {
            let Some(at) = va.0.wrapping_add(i as u64).checked_sub(BASE).filter(|at| *at < SIZE) else {
                break;
            };
            let at = at as usize;
            *slot = match self.image.get(at) {
                Some(byte) => *byte,
                None if self.input.is_empty() => 0,
                None => self.input[(at - self.image.len()) % self.input.len()],
            };
            got += 1;
        }
        Read { got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        (va.0 < BASE + SIZE).then_some(Va(va.0.max(BASE)))
    }
}

/// A PE image that exports these names, sorted, at these RVAs.
fn image(names: &[(&str, u32)], machine: Machine) -> Vec<u8> {
    let wide = machine == Machine::Amd64;
    let mut out = vec![0u8; IMAGE];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &(if wide { 0x8664u16 } else { 0x14c }).to_le_bytes());
    put(0x94, &(if wide { 0xf0u16 } else { 0xe0 }).to_le_bytes());
    put(0x98, &(if wide { 0x20bu16 } else { 0x10b }).to_le_bytes());
    put(0x98 + 56, &(SIZE as u32).to_le_bytes());
    let tables = if wide { 108 } else { 92 };
    put(0x98 + tables, &16u32.to_le_bytes());
    // Export directory at 0x200: functions, names, ordinals, then the texts.
    put(0x98 + tables + 4, &0x200u32.to_le_bytes());
    put(0x98 + tables + 8, &0x28u32.to_le_bytes());
    let count = names.len() as u32;
    for (at, value) in [(20, count), (24, count), (28, 0x240), (32, 0x300), (36, 0x3c0)] {
        put(0x200 + at, &value.to_le_bytes());
    }
    let mut text = 0x440;
    for (i, (name, rva)) in names.iter().enumerate() {
        put(0x240 + i * 4, &rva.to_le_bytes());
        put(0x300 + i * 4, &(text as u32).to_le_bytes());
        put(0x3c0 + i * 2, &(i as u16).to_le_bytes());
        put(text, name.as_bytes());
        text += name.len() + 1;
    }
    out
}

/// .NET: by these names it is recognised.
const DOTNET: &[(&str, u32)] = &[("DotNetRuntimeContractDescriptor", 0x1000), ("g_dacTable", 0x2000)];

/// Ruby's.
const RUBY: &[(&str, u32)] = &[
    ("ruby_current_ec_key", 0x1000),
    ("ruby_current_vm_ptr", 0x1008),
    ("ruby_description", 0x1010),
    ("ruby_global_symbols", 0x1018),
    ("ruby_version", 0x1040),
];

/// HotSpot's: the value of each is a word of the input, in this order.
const JAVA: &[&str] = &[
    "gHotSpotVMIntConstantEntryArrayStride",
    "gHotSpotVMIntConstantEntryNameOffset",
    "gHotSpotVMIntConstantEntryValueOffset",
    "gHotSpotVMIntConstants",
    "gHotSpotVMLongConstantEntryArrayStride",
    "gHotSpotVMLongConstantEntryNameOffset",
    "gHotSpotVMLongConstantEntryValueOffset",
    "gHotSpotVMLongConstants",
    "gHotSpotVMStructEntryAddressOffset",
    "gHotSpotVMStructEntryArrayStride",
    "gHotSpotVMStructEntryFieldNameOffset",
    "gHotSpotVMStructEntryIsStaticOffset",
    "gHotSpotVMStructEntryOffsetOffset",
    "gHotSpotVMStructEntryTypeNameOffset",
    "gHotSpotVMStructEntryTypeStringOffset",
    "gHotSpotVMStructs",
    "gHotSpotVMTypeEntryArrayStride",
    "gHotSpotVMTypeEntrySizeOffset",
    "gHotSpotVMTypeEntryTypeNameOffset",
    "gHotSpotVMTypes",
];

struct Context<'a>(&'a [Arc<dyn Reader>]);

impl UnwindContext for Context<'_> {
    fn module_at(&self, _va: Va) -> Option<(Va, u32)> {
        None
    }

    fn dynamic_rule(&self, va: Va) -> Option<UnwindRule> {
        self.0.iter().find_map(|r| r.code()?.rule_at(va))
    }
}

/// Reads all that .NET says.
pub fn runtimes(data: &[u8]) {
    let Some((version, input)) = data.split_first() else { return };
    let version = [u16::from(version % 4) + 8, 0, 100, 0];
    ask(input, "coreclr", version, image(DOTNET, Machine::Amd64), Machine::Amd64);
}

/// Reads all that Ruby says; the first byte is the version, its highest bit the width.
pub fn runtimes_ruby(data: &[u8]) {
    let Some((first, input)) = data.split_first() else { return };
    let machine = if first & 0x80 == 0 { Machine::Amd64 } else { Machine::X86 };
    let mut image = image(RUBY, machine);
    // The version that the image exports; the rest of the input lies behind it.
    let (major, minor) =
        [(2, 4), (2, 5), (2, 7), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)][usize::from(first % 8)];
    image.extend_from_slice(input.get(..0x40).unwrap_or_default());
    image.resize(IMAGE + 0x40, 0);
    image.extend_from_slice(format!("{major}.{minor}.0\0").as_bytes());
    ask(input, "x64-msvcrt-ruby310", [0; 4], image, machine);
}

/// Reads all that HotSpot says.
pub fn runtimes_java(data: &[u8]) {
    let names: Vec<(&str, u32)> =
        JAVA.iter().zip((0x1000u32..).step_by(8)).map(|(n, rva)| (*n, rva)).collect();
    ask(data, "jvm", [25, 0, 0, 0], image(&names, Machine::Amd64), Machine::Amd64);
}

/// Asks the readers of a process whose memory is an image and the input.
fn ask(input: &[u8], name: &str, version: [u16; 4], image: Vec<u8>, machine: Machine) {
    let module = ModuleInfo {
        name: name.into(),
        file_name: format!("{name}.dll"),
        path: format!("{name}.dll"),
        base: Va(BASE),
        size: SIZE as u32,
        timestamp: 0,
        checksum: 0,
        codeview: None,
        version: Some(dumpscope_core::base::FileVersion { file: version, ..Default::default() }),
        machine: Some(machine),
    };
    let word = |i: usize| {
        let bytes: [u8; 8] = std::array::from_fn(|k| input.get(i * 8 + k).copied().unwrap_or(0));
        BASE + u64::from_le_bytes(bytes) % SIZE
    };
    let thread = |i: usize| {
        let mut regs = RegSet::new(machine);
        (0..8).for_each(|r| regs.set(Reg(r), word(i + usize::from(r)) & !7));
        regs.set(RegSet::sp_reg(machine), word(i + 4) & !7);
        regs.set(RegSet::ip_reg(machine), word(i + 16));
        NativeThread { tid: Tid(i as u32), teb: Va(word(i + 17) & !7), regs: Some(regs) }
    };
    let memory: Arc<dyn ReadMemory> = Arc::new(Everywhere { image, input: input.to_vec() });
    let threads: Vec<_> = (1..4).map(thread).collect();
    let process = Arc::new(Process::new(Arc::clone(&memory), vec![module], threads.clone(), machine));
    let readers = find(&process);
    let limits = Limits { frames: 64, chain: 8, scan_bytes: 256, ..Limits::default() };
    let stacks: Vec<(Tid, Vec<Frame>)> = threads
        .iter()
        .filter_map(|t| {
            Some((t.tid, walk(&t.regs?, memory.as_ref(), &Context(&readers), None, &limits).frames))
        })
        .collect();
    let walked: Vec<Walked<'_>> = stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect();
    for reader in &readers {
        let waits = reader.waits(&walked);
        let _ = (reader.threads(), reader.locks(&walked), reader.exceptions(), reader.tasks(&waits));
        let _ = (reader.pool(), reader.suspension(), reader.finalizer(), reader.global_lock_handle());
        walked.iter().for_each(|w| drop((reader.frames(*w), reader.bottoms(w.tid))));
        reader.threads().iter().for_each(|t| drop(reader.frames_at(t.address)));
        let _ = (reader.detached_waits(), reader.exception_at(Va(word(0) & !7)));
        if let Some(jvm) = reader.jvm() {
            let _ = (jvm.jvm_threads(&walked), jvm.synchronizers());
        }
        let Some(clr) = reader.clr() else { continue };
        let _ = (clr.clr_threads(), clr.sync_blocks(), clr.heap_stat(), clr.async_chains());
        walked.iter().for_each(|w| drop(clr.stack(*w)));
    }
}

/// Where a word of the input lies when it is read in the process.
fn place(word: u64) -> u64 {
    BASE + IMAGE as u64 + word * 8
}

/// Fields that HotSpot's tables name: structure, field, whether static.
const FIELDS: &[(&str, &str, bool)] = &[
    ("Abstract_VM_Version", "_s_vm_release", true),
    ("ThreadsSMRSupport", "_java_thread_list", true),
    ("ThreadsList", "_threads", false),
    ("ThreadsList", "_length", false),
    ("JavaThread", "_osthread", false),
    ("OSThread", "_thread_id", false),
    ("JavaThread", "_threadObj", false),
    ("JavaThread", "_vthread", false),
    ("JavaThread", "_anchor", false),
    ("JavaThread", "_lock_stack", false),
    ("JavaThread", "_current_pending_monitor", false),
    ("JavaThread", "_current_waiting_monitor", false),
    ("JavaFrameAnchor", "_last_Java_sp", false),
    ("JavaFrameAnchor", "_last_Java_fp", false),
    ("JavaFrameAnchor", "_last_Java_pc", false),
    ("LockStack", "_top", false),
    ("LockStack", "_base[0]", false),
    ("ObjectMonitor", "_owner", false),
    ("ObjectMonitor", "_object", false),
    ("AbstractInterpreter", "_code", true),
    ("StubQueue", "_stub_buffer", false),
    ("StubQueue", "_buffer_limit", false),
    ("CodeCache", "_heaps", true),
    ("CodeHeap", "_memory", false),
    ("CodeHeap", "_segmap", false),
    ("CodeHeap", "_log2_segment_size", false),
    ("VirtualSpace", "_low", false),
    ("VirtualSpace", "_high", false),
    ("CodeBlob", "_name", false),
    ("CodeBlob", "_frame_size", false),
    ("CodeBlob", "_frame_complete_offset", false),
    ("CodeBlob", "_code_offset", false),
    ("Method", "_constMethod", false),
    ("Method", "_access_flags", false),
    ("ConstMethod", "_constants", false),
    ("ConstMethod", "_name_index", false),
    ("ConstMethod", "_signature_index", false),
    ("ConstMethod", "_flags", false),
    ("ConstMethod", "_code_size", false),
    ("ConstantPool", "_pool_holder", false),
    ("Klass", "_name", false),
    ("Klass", "_super", false),
    ("Klass", "_next_link", false),
    ("Klass", "_java_mirror", false),
    ("Klass", "_layout_helper", false),
    ("InstanceKlass", "_init_state", false),
    ("InstanceKlass", "_init_thread", false),
    ("InstanceKlass", "_constants", false),
    ("InstanceKlass", "_fieldinfo_stream", false),
    ("Symbol", "_length", false),
    ("Symbol", "_body[0]", false),
    ("ClassLoaderDataGraph", "_head", true),
    ("ClassLoaderData", "_klasses", false),
    ("ClassLoaderData", "_next", false),
    ("Universe", "_collectedHeap", true),
    ("CollectedHeap", "_reserved", false),
    ("MemRegion", "_start", false),
    ("MemRegion", "_word_size", false),
];

/// Ruby: memories full of pointers. Java: tables of these fields, the rest pointers.
pub(crate) fn seeds_ruby() -> Vec<Vec<u8>> {
    (0..8u8).map(|version| [vec![version], pointers(u64::from(version) + 1, 1024)].concat()).collect()
}

/// See [`seeds_ruby`].
pub(crate) fn seeds_java() -> Vec<Vec<u8>> {
    (1..4u64).map(java_seed).collect()
}

fn java_seed(state: u64) -> Vec<u8> {
    const TABLE: u64 = 64;
    let mut words: Vec<u64> = Vec::new();
    // Entries of 48 bytes: owner, field, type, static, offset, address.
    let texts = TABLE + (FIELDS.len() as u64 + 1) * 6;
    let mut text = Vec::new();
    let mut put = |t: &str| {
        let at = place(texts) + text.len() as u64;
        text.extend_from_slice(t.as_bytes());
        text.push(0);
        at
    };
    let empty = put("");
    let release = put("25.0.1+1");
    let mut table = Vec::new();
    for (i, (owner, field, is_static)) in FIELDS.iter().enumerate() {
        let address = if i == 0 { place(40) } else { place(2000 + i as u64) };
        let offset = (i as u64 % 16) * 8;
        table.extend([put(owner), put(field), empty, u64::from(*is_static), offset, address]);
    }
    table.extend([0; 6]);
    let nothing = place(50);
    let heads =
        [24, 0, 8, nothing, 24, 0, 8, nothing, 40, 48, 8, 24, 32, 0, 16, place(TABLE), 24, 8, 0, nothing];
    words.extend(heads);
    words.resize(40, 0);
    words.push(release);
    words.resize(TABLE as usize, 0);
    words.extend(table);
    let mut out: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    out.extend_from_slice(&text);
    out.resize(out.len().next_multiple_of(8).max(2000 * 8), 0);
    out.extend(pointers(state, 2048));
    out
}

/// Words: pointers into the memory, small numbers, pointers with flags.
fn pointers(mut state: u64, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for i in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = match state >> 62 {
            0 => i % 64,
            1 => (BASE + (state >> 20) % SIZE) | 1,
            _ => (BASE + (state >> 20) % SIZE) & !7,
        };
        out.extend_from_slice(&value.to_le_bytes());
    }
    out
}

/// Memories full of small pointers, and one with a descriptor.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::new();
    for version in 0..3u8 {
        let mut seed = vec![version];
        for i in 0..512u64 {
            // Pointers into the memory, small numbers, pointers with flags.
            let value = match next() % 4 {
                0 => i % 64,
                1 => (BASE + next() % SIZE) | 1,
                _ => (BASE + next() % SIZE) & !7,
            };
            seed.extend_from_slice(&value.to_le_bytes());
        }
        out.push(seed);
    }
    let json = br#"{"version":0,"types":{"Thread":{"Id":0,"LinkNext":8}},"globals":{"ThreadStore":[[1],"pointer"]},"contracts":{"ExecutionManager":2}}"#;
    let mut seed = vec![2u8];
    seed.extend_from_slice(&0x0043_4144_4343_4e44_u64.to_le_bytes());
    seed.extend_from_slice(&1u32.to_le_bytes());
    seed.extend_from_slice(&(json.len() as u32).to_le_bytes());
    seed.extend_from_slice(&(BASE + 0x1000 + 0x100).to_le_bytes());
    seed.extend_from_slice(&4u32.to_le_bytes());
    seed.extend_from_slice(&[0; 4]);
    seed.extend_from_slice(&(BASE + 0x1000 + 0x80).to_le_bytes());
    seed.resize(1 + 0x80, 0);
    (0..16u64).for_each(|i| seed.extend_from_slice(&(BASE + 0x1200 + i * 8).to_le_bytes()));
    seed.resize(1 + 0x100, 0);
    seed.extend_from_slice(json);
    out.push(seed);
    out
}
