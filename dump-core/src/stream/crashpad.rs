//! CrashpadInfoStream (0x43500001): what the program told its crash handler.
//!
//! Layout: `minidump_extensions.h` of Crashpad (`MinidumpCrashpadInfo`, `MinidumpModuleCrashpadInfo`,
//! `MinidumpSimpleStringDictionary`, `MinidumpAnnotation`), version 1; seen in dumps of Chromium, Electron and Sentry.

use super::{Stream, StreamCx, count, id};
use crate::base::FileOff;
use crate::bytes::Cursor;
use crate::error::Parsed;

/// What a program told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashpadInfo {
    /// Of the process: key and value. Untrusted, as all text here.
    pub simple: Vec<(String, String)>,
    /// Of its modules.
    pub modules: Vec<ModuleAnnotations>,
}

/// What a module told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleAnnotations {
    /// Index in the module list.
    pub module: u32,
    /// Texts without a key.
    pub list: Vec<String>,
    /// Key and value.
    pub simple: Vec<(String, String)>,
    /// Objects of type string: name and value.
    pub objects: Vec<(String, String)>,
}

/// Most entries of a list.
const MAX_ENTRIES: u32 = 0x1000;
/// Most modules.
const MAX_MODULES: u32 = 0x1000;
/// Longest text, bytes.
const MAX_TEXT: u32 = 0x1_0000;
/// Bytes of all texts.
const MAX_BYTES: usize = 1 << 20;
/// `MinidumpAnnotation::type` of a string.
const TYPE_STRING: u16 = 1;

pub(crate) struct CrashpadInfoStream;

impl Stream for CrashpadInfoStream {
    const NUMBER: u32 = id::CRASHPAD_INFO;
    const NAME: &'static str = "CrashpadInfoStream";
    const ABOUT: &'static str = "Crashpad: annotations";
    type Value = CrashpadInfo;

    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let mut out = CrashpadInfo::default();
        let mut reader = Reader { cx: &cx, left: MAX_BYTES };
        let mut c = cx.cursor();
        // Version, then the ids of report and client.
        let mut read = || {
            c.skip(4 + 16 + 16)?;
            Some((location(&mut c)?, location(&mut c)?))
        };
        let Some((simple, modules)) = read() else {
            cx.warn(Some(cx.entry.offset), "the stream is too small");
            return cx.done(out);
        };
        out.simple = reader.dictionary(simple);
        out.modules = reader.modules(modules);
        cx.done(out)
    }

    fn summary(info: &Self::Value) -> String {
        format!("{}, {}", count(info.simple.len(), "annotation"), count(info.modules.len(), "module"))
    }
}

/// `MINIDUMP_LOCATION_DESCRIPTOR`: size and RVA.
fn location(c: &mut Cursor<'_>) -> Option<(u32, u32)> {
    Some((c.u32()?, c.u32()?))
}

struct Reader<'c, 'a> {
    cx: &'c StreamCx<'a>,
    left: usize,
}

