//! One thing that the table knows, as plain data and as lines.

use crate::doc::{Line, Link, Role, Span};
use dumpscope_core::base::Guid;
use dumpscope_win32::{Arch, Constant, Count, Definition, Function, Param, Table, Ty, TypeId, Value};
use serde::Serialize;

/// A parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Parameter {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) ty: String,
    /// `in`, `out`, `in out`; empty when nothing says it.
    direction: &'static str,
    optional: bool,
    reserved: bool,
    /// How much a pointer leads to: the name of a parameter or a number.
    count: Option<String>,
    /// The enumeration whose values it takes, when its type does not say that.
    values: Option<String>,
}

impl Parameter {
    pub(super) fn all(table: &Table, params: &[Param]) -> Vec<Parameter> {
        let name = |n: usize| params.get(n).map(|p| p.name.clone());
        let one = |p: &Param| Parameter {
            name: p.name.clone(),
            ty: table.type_text(&p.ty),
            direction: match (p.is_in, p.is_out) {
                (true, true) => "in out",
                (true, false) => "in",
                (false, true) => "out",
                (false, false) => "",
            },
            optional: p.optional,
            reserved: p.reserved,
            count: p.count.and_then(|c| match c {
                Count::Elements(n) => Some(format!("{n} elements")),
                Count::ElementsOf(n) => name(n).map(|n| format!("{n} elements")),
                Count::BytesOf(n) => name(n).map(|n| format!("{n} bytes")),
            }),
            values: p.values.and_then(|id| table.type_info(id)).map(|t| t.name),
        };
        params.iter().map(one).collect()
    }

    fn line(&self, last: bool) -> Line {
        let mut marks = vec![self.direction];
        marks.extend(self.optional.then_some("optional"));
        marks.extend(self.reserved.then_some("reserved"));
        marks.retain(|m| !m.is_empty());
        let mut line = Line::plain("    ");
        if !marks.is_empty() {
            line = line.role(Role::Dim, format!("[{}] ", marks.join(", ")));
        }
        line = line.role(Role::Type, self.ty.clone()).text(" ").role(Role::Label, self.name.clone());
        line = line.text(if last { "" } else { "," });
        let notes: Vec<&str> = self.count.as_deref().into_iter().chain(self.values.as_deref()).collect();
        if notes.is_empty() { line } else { line.role(Role::Dim, format!("    // {}", notes.join(", "))) }
    }
}

/// A method of an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct MethodItem {
    /// Its place in the table of functions, from 0.
    number: usize,
    interface: String,
    name: String,
    returns: String,
    parameters: Vec<Parameter>,
}

/// A field of a structure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct FieldItem {
    /// Bytes.
    offset: u64,
    name: String,
    #[serde(rename = "type")]
    ty: String,
}

/// A name with its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ValueItem {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) of: Option<String>,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Item {
    Function {
        name: String,
        dll: String,
        namespace: String,
        machines: Vec<&'static str>,
        returns: String,
        parameters: Vec<Parameter>,
        variadic: bool,
    },
    Callback {
        name: String,
        namespace: String,
        returns: String,
        parameters: Vec<Parameter>,
    },
    Method {
        /// `Interface::Method`; the interface that has it, perhaps a base of the one that was named.
        name: String,
        namespace: String,
        /// Its place in the table of functions, from 0.
        number: usize,
        returns: String,
        parameters: Vec<Parameter>,
    },
    Interface {
        name: String,
        namespace: String,
        iid: Option<String>,
        base: Option<String>,
        methods: Vec<MethodItem>,
    },
    Structure {
        name: String,
        namespace: String,
        word: &'static str,
        size: Option<u64>,
        fields: Vec<FieldItem>,
    },
    Enumeration {
        name: String,
        namespace: String,
        #[serde(rename = "type")]
        ty: String,
        flags: bool,
        values: Vec<ValueItem>,
    },
    Alias {
        name: String,
        namespace: String,
        #[serde(rename = "type")]
        ty: String,
    },
    Class {
        name: String,
        namespace: String,
        clsid: String,
    },
    Constant(ValueItem),
    /// One of many: only its name.
    Name {
        name: String,
        is: &'static str,
    },
}

