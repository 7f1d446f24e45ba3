//! Values: numbers and texts, typed objects of the process, and what the object model holds.

use super::ast::{Format, LambdaText};
use super::model::Model;
use super::ty::DxType;
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::Va;
use std::sync::Arc;

/// Most elements of a list that is made.
pub(crate) const MAX_ITEMS: usize = 1 << 16;

/// A typed object.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) ty: DxType,
    pub(crate) place: Stored,
    /// A variable of a frame whose place the engine does not know: an array of characters is no text.
    pub(crate) placeless: bool,
}

impl Typed {
    pub(crate) fn new(ty: DxType, place: Stored) -> Typed {
        Typed { ty, place, placeless: false }
    }

    pub(crate) fn at(ty: DxType, va: u64) -> Typed {
        Typed::new(ty, Stored::Memory(Va(va)))
    }

    /// Where its bytes are, when they are in memory.
    pub(crate) fn address(&self) -> Option<u64> {
        match self.place {
            Stored::Memory(va) => Some(va.0),
            Stored::Bytes(_) => None,
        }
    }
}

/// What an element of a list is found by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    /// Shown in decimal.
    Int(i128),
    /// Shown in hex.
    UInt(u64),
    /// Shown in quotation marks.
    Text(String),
    /// Shown as it is.
    Name(String),
}

/// A function of the expression language with the names that it was made among.
#[derive(Clone, Debug)]
pub(crate) struct Lambda {
    pub(crate) text: Arc<LambdaText>,
    pub(crate) names: Vec<(String, Val)>,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    /// A whole number; whether it is signed (then shown in decimal).
    Int(i128, bool),
    Float(f64),
    Bool(bool),
    Text(String),
    Typed(Box<Typed>),
    /// An object made by `new`, or of a report of our own.
    Object(Arc<Vec<(String, Val)>>),
    List(Arc<Vec<(Key, Val)>>),
    /// What a view shows below a name of its own.
    Children(Arc<[Child]>),
    Model(Model),
    Lambda(Arc<Lambda>),
    /// A method of the object model, as listings show it.
    Method(&'static str),
    /// A value that could not be had, and why.
    Failed(String),
    /// A property without a value.
    Absent,
}

impl Val {
    pub(crate) fn typed(ty: DxType, place: Stored) -> Val {
        Val::Typed(Box::new(Typed::new(ty, place)))
    }

    pub(crate) fn uint(n: u64) -> Val {
        Val::Int(n.into(), false)
    }

    pub(crate) fn text(text: impl Into<String>) -> Val {
        Val::Text(text.into())
    }

    pub(crate) fn list(items: Vec<(Key, Val)>) -> Val {
        Val::List(Arc::new(items))
    }

    /// A list counted in hex.
    pub(crate) fn counted(items: impl IntoIterator<Item = Val>) -> Val {
        Val::list(
            items.into_iter().take(MAX_ITEMS).enumerate().map(|(i, v)| (Key::UInt(i as u64), v)).collect(),
        )
    }
}

/// What stands before a child's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Label {
    /// Nothing: what a pointer points to.
    None,
    Name(String),
    Key(Key),
    /// A member: bytes from the object's start, highest and lowest bit, name.
    Field(u64, Option<(u8, u8)>, String),
    /// A static member: its address, name.
    Static(u64, String),
}

/// A child of a value.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) label: Label,
    pub(crate) val: Val,
    /// Text instead of the value's own (`Synthetic`).
    pub(crate) text: Option<String>,
    /// Its own format.
    pub(crate) format: Option<Format>,
    /// `<Raw View>`: not opened by listings.
    pub(crate) closed: bool,
    /// One of the elements that are counted, not a member.
    pub(crate) item: bool,
}

impl Child {
    pub(crate) fn new(label: Label, val: Val) -> Child {
        let item = matches!(label, Label::Key(_));
        Child { label, val, text: None, format: None, closed: false, item }
    }
}
