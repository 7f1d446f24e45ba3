//! What a value is shown as: its text, its type, its children, the elements that it is a list of.

use super::Format;
use super::ast::Radix;
use super::ty::{DxType, Kind};
use super::typed::{elements, float_text, number_text};
use super::value::{Child, Key, Label, MAX_ITEMS, Typed, Val};
use super::world::World;

impl World<'_> {
    /// What stands behind the colon.
    pub(crate) fn text(&self, val: &Val, format: &Format, depth: usize) -> Result<Option<String>, String> {
        self.step()?;
        Ok(match val {
            Val::Int(n, signed) => {
                let radix = format.radix.unwrap_or(if *signed { Radix::Decimal } else { Radix::Hex });
                let bytes = if *signed && i32::try_from(*n).is_ok() { 4 } else { 8 };
                Some(number_text(*n, bytes, radix))
            }
            Val::Float(f) => Some(float_text(*f)),
            Val::Bool(b) => Some(b.to_string()),
            Val::Text(text) => Some(text.clone()),
            Val::Typed(typed) => return self.typed_text(typed, format, depth),
            Val::Model(model) => self.model_text(*model),
            Val::Failed(why) => Some(why.clone()),
            Val::Object(_)
            | Val::List(_)
            | Val::Children(_)
            | Val::Lambda(_)
            | Val::Method(_)
            | Val::Absent => None,
        })
    }

    /// The type as listings name it. `opened`: what the object really is stands before what it was declared as.
    pub(crate) fn type_name(&self, val: &Val, opened: bool) -> Option<String> {
        let Val::Typed(typed) = val else { return None };
        let name = typed.ty.name();
        if opened {
            let target = match typed.ty.kind() {
                Kind::Pointer(to) => self.target(typed).ok().map(|va| (to, va, " *")),
                Kind::Udt(..) => typed.address().map(|va| (typed.ty.clone(), va, "")),
                _ => None,
            };
            if let Some((to, va, star)) = target
                && let Some((derived, _)) = self.derived(&to, va)
            {
                return Some(format!("{}{star} (derived from {name})", derived.name()));
            }
        }
        Some(name)
    }

    /// The children of a value; `skip` elements are left out, at most `most` are given.
    pub(crate) fn children(&self, val: &Val, format: &Format, skip: u64, most: usize) -> Vec<Child> {
        if self.step().is_err() {
            return Vec::new();
        }
        let keyed = |items: Vec<(Key, Val)>| {
            let from = usize::try_from(skip).unwrap_or(usize::MAX);
            items.into_iter().skip(from).map(|(key, val)| Child::new(Label::Key(key), val)).collect()
        };
        match val {
            Val::Text(text) => {
                let length = Val::uint(text.encode_utf16().count() as u64);
                vec![Child::new(Label::Name("Length".into()), length)]
            }
            Val::Typed(typed) => self.typed_children(typed, format, skip, most),
            Val::Object(members) => {
                members.iter().map(|(n, v)| Child::new(Label::Name(n.clone()), v.clone())).collect()
            }
            Val::List(items) => keyed(items.to_vec()),
            Val::Children(children) => children.to_vec(),
            Val::Model(model) => match self.model_items(*model) {
                Some(items) => keyed(items),
                None => {
                    let named = |(n, v): (String, Val)| Child::new(Label::Name(n), v);
                    self.model_members(*model).into_iter().map(named).collect()
                }
            },
            _ => Vec::new(),
        }
    }

    fn typed_children(&self, typed: &Typed, format: &Format, skip: u64, most: usize) -> Vec<Child> {
        let keyed = |items: Vec<(Key, Val)>| -> Vec<Child> {
            items.into_iter().map(|(key, val)| Child::new(Label::Key(key), val)).collect()
        };
        match typed.ty.kind() {
            Kind::Array(element, count) => {
                let count = format.count.unwrap_or(count);
                let text = format.count.is_none() && matches!(self.typed_text(typed, format, 0), Ok(Some(_)));
                if text {
                    return Vec::new();
                }
                keyed(elements(&element, &typed.place, skip, count, most))
            }
            Kind::Pointer(to) | Kind::Reference(to) => {
                let Ok(va) = self.target(typed) else { return Vec::new() };
                if va == 0 {
                    return Vec::new();
                }
                let target = Typed::at(to.clone(), va);
                if let Some(count) = format.count {
                    return keyed(elements(&to, &target.place, skip, count, most));
                }
                match to.kind() {
                    Kind::Udt(..) => self.typed_children(&target, format, skip, most),
                    Kind::Array(..) => self.typed_children(&target, format, skip, most),
                    Kind::Void | Kind::Function | Kind::Other | Kind::Member(_) => Vec::new(),
                    _ => vec![Child::new(Label::None, Val::Typed(Box::new(target)))],
                }
            }
            Kind::Udt(..) => {
                let object = self.opened(typed, format.raw);
                if !format.raw
                    && let Some(children) = self.view_children(&object, format, skip, most)
                {
                    return children;
                }
                self.raw_children(&object)
            }
            _ => Vec::new(),
        }
    }

    /// The object as what its table of virtual functions says it is.
    pub(crate) fn opened(&self, typed: &Typed, raw: bool) -> Typed {
        let found = match typed.address() {
            Some(va) if !raw => {
                self.derived(&typed.ty, va).map(|(ty, back)| Typed::at(ty, va.wrapping_sub(back)))
            }
            _ => None,
        };
        found.unwrap_or_else(|| typed.clone())
    }

    /// The elements of a list; `None` for what is none.
    pub(crate) fn items(&self, val: &Val) -> Option<Vec<(Key, Val)>> {
        match val {
            Val::List(items) => Some(items.to_vec()),
            Val::Model(model) => self.model_items(*model),
            Val::Typed(typed) => {
                let typed = self.resolved((**typed).clone()).ok()?;
                match typed.ty.kind() {
                    Kind::Array(element, count) => {
                        Some(elements(&element, &typed.place, 0, count, MAX_ITEMS))
                    }
                    Kind::Udt(..) => {
                        let children = self.view_children(&typed, &Format::default(), 0, MAX_ITEMS)?;
                        let items: Vec<(Key, Val)> = children
                            .into_iter()
                            .filter(|c| c.item)
                            .filter_map(|c| match c.label {
                                Label::Key(key) => Some((key, c.val)),
                                _ => None,
                            })
                            .collect();
                        self.is_list(&typed).then_some(items)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The number of elements that an array has by its type.
    pub(crate) fn length(&self, val: &Val) -> Option<u64> {
        match val {
            Val::Typed(typed) => match typed.ty.kind() {
                Kind::Array(_, count) => Some(count),
                _ => None,
            },
            _ => None,
        }
    }

    /// The name of a key: `[0]`, `[0x0]`, `["text"]`.
    pub(crate) fn key_text(key: &Key, format: &Format) -> String {
        match key {
            Key::Int(n) => format!("[{}]", number_text(*n, 8, format.radix.unwrap_or(Radix::Decimal))),
            Key::UInt(n) => format!("[{}]", number_text((*n).into(), 8, format.radix.unwrap_or(Radix::Hex))),
            Key::Text(text) => format!("[\"{text}\"]"),
            Key::Name(text) => format!("[{text}]"),
        }
    }
}

/// True when a type is shown with elements of its own.
pub(crate) fn is_array(ty: &DxType) -> bool {
    matches!(ty.kind(), Kind::Array(..))
}
