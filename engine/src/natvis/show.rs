//! What a view makes of an object.

use super::{Node, NodeKind, Text};
use crate::dx::value::MAX_ITEMS;
use crate::dx::{Child, Env, Format, Key, Kind, Label, Typed, Val, World};
use dumpscope_core::base::Guid;
use std::collections::BTreeSet;

/// Deepest nesting of views in each other's texts.
const MAX_DEPTH: usize = 8;
/// Longest text of a view, in characters.
const MAX_TEXT: usize = 2048;

/// An object with the view that it is shown by.
pub(super) struct Shown {
    pub(super) env: Env,
    captures: Vec<String>,
}

impl World<'_> {
    /// The text that stands for a structure: of its view, or of those that the engine knows of its own.
    pub(crate) fn view_text(
        &self,
        typed: &Typed,
        format: &Format,
        depth: usize,
    ) -> Result<Option<String>, String> {
        self.nested(|| self.text_of_view(typed, format, depth)).unwrap_or(Ok(None))
    }

    fn text_of_view(&self, typed: &Typed, format: &Format, depth: usize) -> Result<Option<String>, String> {
        if let Some(guid) = self.guid(typed) {
            return Ok(Some(guid));
        }
        if self.views.is_empty() || format.raw || depth > MAX_DEPTH {
            return Ok(None);
        }
        let Some(name) = udt_name(typed) else { return Ok(None) };
        let Some((view, captures)) = self.views.find(&name) else { return Ok(None) };
        let shown = shown(typed, captures);
        for text in &view.display {
            if self.holds(&shown, text.condition.as_deref(), &shown.env) {
                return Ok(Some(self.filled(&shown, &text.text, format, &shown.env, depth)));
            }
        }
        Ok(None)
    }

    /// The children that a view gives an object; `None` when no view has any. `skip` elements are left out.
    pub(crate) fn view_children(
        &self,
        typed: &Typed,
        format: &Format,
        skip: u64,
        most: usize,
    ) -> Option<Vec<Child>> {
        self.nested(|| self.children_of_view(typed, format, skip, most)).flatten()
    }

    fn children_of_view(&self, typed: &Typed, format: &Format, skip: u64, most: usize) -> Option<Vec<Child>> {
        if self.guid(typed).is_some() {
            return Some(vec![raw_view(typed)]);
        }
        if self.views.is_empty() {
            return None;
        }
        let (view, captures) = self.views.find(&udt_name(typed)?)?;
        let expand = view.expand.as_ref()?;
        let shown = shown(typed, captures);
        let mut out = Vec::new();
        if !view.hide_raw {
            out.push(raw_view(typed));
        }
        let most = most.saturating_add(usize::try_from(skip).unwrap_or(usize::MAX));
        self.expand(&shown, expand, format, most, 0, &mut out);
        if skip > 0 {
            out.retain(|c| c.item);
            let from = usize::try_from(skip).unwrap_or(usize::MAX).min(out.len());
            out.drain(..from);
        }
        Some(out)
    }

    /// True when a view shows the object as a list.
    pub(crate) fn is_list(&self, typed: &Typed) -> bool {
        let list = |n: &Node| !matches!(n.kind, NodeKind::Item { .. } | NodeKind::Synthetic { .. });
        udt_name(typed)
            .and_then(|name| self.views.find(&name))
            .is_some_and(|(view, _)| view.expand.as_ref().is_some_and(|nodes| nodes.iter().any(list)))
    }

    fn guid(&self, typed: &Typed) -> Option<String> {
        if typed.ty.size() != Some(16) || !matches!(typed.ty.kind(), Kind::Udt(_, name) if name == "_GUID") {
            return None;
        }
        let raw = self.cx(&typed.ty, |cx| cx.unsigned(typed.place.data(), 16))?;
        Some(format!(
            "{{{}}}",
            Guid::from_bytes(&raw.to_le_bytes()).to_string().trim_matches(['{', '}']).to_uppercase()
        ))
    }

    /// True when a condition holds; one that has no value does not.
    pub(super) fn holds(&self, shown: &Shown, condition: Option<&str>, env: &Env) -> bool {
        match condition {
            None => true,
            Some(text) => match self.valued(shown, text, env) {
                Ok((val, _)) => self.truth(&val).unwrap_or(false),
                Err(_) => false,
            },
        }
    }

    /// The value of a view's expression.
    pub(super) fn valued(&self, shown: &Shown, text: &str, env: &Env) -> Result<(Val, Format), String> {
        self.evaluate(&shown.text(text), env)
    }

    /// A whole number of a view.
    pub(super) fn sized(&self, shown: &Shown, text: &str, env: &Env) -> u64 {
        let found = self.valued(shown, text, env).and_then(|(val, _)| self.whole(&val));
        found.ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    fn chosen<'t>(&self, shown: &Shown, texts: &'t [Text], env: &Env) -> Option<&'t str> {
        texts.iter().find(|t| self.holds(shown, t.condition.as_deref(), env)).map(|t| t.text.as_str())
    }

    /// A display string with its expressions replaced by their values.
    pub(super) fn filled(
        &self,
        shown: &Shown,
        text: &str,
        format: &Format,
        env: &Env,
        depth: usize,
    ) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(rest.get(..at).unwrap_or(""));
            let tail = rest.get(at..).unwrap_or("");
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                out.push_str(tail.get(..1).unwrap_or(""));
                rest = after;
                continue;
            }
            let Some(inner) = tail.strip_prefix('{') else {
                out.push('}');
                rest = tail.get(1..).unwrap_or("");
                continue;
            };
            let Some(end) = closing(inner) else {
                out.push_str(tail);
                rest = "";
                break;
            };
            let expr = inner.get(..end).unwrap_or("");
            out.push_str(&self.part(shown, expr, format, env, depth));
            rest = inner.get(end + 1..).unwrap_or("");
            if out.len() > MAX_TEXT {
                return out.chars().take(MAX_TEXT).collect();
            }
        }
        out.push_str(rest);
        out
    }

    /// One expression of a display string.
    fn part(&self, shown: &Shown, expr: &str, format: &Format, env: &Env, depth: usize) -> String {
        let (val, own) = match self.valued(shown, expr, env) {
            Ok(found) => found,
            Err(why) => return why,
        };
        let own = Format { radix: own.radix.or(format.radix), ..own };
        // A text of a given length is that text alone.
        if let (Val::Typed(typed), Some(form), Some(count)) = (&val, own.text, own.count)
            && let Kind::Pointer(to) = typed.ty.kind()
        {
            let wide = form.wide.unwrap_or(to.character() == Some(true));
            let text = self.target(typed).ok().and_then(|va| self.read_text(va, wide, Some(count)));
            return match text {
                Some(text) if form.quoted => format!("\"{text}\""),
                Some(text) => text,
                None => String::new(),
            };
        }
        match self.text(&val, &own, depth + 1) {
            Ok(Some(text)) => text,
            Ok(None) => self.type_name(&val, false).map_or_else(String::new, |_| "{...}".to_owned()),
            Err(why) => why,
        }
    }

    pub(super) fn expand(
        &self,
        shown: &Shown,
        nodes: &[Node],
        format: &Format,
        most: usize,
        depth: usize,
        out: &mut Vec<Child>,
    ) {
        for node in nodes {
            if out.len() >= MAX_ITEMS || depth > MAX_DEPTH || self.spent() {
                return;
            }
            let env = &shown.env;
            if !self.holds(shown, node.condition.as_deref(), env) {
                continue;
            }
            match &node.kind {
                NodeKind::Item { name, expr } => {
                    let name = self.filled(shown, name, format, env, depth);
                    out.push(self.view_child(shown, Label::Name(name), expr, env));
                }
                NodeKind::Synthetic { name, display, expand } => {
                    let mut inner = Vec::new();
                    self.expand(shown, expand, format, most, depth + 1, &mut inner);
                    let text = self.chosen(shown, display, env);
                    let val = if inner.is_empty() { Val::Absent } else { Val::Children(inner.into()) };
                    let mut child = Child::new(Label::Name(name.clone()), val);
                    child.text = text.map(|t| self.filled(shown, t, format, env, depth));
                    out.push(child);
                }
                NodeKind::Expanded { expr } => {
                    let Ok((val, own)) = self.valued(shown, expr, env) else { continue };
                    if depth < MAX_DEPTH {
                        let inner = Format { radix: own.radix.or(format.radix), ..own };
                        // What is shown in the middle of another object has no raw view of its own.
                        out.extend(self.children(&val, &inner, 0, most).into_iter().filter(|c| !c.closed));
                    }
                }
                NodeKind::Array { size, pointer } => {
                    let count = self.chosen(shown, size, env).map_or(0, |t| self.sized(shown, t, env));
                    let Some(Ok((val, _))) =
                        self.chosen(shown, pointer, env).map(|t| self.valued(shown, t, env))
                    else {
                        continue;
                    };
                    for i in 0..count.min(most as u64) {
                        match self.index(&val, &Val::Int(i.into(), true)) {
                            Ok(val) => out.push(Child::new(Label::Key(Key::Int(i.into())), val)),
                            Err(_) => break,
                        }
                    }
                }
                NodeKind::Index { size, value } => {
                    let count = self.chosen(shown, size, env).map_or(0, |t| self.sized(shown, t, env));
                    for i in 0..count.min(most as u64) {
                        let mut env = env.clone();
                        env.names.push(("$i".into(), Val::Int(i.into(), true)));
                        let Some(text) = self.chosen(shown, value, &env) else { break };
                        let text = text.replace("$i", &i.to_string());
                        out.push(self.view_child(shown, Label::Key(Key::UInt(i)), &text, &env));
                    }
                }
                NodeKind::Linked { .. } => self.linked(shown, &node.kind, most, out),
                NodeKind::Tree { .. } => self.tree(shown, &node.kind, format, most, out),
                NodeKind::Custom { .. } => self.custom(shown, &node.kind, format, most, out),
            }
        }
    }

    /// A child by its expression.
    pub(super) fn view_child(&self, shown: &Shown, label: Label, expr: &str, env: &Env) -> Child {
        match self.valued(shown, expr, env) {
            Ok((val, format)) => {
                let mut child = Child::new(label, val);
                child.format = (format != Format::default()).then_some(format);
                child
            }
            Err(why) => Child::new(label, Val::Failed(why)),
        }
    }

    /// The node that a pointer leads to; `None` at the end.
    fn node_at(&self, val: &Val) -> Option<Typed> {
        let Val::Typed(typed) = val else { return None };
        match typed.ty.kind() {
            Kind::Pointer(to) => {
                let va = self.target(typed).ok().filter(|va| *va != 0)?;
                Some(Typed::at(to, va))
            }
            _ => None,
        }
    }

    fn linked(&self, shown: &Shown, kind: &NodeKind, most: usize, out: &mut Vec<Child>) {
        let NodeKind::Linked { size, head, next, value, name } = kind else { return };
        let count =
            size.as_ref().map(|t| self.sized(shown, t, &shown.env)).unwrap_or(u64::MAX).min(most as u64);
        let mut at = self.valued(shown, head, &shown.env).ok().map(|(val, _)| val);
        let mut seen = BTreeSet::new();
        let mut i = 0;
        while let Some(node) = at.take().and_then(|v| self.node_at(&v)).filter(|_| i < count) {
            // A list that comes back to a node ends there.
            if self.step().is_err() || !seen.insert(node.address()) {
                return;
            }
            let env = shown.of_node(node);
            let label = match name {
                Some(name) => Label::Name(self.filled(shown, name, &Format::default(), &env, 0)),
                None => Label::Key(Key::UInt(i)),
            };
            let mut child = self.view_child(shown, label, value, &env);
            child.item = true;
            out.push(child);
            at = self.valued(shown, next, &env).ok().map(|(val, _)| val);
            i += 1;
        }
    }

    fn tree(&self, shown: &Shown, kind: &NodeKind, format: &Format, most: usize, out: &mut Vec<Child>) {
        let NodeKind::Tree { size, head, left, right, value, name, condition } = kind else { return };
        let count =
            size.as_ref().map(|t| self.sized(shown, t, &shown.env)).unwrap_or(u64::MAX).min(most as u64);
        let follow = |text: &str, env: &Env| {
            self.valued(shown, text, env).ok().and_then(|(val, _)| self.node_at(&val))
        };
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<Typed> = Vec::new();
        let mut at = follow(head, &shown.env);
        let mut i = 0u64;
        loop {
            // Down on the left, then the node itself, then what is right of it.
            while let Some(node) = at.take() {
                if self.step().is_err() || seen.len() >= MAX_ITEMS || !seen.insert(node.address()) {
                    break;
                }
                at = follow(left, &shown.of_node(node.clone()));
                waiting.push(node);
            }
            let Some(node) = waiting.pop() else { return };
            if i >= count {
                return;
            }
            let env = shown.of_node(node);
            if self.holds(shown, condition.as_deref(), &env) {
                let label = match name {
                    Some(name) => Label::Key(Key::Text(self.filled(shown, name, format, &env, 0))),
                    None => Label::Key(Key::UInt(i)),
                };
                out.push(self.view_child(shown, label, value, &env));
                i += 1;
            }
            at = follow(right, &env);
        }
    }
}