/// A GUID as text.
pub(super) fn guid_text(bytes: [u8; 16]) -> String {
    format!("{{{}}}", Guid::from_bytes(&bytes))
}

fn machines(arch: u8) -> Vec<&'static str> {
    let all = [(1, "x86"), (2, "x64"), (4, "arm64")];
    all.into_iter().filter(|(bit, _)| arch & bit != 0).map(|(_, name)| name).collect()
}

impl Item {
    pub(super) fn function(table: &Table, f: &Function<'_>) -> Item {
        Item::Function {
            name: f.name.clone(),
            dll: f.dll.to_owned(),
            namespace: f.namespace.to_owned(),
            machines: machines(f.arch),
            returns: table.type_text(&f.signature.ret),
            parameters: Parameter::all(table, &f.signature.params),
            variadic: f.variadic,
        }
    }

    /// A type; offsets are those of `arch`.
    pub(super) fn of_type(table: &Table, id: TypeId, arch: Arch) -> Option<Item> {
        let info = table.type_info(id)?;
        let name = info.name;
        let namespace = table.namespace_of(id)?.to_owned();
        Some(match table.definition(id)? {
            Definition::Struct { .. } => {
                let fields = table.flat_layout(id, arch).unwrap_or_default();
                let field = |(offset, f): (u64, dumpscope_win32::Field)| {
                    let ty = table.type_text(&f.ty);
                    let whole = f.bits.is_empty().then(|| FieldItem { offset, name: f.name, ty: ty.clone() });
                    let bits = f.bits.into_iter().map(move |b| FieldItem {
                        offset,
                        name: b.name,
                        ty: format!(
                            "{ty}, bits {} to {}",
                            b.pos,
                            b.pos.saturating_add(b.len).saturating_sub(1)
                        ),
                    });
                    whole.into_iter().chain(bits).collect::<Vec<_>>()
                };
                let size = table.size_of(&Ty::Named(id), arch).map(|s| s.bytes);
                let word = info.kind.word();
                Item::Structure {
                    name,
                    namespace,
                    word,
                    size,
                    fields: fields.into_iter().flat_map(field).collect(),
                }
            }
            Definition::Enum { underlying, flags, .. } => {
                let value = |(name, value): (String, i64)| ValueItem { name, value: hex(value), of: None };
                let values = table.members(id).into_iter().map(value).collect();
                Item::Enumeration { name, namespace, ty: underlying.name().to_owned(), flags, values }
            }
            Definition::Interface { iid, base, .. } => {
                let method =
                    |(number, (interface, m)): (usize, (String, dumpscope_win32::Method))| MethodItem {
                        number,
                        interface,
                        name: m.name,
                        returns: table.type_text(&m.signature.ret),
                        parameters: Parameter::all(table, &m.signature.params),
                    };
                let methods = table.methods(id).into_iter().enumerate().map(method).collect();
                let base = base.and_then(|b| table.type_info(b)).map(|b| b.name);
                Item::Interface { name, namespace, iid: iid.map(guid_text), base, methods }
            }
            Definition::Callback(s) => {
                let parameters = Parameter::all(table, &s.params);
                Item::Callback { name, namespace, returns: table.type_text(&s.ret), parameters }
            }
            Definition::Alias { to, .. } => Item::Alias { name, namespace, ty: table.type_text(&to) },
            Definition::Class { id } => Item::Class { name, namespace, clsid: guid_text(id) },
            _ => return None,
        })
    }

    pub(super) fn constant(table: &Table, c: Constant) -> ValueItem {
        let value = match c.value {
            Value::Int(v) => hex(v),
            Value::Float(v) => v.to_string(),
            Value::Text(t) => format!("\"{t}\""),
            Value::Guid(g) => guid_text(g),
            _ => String::new(),
        };
        let of = c.of.and_then(|id| table.type_info(id)).map(|t| t.name);
        let of = of.or_else(|| c.ty.filter(|t| matches!(t, Ty::Named(_))).map(|t| table.type_text(&t)));
        ValueItem { name: c.name, value, of }
    }

