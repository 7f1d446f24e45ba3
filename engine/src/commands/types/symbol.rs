//! What a symbol's type says: for `x` and `ln`.

use super::dt::with_cx;
use crate::expr::TypeSet;
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;
use dumpscope_symbols::Symbol;
use dumpscope_symbols::types::{Data, Type, TypeId, bare, cpp_name, inline_value, parameter_list, size_of};

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
                let told = (session.sel.layout == Layout::Modern)
                    .then(|| provider.variables(symbol.rva))
                    .flatten()
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