impl Shown {
    /// An expression with `$T1` and the like replaced.
    fn text(&self, text: &str) -> String {
        if self.captures.is_empty() || !text.contains("$T") {
            return text.to_owned();
        }
        let mut out = text.to_owned();
        // From the last: `$T1` is the start of `$T10`.
        for (i, capture) in self.captures.iter().enumerate().rev() {
            out = out.replace(&format!("$T{}", i + 1), capture);
        }
        out
    }

    /// The names of a node of the object.
    fn of_node(&self, node: Typed) -> Env {
        Env { names: self.env.names.clone(), this: Some(node) }
    }
}

fn shown(typed: &Typed, captures: Vec<String>) -> Shown {
    let env = Env { names: Vec::new(), this: Some(typed.clone()) };
    Shown { env, captures }
}

fn udt_name(typed: &Typed) -> Option<String> {
    match typed.ty.kind() {
        Kind::Udt(_, name) => Some(name),
        _ => None,
    }
}

fn raw_view(typed: &Typed) -> Child {
    let mut child = Child::new(Label::Name("[<Raw View>]".into()), Val::Typed(Box::new(typed.clone())));
    child.closed = true;
    child
}

/// Where the brace that is open at the start of a text closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quoted = false;
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted && depth == 0 => return Some(i),
            '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}
