//! `dx`: expressions over typed objects of the process and over an object model of what the dump tells.
//!
//! [`parse`](parse::parse) makes a tree of the text, [`World`] gives it a value, [`print`] shows that with its children.
//! Layout, error texts and what is listed where are those that Microsoft's engine was seen to print (dbgmodel
//! 10.0.29507). All loops are bounded: lists by [`value::MAX_ITEMS`], listings by [`print::LIST`], evaluation by steps.

mod arithmetic;
pub(crate) mod ast;
mod eval;
pub(crate) mod grid;
mod items;
mod linq;
mod members;
pub(crate) mod model;
mod names;
mod parse;
pub(crate) mod print;
mod strings;
mod ty;
mod typed;
pub(crate) mod value;
mod world;

pub(crate) use arithmetic::of_type as arithmetic_of_type;
pub(crate) use ast::Format;
pub(crate) use parse::read_format;
pub(crate) use print::Options;
pub(crate) use ty::{DxType, Kind};
pub(crate) use value::{Child, Key, Label, Typed, Val};
pub(crate) use world::{Env, World};
