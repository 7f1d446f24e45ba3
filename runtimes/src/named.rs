//! Runtimes that are recognised and named, and not read: .NET Framework, Mono, .NET compiled ahead of time. Native stacks
//! are right without them; what they know of their threads stays unsaid, and the document says so.

use crate::{Kind, Process, Reader, Recognised, Runtime};
use std::sync::Arc;

/// One of them.
struct Named {
    name: &'static str,
    /// File names of its module, lower case.
    files: &'static [&'static str],
    /// An export that only it has, whatever the module is called.
    export: Option<&'static str>,
    why: &'static str,
}

const FRAMEWORK: Named = Named {
    name: ".NET Framework",
    files: &["clr.dll", "mscorwks.dll"],
    // It exports nothing that CoreCLR does not, either.
    export: None,
    why: "only .NET 8 and later are read: managed frames stay without names",
};

const MONO: Named = Named {
    name: "Mono",
    files: &[
        "mono-2.0-bdwgc.dll",
        "mono-2.0-sgen.dll",
        "mono-2.0-boehm.dll",
        "mono-2.0.dll",
        "mono.dll",
        "monosgen-2.0.dll",
    ],
    export: Some("mono_jit_init_version"),
    why: "Mono is not read: managed frames stay without names",
};

const AHEAD_OF_TIME: Named = Named {
    name: ".NET Native AOT",
    files: &[],
    export: Some("DotNetRuntimeDebugHeader"),
    why: "programs compiled ahead of time have no runtime to ask: their symbols (PDB) name the frames",
};

/// The rows of the table.
pub(crate) const FRAMEWORK_KIND: Kind = Kind {
    name: FRAMEWORK.name,
    is_file: |_| false,
    recognise: |p| recognise(p, &FRAMEWORK),
    open: |p, found| open(p, found, &FRAMEWORK),
};
pub(crate) const MONO_KIND: Kind = Kind {
    name: MONO.name,
    is_file: |_| false,
    recognise: |p| recognise(p, &MONO),
    open: |p, found| open(p, found, &MONO),
};
pub(crate) const AHEAD_OF_TIME_KIND: Kind = Kind {
    name: AHEAD_OF_TIME.name,
    is_file: |_| false,
    recognise: |p| recognise(p, &AHEAD_OF_TIME),
    open: |p, found| open(p, found, &AHEAD_OF_TIME),
};

/// What stands for a runtime that is not read.
#[derive(Debug)]
struct Unread(Runtime);

impl Reader for Unread {
    fn runtime(&self) -> &Runtime {
        &self.0
    }
}

fn recognise(process: &Process, named: &Named) -> Vec<Recognised> {
    let by_name = |m: usize| {
        let file = process.modules.get(m).map(|m| m.file_name.to_ascii_lowercase());
        file.is_some_and(|f| named.files.contains(&f.as_str()))
    };
    let one = |m: usize| {
        let exported = named.export.is_some_and(|name| process.export(m, name).is_some());
        (exported || by_name(m)).then_some(Recognised { module: m, by_name: !exported })
    };
    (0..process.modules.len()).filter_map(one).collect()
}

fn open(process: &Arc<Process>, found: &Recognised, named: &Named) -> Arc<dyn Reader> {
    let version = process.modules.get(found.module).and_then(|m| m.version);
    let text = |v: [u16; 4]| v.map(|part| part.to_string()).join(".");
    Arc::new(Unread(Runtime {
        name: named.name,
        // A program that was compiled whole has its own version there.
        version: version.filter(|_| !named.files.is_empty()).map(|v| text(v.file)),
        module: found.module,
        how: if found.by_name { "module name and version" } else { "exports" }.to_owned(),
        readable: false,
        why: Some(named.why.to_owned()),
    }))
}
