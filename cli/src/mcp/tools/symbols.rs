//! `symbols_status`: which modules have names, and from where.

use crate::mcp::answer::{page, quoted, quoted_or_null};
use crate::mcp::call::{Answered, Call};
use crate::symbols::source_text;
use dumpscope_symbols::SymbolState;
use serde_json::{Value, json};

pub(super) fn status(call: &Call) -> Answered {
    let opened = call.dump()?;
    let symbols = &opened.target.symbols;
    let all: Vec<usize> = (0..symbols.modules().len()).collect();
    symbols.load_now(&all, &|| call.cancel.is_cancelled());
    let one = |module: &usize| -> Value {
        let name = symbols.modules().get(*module).map(|m| quoted(&m.file_name));
        let state = match symbols.state(*module) {
            SymbolState::Loaded(source, _) => source_text(source),
            SymbolState::NotFound(_) => "no names",
            SymbolState::Deferred => "not looked for: stopped",
        };
        let tried: Vec<Value> = symbols.search_log(*module).iter().take(8).map(|t| quoted(t)).collect();
        json!({
            "module": name, "symbols": state, "missing": quoted_or_null(symbols.missing(*module).as_deref()), "tried": tried,
        })
    };
    let network = !symbols.config().offline;
    Ok(json!({ "dump": opened.id, "may_download": network, "modules": page(&all, call.wanted(), one) }))
}