impl<'a> Reader<'_, 'a> {
    fn at(&self, (size, rva): (u32, u32)) -> Option<Cursor<'a>> {
        if size == 0 || rva == 0 {
            return None;
        }
        let found = self.cx.slice(rva.into(), size.into());
        if found.is_none() {
            self.cx.warn(Some(FileOff(rva.into())), "a list lies outside the file");
        }
        Some(Cursor::new(found?, FileOff(rva.into())))
    }

    fn counted(&self, at: (u32, u32), most: u32) -> Option<(Cursor<'a>, u32)> {
        let mut c = self.at(at)?;
        let count = c.u32()?;
        if count > most {
            self.cx.warn(Some(FileOff(at.1.into())), format!("a list of {count} entries is cut to {most}"));
        }
        Some((c, count.min(most)))
    }

    /// `MinidumpUTF8String` or `MinidumpByteArray`: length, then bytes.
    fn text(&mut self, rva: u32) -> Option<String> {
        if rva == 0 {
            return None;
        }
        let head = self.cx.slice(rva.into(), 4)?;
        let length = u32::from_le_bytes(head.try_into().ok()?).min(MAX_TEXT);
        let raw = self.cx.slice(u64::from(rva).checked_add(4)?, length.into())?;
        self.left = self.left.checked_sub(raw.len())?;
        Some(String::from_utf8_lossy(raw).into_owned())
    }

    fn dictionary(&mut self, at: (u32, u32)) -> Vec<(String, String)> {
        let Some((mut c, count)) = self.counted(at, MAX_ENTRIES) else { return Vec::new() };
        let mut out = Vec::new();
        for _ in 0..count {
            let Some((key, value)) = location(&mut c) else { break };
            if let (Some(key), Some(value)) = (self.text(key), self.text(value)) {
                out.push((key, value));
            }
        }
        out
    }

    fn texts(&mut self, at: (u32, u32)) -> Vec<String> {
        let Some((mut c, count)) = self.counted(at, MAX_ENTRIES) else { return Vec::new() };
        (0..count).map_while(|_| c.u32()).filter_map(|rva| self.text(rva)).collect()
    }

    fn objects(&mut self, at: (u32, u32)) -> Vec<(String, String)> {
        let Some((mut c, count)) = self.counted(at, MAX_ENTRIES) else { return Vec::new() };
        let mut out = Vec::new();
        for _ in 0..count {
            let mut entry = || Some((c.u32()?, c.u16()?, c.u16()?, c.u32()?));
            let Some((name, kind, _, value)) = entry() else { break };
            if kind == TYPE_STRING
                && let (Some(name), Some(value)) = (self.text(name), self.text(value))
            {
                out.push((name, value));
            }
        }
        out
    }

    fn modules(&mut self, at: (u32, u32)) -> Vec<ModuleAnnotations> {
        let Some((mut c, count)) = self.counted(at, MAX_MODULES) else { return Vec::new() };
        let mut out = Vec::new();
        for _ in 0..count {
            let Some((module, info)) = c.u32().and_then(|n| Some((n, location(&mut c)?))) else { break };
            let Some(mut of) = self.at(info) else { continue };
            let mut lists = || {
                of.skip(4)?;
                Some((location(&mut of)?, location(&mut of)?, location(&mut of)))
            };
            let Some((list, simple, objects)) = lists() else { continue };
            let list = self.texts(list);
            let simple = self.dictionary(simple);
            // Older writers have no objects.
            let objects = objects.map(|o| self.objects(o)).unwrap_or_default();
            out.push(ModuleAnnotations { module, list, simple, objects });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::DirectoryEntry;

    /// A file of nothing but the stream and what it leads to.
    fn parse_file(file: &[u8], size: u32) -> Parsed<CrashpadInfo> {
        let entry = DirectoryEntry { stream_type: id::CRASHPAD_INFO, size, offset: FileOff(0) };
        CrashpadInfoStream::parse(StreamCx::new(
            CrashpadInfoStream::NAME,
            file,
            entry,
            crate::base::Machine::Amd64,
        ))
    }

    fn words(file: &mut Vec<u8>, list: &[u32]) -> u32 {
        let at = u32::try_from(file.len()).unwrap();
        list.iter().for_each(|w| file.extend(w.to_le_bytes()));
        at
    }

    fn text(file: &mut Vec<u8>, text: &str) -> u32 {
        let at = words(file, &[u32::try_from(text.len()).unwrap()]);
        file.extend(text.bytes());
        at
    }

    fn file() -> Vec<u8> {
        let mut f = vec![0; 52];
        let (key, value) = (text(&mut f, "prod"), text(&mut f, "app"));
        let dictionary = words(&mut f, &[1, key, value]);
        let message = text(&mut f, "abort: no way on");
        let list = words(&mut f, &[1, message]);
        let (name, bytes) = (text(&mut f, "reason"), text(&mut f, "because"));
        let objects = words(&mut f, &[2, name, 1, bytes, name, 9, bytes]);
        let module = words(&mut f, &[1, 8, list, 0, 0, 28, objects]);
        let modules = words(&mut f, &[1, 3, 28, module]);
        f[36..52].copy_from_slice(
            &[12, dictionary, 16, modules].iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>(),
        );
        f
    }

    #[test]
    fn all_kinds_of_annotations() {
        let parsed = parse_file(&file(), 52);
        assert!(parsed.warnings().is_empty(), "{:?}", parsed.warnings());
        let info = parsed.value().unwrap();
        assert_eq!(info.simple, [("prod".to_owned(), "app".to_owned())]);
        let module = &info.modules[0];
        assert_eq!((module.module, module.list.as_slice()), (3, &["abort: no way on".to_owned()][..]));
        assert_eq!(module.objects, [("reason".to_owned(), "because".to_owned())]);
    }

    #[test]
    fn counts_that_lie_and_cut_files() {
        let mut f = file();
        for at in (52..f.len() - 4).step_by(4) {
            f[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        }
        let _ = parse_file(&f, 52);
        let whole = file();
        for cut in 0..whole.len() {
            let _ = parse_file(&whole[..cut], u32::try_from(cut.min(52)).unwrap());
        }
        assert!(!parse_file(&whole[..40], 40).warnings().is_empty());
    }
}
