//! The process environment block, decoded.

use crate::base::{Machine, ReadMemory, Va};
use crate::layout::PebLayout;

/// Heaps listed; real processes have tens.
const MAX_HEAPS: u32 = 4096;

/// Fields of a `PEB`. `None` means that the dump does not have the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peb {
    /// Its address.
    pub address: Va,
    /// Whose layout it has.
    pub machine: Machine,
    /// `InheritedAddressSpace`.
    pub inherited_address_space: Option<bool>,
    /// `ReadImageFileExecOptions`.
    pub read_image_file_exec_options: Option<bool>,
    /// `BeingDebugged`.
    pub being_debugged: Option<bool>,
    /// `BitField` (bit 3: ImageUsesLargePages is 0, and so on; raw).
    pub bit_field: Option<u8>,
    /// Base of the program's image.
    pub image_base: Option<Va>,
    /// `PEB_LDR_DATA`; see [`super::LoaderData`].
    pub ldr: Option<Va>,
    /// Process parameters.
    pub process_parameters: Option<Va>,
    /// `SubSystemData`.
    pub sub_system_data: Option<Va>,
    /// The default heap.
    pub process_heap: Option<Va>,
    /// The PEB's lock.
    pub fast_peb_lock: Option<Va>,
    /// `CrossProcessFlags`.
    pub cross_process_flags: Option<u32>,
    /// `ApiSetMap`.
    pub api_set_map: Option<Va>,
    /// Processors of the machine.
    pub number_of_processors: Option<u32>,
    /// `NtGlobalFlag`.
    pub nt_global_flag: Option<u32>,
    /// `NtGlobalFlag2`, from build 17763 on (what lies there before is not it).
    pub nt_global_flag2: Option<u32>,
    /// `CriticalSectionTimeout`, 100 ns, negative.
    pub critical_section_timeout: Option<i64>,
    /// Addresses of the heaps.
    pub heaps: Vec<Va>,
    /// The loader lock.
    pub loader_lock: Option<Va>,
    /// Version that the program sees: major, minor, build. Its header can fake it.
    pub os_version: Option<(u32, u32, u16)>,
    /// Session id.
    pub session_id: Option<u32>,
    /// Service pack text. Untrusted.
    pub csd_version: Option<String>,
}

impl Peb {
    /// Reads the PEB at `address`, laid out for `machine`; `build` is the system's build number.
    #[must_use]
    pub fn read<M: ReadMemory>(memory: &M, address: Va, machine: Machine, build: u32) -> Peb {
        let l = PebLayout::of(machine.is_64());
        let ptr = |at: u64| memory.ptr(address.offset(at), machine);
        let word = |at: u64| memory.u32(address.offset(at));
        let byte = |at: u64| memory.u8(address.offset(at));
        let version = word(l.os_major).zip(word(l.os_minor)).zip(memory.u16(address.offset(l.os_build)));
        Peb {
            address,
            machine,
            inherited_address_space: byte(0).map(|b| b != 0),
            read_image_file_exec_options: byte(1).map(|b| b != 0),
            being_debugged: byte(l.being_debugged).map(|b| b != 0),
            bit_field: byte(l.bit_field),
            image_base: ptr(l.image_base),
            ldr: ptr(l.ldr),
            process_parameters: ptr(l.process_parameters),
            sub_system_data: ptr(l.sub_system_data),
            process_heap: ptr(l.process_heap),
            fast_peb_lock: ptr(l.fast_peb_lock),
            cross_process_flags: word(l.cross_process_flags),
            api_set_map: ptr(l.api_set_map),
            number_of_processors: word(l.number_of_processors),
            nt_global_flag: word(l.nt_global_flag),
            nt_global_flag2: if build >= 17763 { word(l.nt_global_flag2) } else { None },
            critical_section_timeout: memory
                .u64(address.offset(l.critical_section_timeout))
                .map(u64::cast_signed),
            heaps: heaps(memory, ptr(l.process_heaps), word(l.number_of_heaps), machine),
            loader_lock: ptr(l.loader_lock),
            os_version: version.map(|((major, minor), build)| (major, minor, build)),
            session_id: word(l.session_id),
            csd_version: memory.unicode_string(address.offset(l.csd_version), machine),
        }
    }
}

fn heaps<M: ReadMemory>(memory: &M, array: Option<Va>, count: Option<u32>, machine: Machine) -> Vec<Va> {
    let (Some(array), Some(count)) = (array, count) else { return Vec::new() };
    let step = machine.ptr_size() as u64;
    let at = |i: u32| array.offset(u64::from(i).wrapping_mul(step));
    (0..count.min(MAX_HEAPS)).map_while(|i| memory.ptr(at(i), machine)).collect()
}
