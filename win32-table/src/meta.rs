//! Reads the winmd files.

use crate::model::{Constant, Count, Field, Function, Kind, Model, Param, Ty, Type, Value, flag};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use windows_metadata::reader::{
    Attribute, File, HasAttributes, MethodDef, MethodParam, TypeCategory, TypeDef, TypeIndex,
};
use windows_metadata::{
    MethodCallAttributes, PInvokeAttributes, ParamAttributes, Type as Raw, TypeAttributes, TypeName,
};

/// Files in the order in which they are asked: what the first one tells wins.
const FILES: &[&str] = &["Windows.Win32.winmd", "Windows.Wdk.winmd"];

pub fn read(folder: &Path) -> Result<Model> {
    let mut files = Vec::new();
    for name in FILES {
        files.push(File::read(folder.join(name)).with_context(|| format!("{name} in {}", folder.display()))?);
    }
    let index = TypeIndex::new(files);
    let mut reader = Reader { index: &index, model: Model::default(), known: BTreeSet::new() };
    let mut all: Vec<TypeDef> = index.types().collect();
    // In the order of the files.
    all.sort_by_key(|t| (t.namespace().to_owned(), t.name().to_owned(), arch(*t)));
    for t in &all {
        reader.known.insert(format!("{}.{}", t.namespace(), t.name()));
    }
    for t in &all {
        reader.add(*t, &[])?;
    }
    Ok(reader.model)
}

/// The machines that a row is for: 1 x86, 2 x64, 4 ARM64.
fn arch<'a, R: HasAttributes<'a>>(row: R) -> u8 {
    let told = row.find_attribute("SupportedArchitectureAttribute").and_then(|a| int(&a, 0));
    told.map_or(7, |v| v as u8 & 7)
}

fn int(attribute: &Attribute, at: usize) -> Option<i64> {
    attribute.value().into_iter().nth(at).and_then(|(_, v)| number(&v))
}

fn named(attribute: &Attribute, name: &str) -> Option<i64> {
    attribute.value().into_iter().find(|(n, _)| n == name).and_then(|(_, v)| number(&v))
}

fn text(attribute: &Attribute, at: usize) -> Option<String> {
    match attribute.value().into_iter().nth(at)?.1 {
        windows_metadata::Value::Utf8(t) | windows_metadata::Value::Utf16(t) => Some(t),
        _ => None,
    }
}

fn number(value: &windows_metadata::Value) -> Option<i64> {
    use windows_metadata::Value as V;
    Some(match value {
        V::Bool(v) => (*v).into(),
        V::U8(v) => (*v).into(),
        V::I8(v) => (*v).into(),
        V::U16(v) => (*v).into(),
        V::I16(v) => (*v).into(),
        V::U32(v) => (*v).into(),
        V::I32(v) | V::AttributeEnum(_, v) => (*v).into(),
        V::U64(v) => v.cast_signed(),
        V::I64(v) => *v,
        _ => return None,
    })
}

/// A GUID's bytes as they lie in memory.
fn guid(attribute: &Attribute) -> Option<[u8; 16]> {
    let parts: Vec<i64> = attribute.value().iter().map(|(_, v)| number(v)).collect::<Option<_>>()?;
    let [a, b, c, rest @ ..] = parts.as_slice() else { return None };
    let mut out = Vec::new();
    out.extend((*a as u32).to_le_bytes());
    out.extend((*b as u16).to_le_bytes());
    out.extend((*c as u16).to_le_bytes());
    out.extend(rest.iter().map(|v| *v as u8));
    out.try_into().ok()
}

/// `{0xaa..., 1, 2, {3}}, 7`: a GUID as the metadata's texts of constants spell it.
fn guid_text(text: &str) -> Option<[u8; 16]> {
    let numbers: Vec<u64> = text
        .split([',', '{', '}'])
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|t| t.parse().ok())
        .collect::<Option<_>>()?;
    let [a, b, c, rest @ ..] = numbers.as_slice() else { return None };
    let mut out = Vec::new();
    out.extend((*a as u32).to_le_bytes());
    out.extend((*b as u16).to_le_bytes());
    out.extend((*c as u16).to_le_bytes());
    out.extend(rest.iter().take(8).map(|v| *v as u8));
    out.try_into().ok()
}

