//! A dump of more than 4 GiB: a sparse file, of which only some pages are on the disk.

use dumpscope_core::base::{ReadMemory, Va};
use dumpscope_core::model::{Dump, DumpKind};
use std::io::{Seek, SeekFrom, Write};

const BIG: u64 = 5 << 30;
/// Where the memory's bytes begin: behind 4 GiB already.
const BASE_RVA: u64 = (4 << 30) + 0x1000;

#[test]
fn memory_behind_four_gib() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut head = b"MDMP".to_vec();
    for v in [0xa793u32, 1, 32, 0, 0, 2, 0] {
        head.extend(v.to_le_bytes());
    }
    // Directory: one Memory64List of 16 + 3 * 16 bytes behind it.
    for v in [9u32, 64, 44] {
        head.extend(v.to_le_bytes());
    }
    let ranges =
        [(0x1_0000u64, 0x1000u64), (0x7ff0_0000_0000, BIG - BASE_RVA - 0x2000), (0x7fff_0000_0000, 0x1000)];
    for v in [3, BASE_RVA].into_iter().chain(ranges.iter().flat_map(|r| [r.0, r.1])) {
        head.extend(v.to_le_bytes());
    }
    file.write_all(&head).unwrap();
    file.as_file().set_len(BIG).unwrap();
    for (at, text) in [(BASE_RVA, "first"), (BIG - 0x1000, "last")] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    let dump = Dump::open(file.path()).unwrap();
    assert_eq!((dump.file_size(), dump.kind()), (BIG, DumpKind::Full));
    assert_eq!(dump.memory().slice(Va(0x1_0000), 5), Some(b"first".as_slice()));
    assert_eq!(dump.memory().c_str(Va(0x7fff_0000_0000), 16).as_deref(), Some(b"last".as_slice()));
    assert_eq!(dump.memory().u64(Va(0x7ff0_0000_0000)), Some(0));
    assert_eq!(dump.memory().captured(), BIG - BASE_RVA);
    assert!(dump.warnings().is_empty());

    // The same file, cut within the second range: a warning, and what is there is read.
    file.as_file().set_len(BIG - 0x1_0000).unwrap();
    let cut = Dump::open(file.path()).unwrap();
    assert_eq!(cut.memory().u8(Va(0x7fff_0000_0000)), None);
    assert_eq!(cut.memory().slice(Va(0x1_0000), 5), Some(b"first".as_slice()));
    assert!(cut.warnings()[0].text.contains("2 ranges"), "{:?}", cut.warnings());
}
