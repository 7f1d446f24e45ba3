//! `a.b` and `a->b`.

use super::Format;
use super::ty::Kind;
use super::typed::PartPlace;
use super::value::{Label, Typed, Val};
use super::world::World;

impl World<'_> {
    pub(crate) fn member(&self, val: &Val, name: &str, arrow: bool) -> Result<Val, String> {
        const WRONG: &str = "-> must be used on pointers and . on structures";
        self.step()?;
        let unbound = || Err(format!("Unable to bind name '{name}'"));
        match val {
            Val::Typed(typed) => {
                let mut typed = self.resolved((**typed).clone())?;
                if let Kind::Pointer(to) = typed.ty.kind() {
                    if !arrow {
                        return Err(WRONG.into());
                    }
                    typed = Typed::at(to, self.target(&typed)?);
                } else if arrow {
                    return Err(WRONG.into());
                }
                match self.typed_member(&typed, name) {
                    Some(Val::Failed(why)) => Err(why),
                    Some(Val::Typed(found)) => Ok(Val::Typed(Box::new(self.resolved(*found)?))),
                    Some(found) => Ok(found),
                    None => unbound(),
                }
            }
            Val::Text(text) if name == "Length" => Ok(Val::uint(text.encode_utf16().count() as u64)),
            Val::Object(members) => match members.iter().find(|(n, _)| n == name) {
                Some((_, val)) => Ok(val.clone()),
                None => unbound(),
            },
            Val::Model(model) => match self.model_member(*model, name) {
                Some(Val::Failed(why)) => Err(why),
                Some(val) => Ok(val),
                None => unbound(),
            },
            Val::Failed(why) => Err(why.clone()),
            _ => unbound(),
        }
    }

    fn typed_member(&self, typed: &Typed, name: &str) -> Option<Val> {
        if !matches!(typed.ty.kind(), Kind::Udt(..)) {
            return None;
        }
        if let Some(val) = self.raw_member(typed, name) {
            return Some(val);
        }
        // What the object is by its table of virtual functions.
        if let Some((ty, back)) = typed.address().and_then(|va| self.derived(&typed.ty, va))
            && let Some(va) = typed.address()
            && let Some(val) = self.raw_member(&Typed::at(ty, va.wrapping_sub(back)), name)
        {
            return Some(val);
        }
        let children = self.view_children(typed, &Format::default(), 0, usize::MAX)?;
        let found = children.into_iter().find(|c| matches!(&c.label, Label::Name(n) if n == name))?;
        Some(match found.text {
            Some(text) => Val::Text(text),
            None => found.val,
        })
    }

    /// A member as the class declares it; of several of one name the most derived class's.
    pub(crate) fn raw_member(&self, typed: &Typed, name: &str) -> Option<Val> {
        let parts = self.parts(&typed.ty, &typed.place, true);
        let named = |p: &&super::typed::Part| p.name == name;
        let part = parts.iter().rev().filter(named).find(|p| p.place != PartPlace::Method);
        let part = part.or_else(|| parts.iter().rev().find(named))?;
        Some(self.part_val(typed, part)).filter(|v| !matches!(v, Val::Absent))
    }
}
