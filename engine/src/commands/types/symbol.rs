//! What a symbol's type says: for `x` and `ln`.

use super::dt::with_cx;
use crate::expr::TypeSet;
use crate::session::{Layout, Session};
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;
use dumpscope_symbols::types::{Data, Type, TypeId, bare, cpp_name, inline_value, parameter_list, size_of};
use dumpscope_symbols::{Symbol, SymbolSource};

/// What is known of a symbol's type. Texts are escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SymbolType {
    /// Type of a variable; what a function returns.
    pub(crate) ty: Option<String>,
    /// Types of a function's parameters, in brackets.
    pub(crate) parameters: Option<String>,
    /// Value of a variable.
    pub(crate) value: Option<String>,
    /// Bytes of a variable.
    pub(crate) size: Option<u64>,
}

/// The type of a symbol of a module; all empty when no symbol file tells it.
pub(crate) fn symbol_type(session: &Session, module: usize, symbol: &Symbol) -> SymbolType {
    let mut out = SymbolType::default();
    let symbols = &session.target.symbols;
    let Some(base) = symbols.modules().get(module).map(|m| m.base) else { return out };
    let providers = symbols.providers(module);
    let typed = providers.iter().filter(|p| p.types().is_some()).find_map(|p| {
        let id = p.data_type(symbol.rva).or_else(|| p.function_type(symbol.rva))?;
        // Code in the middle of a function has the function's type, which is not the label's.
        (id != TypeId::NONE).then_some((p, id))
    });
    let Some((provider, id)) = typed else { return out };
    let set = TypeSet::of(provider, session.sel.machine, module);
    let types = set.types();
    match bare(types, id).1 {
        Type::Function { ret, .. } => {
            let starts = provider.lookup(symbol.rva).is_some_and(|s| s.rva == symbol.rva);
            if starts {
                out.ty = Some(escape(&cpp_name(types, ret)).into_owned());
                // Today's engine lists the parameters that the function itself tells: those with names, and the compiler's
                // own (`is_most_derived` of a constructor).
                let private = provider.source() == SymbolSource::PrivatePdb;
                let told = (session.sel.layout == Layout::Modern && private)
                    .then(|| provider.variables(symbol.rva).unwrap_or_default())
                    .map(|all| {
                        let own = all.iter().filter(|v| v.is_param && v.site.is_none() && v.name != "this");
                        let list: Vec<String> = own.map(|v| cpp_name(types, v.ty)).collect();
                        format!("({})", if list.is_empty() { "void".to_owned() } else { list.join(", ") })
                    });
                let list = told.or_else(|| parameter_list(types, id));
                out.parameters = list.map(|p| escape(&p).into_owned());
            }
        }
        _ => {
            out.ty = Some(escape(&cpp_name(types, id)).into_owned());
            out.size = size_of(types, id);
            let data = Data::Memory(symbol.rva.va(base));
            let value = with_cx(session, &set, |cx| inline_value(cx, id, data));
            out.value = value.map(|v| escape(&v).into_owned());
        }
    }
    out
}

/// `int 0n5`: a number as what the function that starts at an address returns.
pub(crate) fn returned_value(session: &Session, function: Va, value: u64) -> Option<String> {
    let symbols = &session.target.symbols;
    let module = symbols.module_at(function)?;
    let rva = function.rva(symbols.modules().get(module)?.base)?;
    let providers = symbols.providers(module);
    let (provider, id) =
        providers.iter().filter(|p| p.types().is_some()).find_map(|p| Some((p, p.function_type(rva)?)))?;
    let set = TypeSet::of(provider, session.sel.machine, module);
    let Type::Function { ret, .. } = bare(set.types(), id).1 else { return None };
    let name = cpp_name(set.types(), ret);
    let bytes = value.to_le_bytes();
    let size = usize::try_from(size_of(set.types(), ret)?).ok()?;
    let text = with_cx(session, &set, |cx| inline_value(cx, ret, Data::Bytes(bytes.get(..size)?)));
    Some(format!("{name} {}", text?))
}