struct Reader<'a> {
    index: &'a TypeIndex,
    model: Model,
    /// Names of all types that are not nested.
    known: BTreeSet<String>,
}

type Scope<'s, 'a> = &'s [(TypeDef<'a>, String)];

impl<'a> Reader<'a> {
    fn add(&mut self, t: TypeDef<'a>, outer: Scope<'_, 'a>) -> Result<()> {
        let arch = match outer.first() {
            Some((first, _)) => arch(*first),
            None => arch(t),
        };
        let (plain, name) = match outer.last() {
            Some((_, key)) => (format!("{}.{}", key.split('|').next().unwrap_or(key), t.name()), None),
            None => (format!("{}.{}", t.namespace(), t.name()), Some(t.name().to_owned())),
        };
        let namespace = outer.first().map_or(t.namespace(), |(first, _)| first.namespace()).to_owned();
        let name = name.unwrap_or_else(|| plain.get(namespace.len() + 1..).unwrap_or(&plain).to_owned());
        let key = if arch == 7 { plain } else { format!("{plain}|{arch}") };
        let mut scope = outer.to_vec();
        scope.push((t, key.clone()));
        for inner in self.index.nested(t) {
            self.add(inner, &scope)?;
        }
        let kind = match t.category() {
            TypeCategory::Class => {
                self.apis(t)?;
                return Ok(());
            }
            TypeCategory::Attribute => return Ok(()),
            TypeCategory::Enum => self.enumeration(t)?,
            TypeCategory::Interface => self.interface(t, &scope)?,
            TypeCategory::Delegate => {
                let Some(invoke) = t.methods().find(|m| m.name() == "Invoke") else { return Ok(()) };
                Kind::Callback(Box::new(self.function(invoke, &scope)?))
            }
            TypeCategory::Struct => self.structure(t, &scope)?,
        };
        self.model.types.push(Type { key, name, namespace, arch, kind });
        Ok(())
    }

    fn enumeration(&self, t: TypeDef<'a>) -> Result<Kind> {
        let mut underlying = Ty::base("u32");
        let mut members = Vec::new();
        for field in t.fields() {
            match field.constant() {
                Some(c) => members.push((
                    field.name().to_owned(),
                    number(&c.value()).context("an enumerator that is no number")?,
                )),
                None => underlying = self.ty(&field.ty(), &[])?,
            }
        }
        let Ty::Base(underlying) = underlying else { bail!("{}: underlying type", t.name()) };
        Ok(Kind::Enum { underlying, flags: t.has_attribute("FlagsAttribute"), members })
    }

    fn interface(&self, t: TypeDef<'a>, scope: Scope<'_, 'a>) -> Result<Kind> {
        let iid = t.find_attribute("GuidAttribute").and_then(|a| guid(&a));
        let base = t.interface_impls().next().map(|i| self.ty(&i.interface(&[]), scope)).transpose()?;
        let methods = t.methods().map(|m| self.function(m, scope)).collect::<Result<_>>()?;
        Ok(Kind::Interface { iid, base, methods })
    }

    fn structure(&self, t: TypeDef<'a>, scope: Scope<'_, 'a>) -> Result<Kind> {
        let fields: Vec<_> = t.fields().filter(|f| f.constant().is_none()).collect();
        if let Some(id) = t.find_attribute("GuidAttribute").and_then(|a| guid(&a))
            && fields.is_empty()
        {
            return Ok(Kind::Class { id });
        }
        if let ([only], true) = (
            fields.as_slice(),
            t.has_attribute("NativeTypedefAttribute") || t.has_attribute("MetadataTypedefAttribute"),
        ) {
            let handle =
                t.has_attribute("RAIIFreeAttribute") || t.has_attribute("InvalidHandleValueAttribute");
            return Ok(Kind::Alias { to: self.ty(&only.ty(), scope)?, handle });
        }
        let layout = t.class_layout();
        let mut out = Vec::new();
        for f in fields {
            let mut ty = self.ty(&f.ty(), scope)?;
            if f.has_attribute("ConstAttribute") {
                ty = constant(ty);
            }
            let bits = f.attributes().filter(|a| a.ctor().parent().name() == "NativeBitfieldAttribute");
            let bits = bits
                .map(|a| Some((text(&a, 0)?, int(&a, 1)? as u32, int(&a, 2)? as u32)))
                .collect::<Option<Vec<_>>>()
                .context("a bit field")?;
            out.push(Field { name: f.name().to_owned(), ty, bits });
        }
        Ok(Kind::Struct {
            union: t.flags().contains(TypeAttributes::ExplicitLayout),
            packing: layout.as_ref().map_or(0, |l| l.packing_size().into()),
            size: layout.as_ref().map_or(0, |l| l.class_size()),
            fields: out,
        })
    }

