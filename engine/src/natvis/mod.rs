//! NatVis: how objects of some types are shown, from XML files.
//!
//! Format: Microsoft's published schema (`natvis.xsd` of Visual Studio's documentation); what the engine makes of it was
//! seen in its output. A file is read as a whole: one that is not well-formed is refused, parts that are not known are
//! left out.

mod custom;
mod matching;
mod read;
mod show;

pub(crate) use read::read;

use crate::dx::{DxType, Format, Kind, Typed, World};
use crate::expr::TypeSet;
use crate::fmt;
use crate::session::Session;
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::Va;
use dumpscope_symbols::types::TypeId;
use std::sync::Arc;

/// The views in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Views {
    pub(crate) files: Vec<Arc<File>>,
}

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// As it was given.
    pub(crate) path: String,
    pub(crate) types: Vec<View>,
}

/// How objects of a type are shown.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Names that it is for.
    pub(crate) names: Vec<String>,
    /// `Priority`: higher wins.
    pub(crate) priority: u8,
    pub(crate) display: Vec<Text>,
    /// `None`: no `Expand`.
    pub(crate) expand: Option<Vec<Node>>,
    pub(crate) hide_raw: bool,
}

/// A text or expression with its condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) condition: Option<String>,
    pub(crate) text: String,
}

/// A part of `Expand`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) condition: Option<String>,
    pub(crate) kind: NodeKind,
}

#[derive(Debug)]
pub(crate) enum NodeKind {
    Item {
        name: String,
        expr: String,
    },
    Synthetic {
        name: String,
        display: Vec<Text>,
        expand: Vec<Node>,
    },
    Expanded {
        expr: String,
    },
    Array {
        size: Vec<Text>,
        pointer: Vec<Text>,
    },
    Index {
        size: Vec<Text>,
        value: Vec<Text>,
    },
    Linked {
        size: Option<String>,
        head: String,
        next: String,
        value: String,
        name: Option<String>,
    },
    Tree {
        size: Option<String>,
        head: String,
        left: String,
        right: String,
        value: String,
        name: Option<String>,
        condition: Option<String>,
    },
    Custom {
        variables: Vec<(String, String)>,
        size: Option<String>,
        body: Vec<Step>,
    },
}

/// A statement of `CustomListItems`.
#[derive(Debug)]
pub(crate) enum Step {
    Loop {
        condition: Option<String>,
        body: Vec<Step>,
    },
    /// `If`, `Elseif`, `Else`: conditions (none for `Else`) with their bodies.
    If {
        arms: Vec<(Option<String>, Vec<Step>)>,
    },
    Exec {
        condition: Option<String>,
        text: String,
    },
    Break {
        condition: Option<String>,
    },
    Item {
        condition: Option<String>,
        name: Option<String>,
        expr: String,
    },
}

impl Views {
    /// The view of a type by its name, and the texts that `$T1` and the like stand for. The file that was loaded last
    /// wins, of its views the one of the highest priority, then the first.
    pub(crate) fn find(&self, name: &str) -> Option<(&View, Vec<String>)> {
        self.files.iter().rev().find_map(|file| {
            let mut best: Option<(&View, Vec<String>)> = None;
            for view in &file.types {
                let found = view.names.iter().find_map(|pattern| matching::captures(pattern, name));
                if let Some(captures) = found
                    && best.as_ref().is_none_or(|(b, _)| view.priority > b.priority)
                {
                    best = Some((view, captures));
                }
            }
            best
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// What `dv` shows for a variable whose type, or what it points to, has a view: the view's text, behind an address.
pub(crate) fn variable_text(session: &Session, set: TypeSet, id: TypeId, place: &Stored) -> Option<String> {
    if session.language.views.is_empty() {
        return None;
    }
    let typed = Typed::new(DxType::new(set, id), place.clone());
    let viewed = |ty: &DxType| match ty.kind() {
        Kind::Udt(_, name) => session.language.views.find(&name).is_some(),
        _ => false,
    };
    let world = World::new(session);
    match typed.ty.kind() {
        Kind::Udt(..) if viewed(&typed.ty) => world.view_text(&typed, &Format::default(), 0).ok().flatten(),
        Kind::Pointer(to) if viewed(&to) => {
            let va = world.target(&typed).ok().filter(|va| *va != 0)?;
            let text = world.view_text(&Typed::at(to, va), &Format::default(), 0).ok().flatten()?;
            Some(format!("0x{} {text}", fmt::addr(Va(va), session.sel.machine.is_64())))
        }
        _ => None,
    }
}
