//! A tree to its value.

use super::Format;
use super::arithmetic::{Num, of_type};
use super::ast::{Expr, TypeText, Wrap};
use super::parse::parse;
use super::ty::{DxType, Kind};
use super::typed::offset;
use super::value::{Key, Lambda, Typed, Val};
use super::world::{Env, World};
use crate::expr::cpp::Binary;
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::Va;
use std::sync::Arc;

impl World<'_> {
    /// Parses and evaluates a text among the names of `env`.
    ///
    /// # Errors
    /// The engine's words.
    pub(crate) fn evaluate(&self, text: &str, env: &Env) -> Result<(Val, Format), String> {
        let (expr, mut format) = parse(text)?;
        let val = self.eval(&expr, env)?;
        if let Some(count) = format.count_text.take() {
            let (expr, _) = parse(&count)?;
            let n = self.whole(&self.eval(&expr, env)?)?;
            format.count = Some(u64::try_from(n).unwrap_or(0));
        }
        Ok((val, format))
    }

    pub(crate) fn eval(&self, expr: &Expr, env: &Env) -> Result<Val, String> {
        self.step()?;
        match expr {
            Expr::Int(n) => Ok(Val::Int(*n, true)),
            Expr::Float(f) => Ok(Val::Float(*f)),
            Expr::Bool(b) => Ok(Val::Bool(*b)),
            Expr::Text(text) => Ok(Val::Text(text.clone())),
            Expr::Name(name) => self.name(name, env),
            Expr::Special(name) => self.special(name, env),
            Expr::Unary(op, inner) => {
                let val = self.eval(inner, env)?;
                self.unary(*op, &val)
            }
            Expr::Binary(op @ (Binary::Both | Binary::Either), a, b) => {
                let left = self.truth(&self.eval(a, env)?)?;
                if left == (*op == Binary::Either) {
                    return Ok(Val::Bool(left));
                }
                Ok(Val::Bool(self.truth(&self.eval(b, env)?)?))
            }
            Expr::Binary(op, a, b) => {
                let (left, right) = (self.eval(a, env)?, self.eval(b, env)?);
                self.binary(*op, &left, &right)
            }
            Expr::Choice(test, yes, no) => {
                let truth = self.truth(&self.eval(test, env)?)?;
                self.eval(if truth { yes } else { no }, env)
            }
            Expr::Member(inner, name, arrow) => {
                let val = self.eval(inner, env)?;
                self.member(&val, name, *arrow)
            }
            Expr::Index(inner, index) => {
                let (val, index) = (self.eval(inner, env)?, self.eval(index, env)?);
                self.index(&val, &index)
            }
            Expr::Call(function, arguments) => self.call(function, arguments, env),
            Expr::Cast(text, inner) => {
                let val = self.eval(inner, env)?;
                self.cast(text, val)
            }
            Expr::SizeOfType(text) => match self.find_type(text) {
                Some(ty) => self.size(&ty),
                // `sizeof(variable)`.
                None if text.wraps.is_empty() => match self.name(&text.name, env)? {
                    Val::Typed(typed) => self.size(&typed.ty),
                    _ => Err("Unable to get the size of the operand".into()),
                },
                None => Err(format!("Unable to find type '{}'", type_words(text))),
            },
            Expr::SizeOf(inner) => match self.eval(inner, env)? {
                Val::Typed(typed) => self.size(&typed.ty),
                _ => Err("Unable to get the size of the operand".into()),
            },
            Expr::Object(members) => {
                let mut out = Vec::new();
                for (name, value) in members {
                    let value = match self.eval(value, env) {
                        Ok(value) => value,
                        Err(why) => Val::Failed(why),
                    };
                    out.push((name.clone(), value));
                }
                Ok(Val::Object(Arc::new(out)))
            }
            Expr::Lambda(text) => {
                Ok(Val::Lambda(Arc::new(Lambda { text: Arc::clone(text), names: env.names.clone() })))
            }
            Expr::Assign(name, value) => {
                let value = self.eval(value, env)?;
                self.variables.borrow_mut().insert(name.clone(), value.clone());
                Ok(value)
            }
            Expr::Comma(first, second) => {
                self.eval(first, env)?;
                self.eval(second, env)
            }
        }
    }

    fn size(&self, ty: &DxType) -> Result<Val, String> {
        ty.size().map(Val::uint).ok_or_else(|| "Unable to get the size of the operand".into())
    }

    /// A call of a method of a value, or of a value that is a function.
    fn call(&self, function: &Expr, arguments: &[Expr], env: &Env) -> Result<Val, String> {
        if let Expr::Member(inner, name, arrow) = function {
            let on = self.eval(inner, env)?;
            let mut given = Vec::new();
            for argument in arguments {
                given.push(self.eval(argument, env)?);
            }
            if let Some(result) = self.method(&on, name, &given) {
                return result;
            }
            return match self.member(&on, name, *arrow)? {
                Val::Lambda(lambda) => self.apply(&lambda, &given),
                _ => Err(format!("Unable to call '{name}'")),
            };
        }
        let callee = self.eval(function, env)?;
        let mut given = Vec::new();
        for argument in arguments {
            given.push(self.eval(argument, env)?);
        }
        match callee {
            Val::Lambda(lambda) => self.apply(&lambda, &given),
            _ => Err("Object is not callable".into()),
        }
    }

    /// The value of a function for arguments.
    pub(crate) fn apply(&self, lambda: &Lambda, arguments: &[Val]) -> Result<Val, String> {
        let mut env = Env { names: lambda.names.clone(), this: None };
        for (i, name) in lambda.text.names.iter().enumerate() {
            let Some(value) = arguments.get(i) else {
                return Err("Invalid number of arguments to lambda".into());
            };
            env.names.push((name.clone(), value.clone()));
        }
        let deep = || Err("The expression is nested too deeply".to_owned());
        self.nested(|| self.eval(&lambda.text.body, &env)).unwrap_or_else(deep)
    }

    /// `a[b]`.
    pub(crate) fn index(&self, val: &Val, index: &Val) -> Result<Val, String> {
        if let Val::Typed(typed) = val {
            let typed = self.resolved((**typed).clone())?;
            if let Kind::Array(element, _) = typed.ty.kind() {
                let by = self.whole(index)?.wrapping_mul(element.size().unwrap_or(1).into());
                return Ok(Val::typed(element, offset(&typed.place, by as u64)));
            }
            if let Some(Num::Pointer(va, to)) = self.number(&Val::Typed(Box::new(typed)))? {
                let by = self.whole(index)?.wrapping_mul(to.size().unwrap_or(1).into());
                return Ok(Val::Typed(Box::new(Typed::at(to, va.wrapping_add(by as u64)))));
            }
        }
        let Some(items) = self.items(val) else { return Err("Object is not indexable".into()) };
        if let Val::Model(model) = val
            && let Some(found) = self.model_indexed(*model, index)
        {
            return Ok(found);
        }
        let found = match index {
            Val::Text(text) => {
                items.into_iter().find(|(key, _)| matches!(key, Key::Text(t) | Key::Name(t) if t == text))
            }
            index => {
                let n = self.whole(index)?;
                items.into_iter().find(|(key, _)| match key {
                    Key::Int(k) => *k == n,
                    Key::UInt(k) => i128::from(*k) == n,
                    _ => false,
                })
            }
        };
        found.map(|(_, val)| val).ok_or_else(|| "Unable to find the index".into())
    }

    fn cast(&self, text: &TypeText, val: Val) -> Result<Val, String> {
        const WRONG: &str = "Unable to cast from given type.";
        let Some(ty) = self.find_type(text) else {
            return Err(format!("Unable to find type '{}' for cast.", type_words(text)));
        };
        if let Val::Failed(why) = val {
            return Err(why);
        }
        match ty.kind() {
            Kind::Array(..) | Kind::Udt(..) => match &val {
                Val::Typed(typed)
                    if typed.address().is_some() && !matches!(typed.ty.kind(), Kind::Pointer(_)) =>
                {
                    Ok(Val::typed(ty, typed.place.clone()))
                }
                _ => Err(WRONG.into()),
            },
            Kind::Reference(_) => Err(WRONG.into()),
            Kind::Float(size) => {
                let f = match self.number(&val)? {
                    Some(Num::Float(f)) => f,
                    Some(Num::Int(n, ..)) => n as f64,
                    _ => return Err(WRONG.into()),
                };
                let bytes =
                    if size == 4 { (f as f32).to_le_bytes().to_vec() } else { f.to_le_bytes().to_vec() };
                Ok(Val::typed(ty, Stored::Bytes(bytes)))
            }
            Kind::Bool(_) => {
                let truth = self.truth(&val)?;
                Ok(of_type(&ty, truth.into()))
            }
            Kind::Int(..) | Kind::Char(_) | Kind::Enum(..) | Kind::Pointer(_) => match self.number(&val)? {
                Some(Num::Int(n, ..)) => Ok(of_type(&ty, n)),
                Some(Num::Float(f)) if !matches!(ty.kind(), Kind::Pointer(_)) => Ok(of_type(&ty, f as i128)),
                Some(Num::Pointer(va, _)) => Ok(of_type(&ty, va.into())),
                _ => match &val {
                    Val::Typed(typed) if matches!(typed.ty.kind(), Kind::Function) => match typed.address() {
                        Some(va) => Ok(of_type(&ty, va.into())),
                        None => Err(WRONG.into()),
                    },
                    _ => Err(WRONG.into()),
                },
            },
            _ => Err(WRONG.into()),
        }
    }

    /// The object of a type at an address.
    pub(crate) fn object_at(&self, ty: DxType, va: u64) -> Val {
        Val::typed(ty, Stored::Memory(Va(va)))
    }
}

/// A type's text as errors quote it: without its module, blanks before stars.
fn type_words(text: &TypeText) -> String {
    let mut out = text.name.rsplit('!').next().unwrap_or_default().to_owned();
    for wrap in &text.wraps {
        match wrap {
            Wrap::Pointer => out.push_str(" *"),
            Wrap::Reference => out.push_str(" &"),
            Wrap::Array(n) => out.push_str(&format!(" [{n}]")),
        }
    }
    out
}