    fn apis(&mut self, t: TypeDef<'a>) -> Result<()> {
        for m in t.methods() {
            let function = self.function(m, &[])?;
            self.model.functions.push(function);
        }
        for f in t.fields() {
            let value = match f.constant() {
                Some(c) => match c.value() {
                    windows_metadata::Value::F32(v) => Value::Float(v.into()),
                    windows_metadata::Value::F64(v) => Value::Float(v),
                    windows_metadata::Value::Utf8(t) | windows_metadata::Value::Utf16(t) => Value::Text(t),
                    other => Value::Int(number(&other).context("a constant of another kind")?),
                },
                None => {
                    let told = f.find_attribute("GuidAttribute").and_then(|a| guid(&a));
                    let key = || guid_text(&text(&f.find_attribute("ConstantAttribute")?, 0)?);
                    match told.or_else(key) {
                        Some(id) => Value::Guid(id),
                        None => continue,
                    }
                }
            };
            let ty = self.ty(&f.ty(), &[])?;
            let (name, namespace) = (f.name().to_owned(), t.namespace().to_owned());
            self.model.constants.push(Constant { name, namespace, ty, value });
        }
        Ok(())
    }

    fn function(&self, m: MethodDef<'a>, scope: Scope<'_, 'a>) -> Result<Function> {
        let signature = m.signature(&[]);
        let (mut params, mut ret_flags) = (Vec::new(), 0);
        let rows: Vec<MethodParam> = m.params().collect();
        for (n, raw) in signature.types.iter().enumerate() {
            let row = rows.iter().find(|p| usize::from(p.sequence()) == n + 1);
            let ty = self.ty(raw, scope)?;
            params.push(match row {
                Some(row) => self.param(row, ty)?,
                None => Param { name: String::new(), ty, flags: 0, count: None, values: None },
            });
        }
        if let Some(row) = rows.iter().find(|p| p.sequence() == 0) {
            ret_flags = if row.has_attribute("ConstAttribute") { flag::CONST } else { 0 };
        }
        let mut ret = self.ty(&signature.return_type, scope)?;
        if ret_flags & flag::CONST != 0 {
            ret = constant(ret);
        }
        let map = m.impl_map();
        let flags = map.as_ref().map(|m| m.flags());
        Ok(Function {
            name: m.name().to_owned(),
            dll: map.as_ref().map(|m| m.import_scope().name().to_owned()).unwrap_or_default(),
            namespace: match m.parent() {
                windows_metadata::reader::MemberRefParent::TypeDef(t) => t.namespace().to_owned(),
                _ => String::new(),
            },
            arch: arch(m),
            cdecl: flags.is_some_and(|f| f.contains(PInvokeAttributes::CallConvCdecl)),
            variadic: signature.flags.contains(MethodCallAttributes::VARARG),
            last_error: flags.is_some_and(|f| f.contains(PInvokeAttributes::SupportsLastError)),
            ret,
            params,
        })
    }

