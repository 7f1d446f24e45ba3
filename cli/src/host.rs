//! Log files and scripts for the engine's commands.

use dumpscope_engine::files::{refuse_pipe, spare_dumps};
use dumpscope_engine::{Host, HostError};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest script that is read, bytes.
const MAX_SCRIPT: u64 = 16 << 20;

/// The files of this machine.
#[derive(Debug, Default)]
pub(crate) struct Files {
    log: Mutex<Option<Log>>,
    /// The first thing that could not be written to a log.
    failed: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Log {
    path: String,
    file: BufWriter<File>,
}

impl Files {
    /// What could not be written to a log, once.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, path: &str, error: &std::io::Error) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(|| format!("the log {path} is not whole: {error}"));
    }

    fn open(&self) -> MutexGuard<'_, Option<Log>> {
        // A panic while a line was written leaves a usable log.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Files {
    fn open_log(&self, path: &str, append: bool) -> Result<(), HostError> {
        let path_of = path.as_ref();
        refuse_pipe(path_of).and_then(|()| spare_dumps(path_of)).map_err(|e| HostError::from(&e))?;
        let mut options = File::options();
        options.create(true).append(append).write(true).truncate(!append);
        let file = options.open(path).map_err(|e| HostError::from(&e))?;
        *self.open() = Some(Log { path: path.to_owned(), file: BufWriter::new(file) });
        Ok(())
    }

    fn close_log(&self) -> Option<String> {
        let mut log = self.open().take()?;
        if let Err(e) = log.file.flush() {
            self.fail(&log.path, &e);
        }
        Some(log.path)
    }

    fn log_file(&self) -> Option<String> {
        self.open().as_ref().map(|l| l.path.clone())
    }

    fn log(&self, line: &str) {
        if let Some(log) = self.open().as_mut()
            && let Err(e) = writeln!(log.file, "{line}")
        {
            self.fail(&log.path, &e);
        }
    }

    fn read_script(&self, path: &str) -> Result<String, HostError> {
        let file = refuse_pipe(path.as_ref()).and_then(|()| File::open(path));
        let file = file.map_err(|e| HostError::from(&e))?;
        read_script(file).map_err(|e| HostError::from(&e))
    }
}

/// Reads a script: UTF-8, or UTF-16 with its mark, as editors on Windows write it.
pub(crate) fn read_script(from: impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX_SCRIPT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SCRIPT {
        return Err(std::io::Error::other("the script is larger than 16 MiB"));
    }
    Ok(match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => {
            let units: Vec<u16> = rest.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
            String::from_utf16_lossy(&units)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        other => String::from_utf8_lossy(other).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_in_the_encodings_of_windows_editors() {
        let read = |b: &[u8]| read_script(b).unwrap();
        assert_eq!(read(b"k\n~"), "k\n~");
        assert_eq!(read(b"\xef\xbb\xbfk"), "k");
        assert_eq!(read(b"\xff\xfek\0\n\0"), "k\n");
    }

    #[test]
    fn logs_are_written_and_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.txt");
        let name = path.to_str().unwrap();
        let files = Files::default();
        files.log("lost");
        files.open_log(name, false).unwrap();
        files.log("one");
        assert_eq!(files.close_log().as_deref(), Some(name));
        files.open_log(name, true).unwrap();
        files.log("two");
        assert_eq!(files.log_file().as_deref(), Some(name));
        files.close_log();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert!(files.open_log("/nonexistent/folder/x", false).is_err());
    }
}
