//! `list_dumps`, `open_dump`, `close_dump`.

use crate::mcp::answer::{page, quoted_or_null, word};
use crate::mcp::call::{Answered, Call};
use crate::mcp::opened::Opened;
use dumpscope_engine::batch::describe_target;
use serde_json::{Value, json};

pub(super) fn list(call: &Call) -> Answered {
    let open: Vec<Value> =
        call.state.dumps.all().iter().map(|o| json!({ "dump": o.id, "path": o.path })).collect();
    let (files, more) = call.state.roots.list();
    Ok(json!({ "open": open, "files": page(&files, call.wanted(), |f| json!(f)), "not_all_listed": more }))
}

pub(super) fn open(call: &Call) -> Answered {
    let (file, shown) = call.state.roots.find(call.text("path").unwrap_or(""))?;
    let opened = call.state.dumps.open(&file, &shown, &call.state.options, &call.cancel)?;
    Ok(describe(&opened))
}

pub(super) fn close(call: &Call) -> Answered {
    let id = call.text("dump").unwrap_or("");
    match call.state.dumps.close(id) {
        true => Ok(json!({ "closed": id })),
        false => Err("no dump of this id is open".into()),
    }
}

/// What is known without an analysis.
fn describe(opened: &Opened) -> Value {
    let dump = &opened.target.dump;
    let row = describe_target(&opened.path, &opened.target);
    let process = row.process.map(|p| json!({ "pid": p.pid, "name": quoted_or_null(p.name.as_deref()) }));
    let system = row.system.map(|s| {
        json!({ "os": quoted_or_null(s.os.as_deref()), "version": quoted_or_null(s.version.as_deref()),
                "build": s.build, "arch": word(s.arch), "wow64": s.wow64 })
    });
    let file = row.dump.map(|d| json!({ "kind": word(d.kind), "bytes": d.size, "time": d.time }));
    let exception = dump.exception().value().map(|e| json!({ "thread_id": e.tid.0 }));
    json!({
        "dump": opened.id,
        "path": opened.path,
        "process": process,
        "system": system,
        "file": file,
        "threads": dump.threads().len(),
        "modules": dump.modules().len(),
        "exception": exception,
        "next": "`verdict` says why the process crashed or hung",
    })
}