    fn param(&self, row: &MethodParam<'a>, ty: Ty) -> Result<Param> {
        let raw = row.flags();
        let mut flags = 0;
        for (bit, ours) in [
            (ParamAttributes::In, flag::IN),
            (ParamAttributes::Out, flag::OUT),
            (ParamAttributes::Optional, flag::OPTIONAL),
        ] {
            if raw.contains(bit) {
                flags |= ours;
            }
        }
        for (name, ours) in [
            ("ReservedAttribute", flag::RESERVED),
            ("ConstAttribute", flag::CONST),
            ("RetValAttribute", flag::RETVAL),
            ("ComOutPtrAttribute", flag::COM_OUT),
            ("NotNullTerminatedAttribute", flag::NO_ZERO),
        ] {
            if row.has_attribute(name) {
                flags |= ours;
            }
        }
        let count =
            match (row.find_attribute("MemorySizeAttribute"), row.find_attribute("NativeArrayInfoAttribute"))
            {
                (Some(a), _) => named(&a, "BytesParamIndex").map(|n| Count::BytesOf(n as u32)),
                (None, Some(a)) => match (named(&a, "CountParamIndex"), named(&a, "CountConst")) {
                    (Some(n), _) => Some(Count::ElementsOf(n as u32)),
                    (None, Some(n)) => Some(Count::Elements(n as u32)),
                    _ => None,
                },
                _ => None,
            };
        if count.is_some() {
            flags |= flag::COUNTED;
        }
        let values = row.find_attribute("AssociatedEnumAttribute").and_then(|a| text(&a, 0));
        if values.is_some() {
            flags |= flag::ENUM;
        }
        let ty = if flags & flag::CONST != 0 { constant(ty) } else { ty };
        Ok(Param { name: row.name().to_owned(), ty, flags, count, values })
    }

    fn ty(&self, raw: &Raw, scope: Scope<'_, 'a>) -> Result<Ty> {
        let pointers = |inner: &Raw, n: usize| -> Result<Ty> {
            let mut out = self.ty(inner, scope)?;
            for _ in 0..n {
                out = Ty::Pointer(Box::new(out));
            }
            Ok(out)
        };
        Ok(match raw {
            Raw::Void => Ty::base("void"),
            Raw::Bool => Ty::base("bool"),
            Raw::Char => Ty::base("char16"),
            Raw::I8 => Ty::base("i8"),
            Raw::U8 => Ty::base("u8"),
            Raw::I16 => Ty::base("i16"),
            Raw::U16 => Ty::base("u16"),
            Raw::I32 => Ty::base("i32"),
            Raw::U32 => Ty::base("u32"),
            Raw::I64 => Ty::base("i64"),
            Raw::U64 => Ty::base("u64"),
            Raw::F32 => Ty::base("f32"),
            Raw::F64 => Ty::base("f64"),
            Raw::ISize => Ty::base("isize"),
            Raw::USize => Ty::base("usize"),
            Raw::PtrMut(inner, n) | Raw::PtrConst(inner, n) => pointers(inner, *n)?,
            Raw::RefMut(inner) | Raw::RefConst(inner) => pointers(inner, 1)?,
            Raw::ArrayFixed(inner, n) => Ty::Array(Box::new(self.ty(inner, scope)?), *n as u32),
            Raw::Name(name) => self.named(name, scope)?,
            // WinRT's objects and texts: pointers.
            Raw::String | Raw::Object => Ty::Pointer(Box::new(Ty::base("void"))),
            other => bail!("a type of another kind: {other:?}"),
        })
    }

    fn named(&self, name: &TypeName, scope: Scope<'_, 'a>) -> Result<Ty> {
        if name.namespace == "System" && name.name == "Guid" {
            return Ok(Ty::base("Guid"));
        }
        if name.namespace.is_empty() {
            for (outer, key) in scope.iter().rev() {
                if self.index.nested(*outer).any(|n| n.name() == name.name) {
                    let (plain, arch) =
                        key.split_once('|').map_or((key.as_str(), None), |(k, a)| (k, Some(a)));
                    let inner = format!("{plain}.{}", name.name);
                    return Ok(Ty::Named(arch.map_or(inner.clone(), |a| format!("{inner}|{a}"))));
                }
            }
            bail!("nested type {} is not there", name.name);
        }
        if !self.known.contains(&format!("{}.{}", name.namespace, name.name)) {
            // Of WinRT's metadata: an object.
            return Ok(Ty::base("void"));
        }
        // The type itself may be of several machines: the writer takes the fitting one.
        Ok(Ty::Named(format!("{}.{}", name.namespace, name.name)))
    }
}

/// `PWSTR` that is only read is `PCWSTR`.
fn constant(ty: Ty) -> Ty {
    match ty {
        Ty::Named(n) if n == "Windows.Win32.Foundation.PWSTR" => {
            Ty::Named("Windows.Win32.Foundation.PCWSTR".into())
        }
        Ty::Named(n) if n == "Windows.Win32.Foundation.PSTR" => {
            Ty::Named("Windows.Win32.Foundation.PCSTR".into())
        }
        other => other,
    }
}
