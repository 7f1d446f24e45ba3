//! What names mean: parameters of lambdas, members of the object that a view is of, variables of the frame, roots of
//! the object model, globals, enumerators, pseudo-registers.

use super::ast::TypeText;
use super::model::Model;
use super::ty::DxType;
use super::value::{Typed, Val};
use super::world::{Env, World};
use crate::commands::types::{Object, enumerator, find, global, local};
use crate::expr::TypeSet;
use crate::lang::evaluate_cpp;
use dumpscope_analyzers::scope::Stored;
use dumpscope_symbols::types::TypeId;

impl World<'_> {
    pub(crate) fn name(&self, name: &str, env: &Env) -> Result<Val, String> {
        if let Some((_, val)) = env.names.iter().rev().find(|(n, _)| n == name) {
            return self.shown(val.clone());
        }
        if let Some(this) = &env.this {
            if name == "this" {
                return match this.address() {
                    Some(va) => Ok(Val::Typed(Box::new(super::typed::pointer(&this.ty, va)))),
                    None => Err("Unable to bind name 'this'".into()),
                };
            }
            if let Some(val) = self.raw_member(this, name) {
                return self.shown(val);
            }
        }
        let unbound = || format!("Unable to bind name '{}'", name.rsplit('!').next().unwrap_or(name));
        if let Some((module, _)) = name.split_once('!') {
            let modules = self.session.target.symbols.modules_named_in(module, self.session.sel.machine);
            if self.foreign || modules.is_empty() {
                return Err(format!("Unable to find module '{module}' for qualified name lookup"));
            }
        } else {
            if let Some(val) =
                self.scope().and_then(|s| local(self.session, s, name)).map(|o| value_of(o, name))
            {
                return val.and_then(|v| self.shown(v));
            }
            if name == "Debugger" {
                return Ok(Val::Model(Model::Debugger));
            }
        }
        // Names in views are those of the module that the object is of.
        let module = env.this.as_ref().and_then(|t| t.ty.set.module());
        if let Some(module) = module.filter(|_| !name.contains('!')) {
            let own = self.session.target.symbols.name_in(module, self.session.sel.machine);
            if let Some(object) = global(self.session, &format!("{own}!{name}")) {
                return value_of(object, name).and_then(|v| self.shown(v));
            }
        }
        if let Some(object) = global(self.session, name) {
            return value_of(object, name).and_then(|v| self.shown(v));
        }
        if let Some(val) = self.scoped(name) {
            return Ok(val);
        }
        if let Some((ty, value)) = enumerator(self.session, name) {
            return Ok(super::arithmetic::of_type(&DxType::new(ty.set, ty.id), value.into()));
        }
        Err(unbound())
    }

    /// A reference is what it refers to.
    fn shown(&self, val: Val) -> Result<Val, String> {
        match val {
            Val::Typed(typed) => Ok(Val::Typed(Box::new(self.resolved(*typed)?))),
            other => Ok(other),
        }
    }

    /// `Class::member`, `Enum::name`.
    fn scoped(&self, name: &str) -> Option<Val> {
        let (class, member) = name.rsplit_once("::")?;
        let found = find(self.session, class)?;
        let ty = DxType::new(found.set, found.id);
        let enumerator = ty.types().enumerators(ty.id).into_iter().find(|e| e.name == member);
        if let Some(e) = enumerator {
            return Some(super::arithmetic::of_type(&ty, e.value));
        }
        let typed = Typed::at(ty, 0);
        let parts = self.parts(&typed.ty, &typed.place, true);
        let part = parts
            .iter()
            .find(|p| p.name == member && !matches!(p.place, super::typed::PartPlace::Offset(_)))?;
        Some(self.part_val(&typed, part)).filter(|v| !matches!(v, Val::Absent))
    }

    /// `@name`, `@$name`.
    pub(crate) fn special(&self, name: &str, env: &Env) -> Result<Val, String> {
        const UNDEFINED: &str = "Use of undefined variable";
        let Some(plain) = name.strip_prefix('$') else { return self.register(name) };
        if let Some((_, val)) = env.names.iter().rev().find(|(n, _)| n == name) {
            return Ok(val.clone());
        }
        if let Some(val) = self.variables.borrow().get(plain) {
            return Ok(val.clone());
        }
        let thread = self.session.sel.thread.ok_or("There is no current thread");
        Ok(Val::Model(match plain {
            "debuggerRootNamespace" => Model::Root,
            "cursession" => Model::Session,
            "curprocess" => Model::Process,
            "curthread" => Model::Thread(thread?),
            "curstack" => Model::Stack(thread?),
            "curframe" => Model::Frame(thread?, self.session.sel.frame),
            "curregisters" => Model::Registers(thread?),
            "scripts" => Model::Scripts,
            _ => {
                let (value, _) = evaluate_cpp(self.session, &format!("@${}", plain.to_ascii_lowercase()))
                    .map_err(|_| UNDEFINED.to_owned())?;
                return Ok(from_cpp(value));
            }
        }))
    }

    fn register(&self, name: &str) -> Result<Val, String> {
        let found = evaluate_cpp(self.session, &format!("@{}", name.to_ascii_lowercase()));
        found.map(|(value, _)| from_cpp(value)).map_err(|_| format!("Unable to bind name '@{name}'"))
    }

    /// A type by its text.
    pub(crate) fn find_type(&self, text: &TypeText) -> Option<DxType> {
        let mut ty = match text.built_in {
            Some(number) => DxType::new(TypeSet::built_in(self.session.sel.machine, None), TypeId(number)),
            None => {
                let found = find(self.session, &text.name)?;
                DxType::new(found.set, found.id)
            }
        };
        ty.wraps.clone_from(&text.wraps);
        Some(ty)
    }

    /// A type by a name alone.
    pub(crate) fn type_named(&self, name: &str) -> Option<DxType> {
        self.find_type(&TypeText { name: name.to_owned(), built_in: None, wraps: Vec::new() })
    }
}

/// A variable's value.
fn value_of(object: Object, name: &str) -> Result<Val, String> {
    match object.place {
        Ok(place) => Ok(Val::typed(DxType::new(object.set, object.id), place)),
        Err(_) => Err(format!("Value unavailable error for {}", name.rsplit('!').next().unwrap_or(name))),
    }
}

/// A value of the C++ evaluator.
pub(crate) fn from_cpp(value: crate::expr::cpp::Value) -> Val {
    let mut ty = DxType::new(value.ty.set, value.ty.id);
    ty.wraps = vec![super::ast::Wrap::Pointer; value.ty.stars.into()];
    let place: Stored = value.place;
    Val::typed(ty, place)
}