    pub(super) fn lines(&self, emit: &mut dyn FnMut(Line)) {
        match self {
            Item::Function { name, dll, namespace, machines, returns, parameters, variadic } => {
                let only =
                    if machines.len() < 3 { format!(", {} only", machines.join(" ")) } else { String::new() };
                emit(heading(name, &format!("function of {dll}{only}"), namespace));
                prototype(returns, name, parameters, *variadic, emit);
            }
            Item::Callback { name, namespace, returns, parameters } => {
                emit(heading(name, "callback", namespace));
                prototype(returns, name, parameters, false, emit);
            }
            Item::Method { name, namespace, number, returns, parameters } => {
                emit(heading(name, &format!("method {number}"), namespace));
                prototype(returns, name, parameters, false, emit);
            }
            Item::Interface { name, namespace, iid, base, methods } => {
                let base = base.as_ref().map(|b| format!(" : {b}")).unwrap_or_default();
                emit(heading(name, &format!("interface{base}"), namespace));
                if let Some(iid) = iid {
                    emit(Line::plain("IID ").role(Role::Value, iid.clone()));
                }
                for m in methods {
                    let names: Vec<&str> = m.parameters.iter().map(|p| p.name.as_str()).collect();
                    let line = Line::plain(format!("{:>4}  ", m.number))
                        .role(Role::Dim, format!("{}::", m.interface));
                    emit(line.role(Role::Symbol, m.name.clone()).text(format!("({})", names.join(", "))));
                }
            }
            Item::Structure { name, namespace, word, size, fields } => {
                let size = size.map(|s| format!(", 0x{s:x} bytes")).unwrap_or_default();
                emit(heading(name, &format!("{word}{size}"), namespace));
                for f in fields {
                    let line = Line::plain("   ").role(Role::Address, format!("+0x{:03x} ", f.offset));
                    emit(line.role(Role::Label, format!("{:<24} ", f.name)).role(Role::Type, f.ty.clone()));
                }
            }
            Item::Enumeration { name, namespace, ty, flags, values } => {
                let what = if *flags { "flags" } else { "enum" };
                emit(heading(name, &format!("{what} of {ty}"), namespace));
                values.iter().for_each(|v| emit(v.line("   ")));
            }
            Item::Alias { name, namespace, ty } => {
                emit(heading(name, &format!("typedef of {ty}"), namespace))
            }
            Item::Class { name, namespace, clsid } => {
                emit(heading(name, "class", namespace));
                emit(Line::plain("CLSID ").role(Role::Value, clsid.clone()));
            }
            Item::Constant(value) => emit(value.line("")),
            Item::Name { name, is } => {
                let span = Span::new(Role::Symbol, name.clone()).link(Link::Run(format!("!api {name}")));
                emit(Line::plain(format!("{is:<10} ")).span(span));
            }
        }
    }
}

impl ValueItem {
    pub(super) fn line(&self, indent: &str) -> Line {
        let line = Line::plain(indent).role(Role::Label, self.name.clone()).text(" = ");
        let line = line.role(Role::Value, self.value.clone());
        match &self.of {
            Some(of) => line.role(Role::Dim, format!("  ({of})")),
            None => line,
        }
    }
}

fn heading(name: &str, what: &str, namespace: &str) -> Line {
    let line = Line::new().role(Role::Heading, name.to_owned()).text(format!("  {what}"));
    if namespace.is_empty() { line } else { line.role(Role::Dim, format!("  {namespace}")) }
}

fn prototype(
    returns: &str,
    name: &str,
    parameters: &[Parameter],
    variadic: bool,
    emit: &mut dyn FnMut(Line),
) {
    let head = Line::new().role(Role::Type, returns.to_owned()).text(format!(" {name}("));
    if parameters.is_empty() && !variadic {
        return emit(head.text(");"));
    }
    emit(head);
    for (n, p) in parameters.iter().enumerate() {
        emit(p.line(n + 1 == parameters.len() && !variadic));
    }
    if variadic {
        emit(Line::plain("    ..."));
    }
    emit(Line::plain(");"));
}

/// A number in hex, of a negative one its 32 bits.
fn hex(value: i64) -> String {
    match i32::try_from(value) {
        Ok(v) if v < 0 => format!("0x{:x} ({value})", v.cast_unsigned()),
        _ if value < 10 => format!("{value}"),
        _ => format!("0x{value:x} ({value})"),
    }
}
