//! .NET: CoreCLR 8 and later on x64, from memory alone.

mod recognise;

use crate::{Kind, Process, Reader, Recognised, Runtime};
use std::sync::Arc;

/// The row of the table.
pub(crate) const KIND: Kind = Kind { name: ".NET", recognise: recognise::recognise, open };

/// A .NET runtime.
#[derive(Debug)]
struct Dotnet {
    runtime: Runtime,
}

fn open(process: &Arc<Process>, found: &Recognised) -> Arc<dyn Reader> {
    let version = recognise::version(process, found.module);
    let runtime = Runtime {
        name: KIND.name,
        version: version.map(|v| v.to_string()),
        module: found.module,
        how: if found.by_name { "module name".to_owned() } else { "exports".to_owned() },
        readable: false,
        why: Some("the reader is not there yet".to_owned()),
    };
    Arc::new(Dotnet { runtime })
}

impl Reader for Dotnet {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}
