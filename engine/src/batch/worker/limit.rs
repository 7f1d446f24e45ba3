//! How much private memory a worker may take. The mapped dump is the file's memory and does not count.

/// What the standard library says when an allocation fails, before it ends the process.
pub(super) const NO_MEMORY: &str = "memory allocation of ";

/// Limits this process's private memory: an allocation beyond fails, which ends the process.
#[cfg(unix)]
pub(super) fn limit(bytes: u64) {
    // Counted on Linux: private writable mappings, the heap among them. macOS takes the call and counts less.
    let _ = rlimit::setrlimit(rlimit::Resource::DATA, bytes, bytes);
    // A worker that is ended by a signal need not leave its memory on the disk.
    let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
}

/// Watches this process's private memory and ends it when that is too much: a job object's limit of memory has no safe
/// interface.
#[cfg(windows)]
pub(super) fn limit(bytes: u64) {
    use std::io::Write;
    use win32job::utils::{get_current_process, get_process_memory_info};
    let watch = move || {
        let own = get_current_process();
        loop {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let used = get_process_memory_info(own).map_or(0, |m| m.private_usage as u64);
            if used > bytes {
                let _ = writeln!(std::io::stderr(), "{NO_MEMORY}more than {bytes} bytes failed");
                std::process::exit(3);
            }
        }
    };
    let _ = std::thread::Builder::new().name("memory".into()).spawn(watch);
}

#[cfg(not(any(unix, windows)))]
pub(super) fn limit(_: u64) {}
