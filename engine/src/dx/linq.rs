//! Methods: those of every value, of texts, of lists, and of the object model.

use super::arithmetic::Num;
use super::value::{Key, Lambda, MAX_ITEMS, Typed, Val};
use super::world::World;
use super::{Format, read_format};
use crate::dx::ty::Kind;
use crate::expr::cpp::Binary;
use std::cmp::Ordering;

/// Deepest list in lists that `Flatten` opens.
const MAX_FLAT: usize = 16;

type Items = Vec<(Key, Val)>;

impl World<'_> {
    /// A method of a value for arguments; `None`: it has no method of that name.
    pub(crate) fn method(&self, on: &Val, name: &str, given: &[Val]) -> Option<Result<Val, String>> {
        if let Val::Failed(why) = on {
            return Some(Err(why.clone()));
        }
        if let Val::Text(text) = on
            && let Some(result) = self.text_method(text, name, given)
        {
            return Some(result);
        }
        if let Val::Model(model) = on
            && let Some(result) = self.model_method(*model, name, given)
        {
            return Some(result);
        }
        if name == "ToDisplayString" {
            return Some(self.display(on, given));
        }
        if METHODS.contains(&name) {
            // Counting needs no elements.
            if name == "Count"
                && given.is_empty()
                && let Some(n) = self.length(on)
            {
                return Some(Ok(Val::uint(n)));
            }
            return self.items(on).map(|items| self.list_method(items, name, given));
        }
        None
    }

    fn display(&self, on: &Val, given: &[Val]) -> Result<Val, String> {
        let format = match given.first() {
            None => Format::default(),
            Some(Val::Text(text)) => read_format(text).unwrap_or_default(),
            Some(_) => return Err("Argument is not a string".into()),
        };
        // The engine does so with arrays.
        if let Val::Typed(typed) = on
            && super::items::is_array(&typed.ty)
        {
            return Err("Call failed. (0x80004005)".into());
        }
        let text = self.text(on, &format, 0)?;
        Ok(Val::Text(text.or_else(|| self.type_name(on, false)).unwrap_or_default()))
    }

    fn list_method(&self, items: Items, name: &str, given: &[Val]) -> Result<Val, String> {
        let wrong = || Err(format!("Invalid number of arguments to method '{name}'"));
        let function = |i: usize| match given.get(i) {
            Some(Val::Lambda(lambda)) => Ok(lambda),
            _ => Err("Argument is not a function".to_owned()),
        };
        let truth = |lambda: &Lambda, val: &Val| self.truth(&self.apply(lambda, std::slice::from_ref(val))?);
        let of = |lambda: Option<&Lambda>, val: &Val| match lambda {
            Some(lambda) => self.apply(lambda, std::slice::from_ref(val)),
            None => Ok(val.clone()),
        };
        let optional = || if given.is_empty() { Ok(None) } else { function(0).map(|l| Some(&**l)) };
        match (name, given.len()) {
            ("Where", 1) => {
                let lambda = function(0)?;
                let mut out = Items::new();
                for (key, val) in items {
                    if truth(lambda, &val)? {
                        out.push((key, val));
                    }
                }
                Ok(Val::list(out))
            }
            ("Select", 1) => {
                let lambda = function(0)?;
                let mut out = Items::new();
                for (key, val) in items {
                    match self.apply(lambda, &[val]) {
                        Ok(Val::Absent) => {}
                        Ok(made) => out.push((key, made)),
                        Err(why) if self.spent() => return Err(why),
                        Err(why) => out.push((key, Val::Failed(why))),
                    }
                }
                Ok(Val::list(out))
            }
            ("SelectMany", 1) => {
                let lambda = function(0)?;
                let mut out = Vec::new();
                for (_, val) in items {
                    let made = self.apply(lambda, &[val])?;
                    out.extend(self.items(&made).unwrap_or_default().into_iter().map(|(_, v)| v));
                    if out.len() > MAX_ITEMS {
                        break;
                    }
                }
                Ok(Val::counted(out))
            }
            ("OrderBy" | "OrderByDescending", 1) => {
                let lambda = function(0)?;
                let mut keys = Vec::new();
                for (_, val) in &items {
                    keys.push(self.apply(lambda, std::slice::from_ref(val))?);
                }
                let mut keyed: Vec<_> = self.sortable(&keys)?.into_iter().zip(items).collect();
                // Equal ones keep their order both ways.
                match name {
                    "OrderBy" => keyed.sort_by(|a, b| a.0.cmp(&b.0)),
                    _ => keyed.sort_by(|a, b| b.0.cmp(&a.0)),
                }
                Ok(Val::list(keyed.into_iter().map(|(_, item)| item).collect()))
            }
            ("GroupBy", 1) => self.group(items, function(0)?),
            ("Count", 0) => Ok(Val::uint(items.len() as u64)),
            ("Count", 1) => {
                let lambda = function(0)?;
                let mut n = 0u64;
                for (_, val) in &items {
                    n += u64::from(truth(lambda, val)?);
                }
                Ok(Val::uint(n))
            }
            ("First" | "FirstOrDefault" | "Last" | "LastOrDefault" | "Single", 0 | 1) => {
                let lambda = optional()?;
                let mut hits = Vec::new();
                for (_, val) in items {
                    if match lambda {
                        Some(lambda) => truth(lambda, &val)?,
                        None => true,
                    } {
                        hits.push(val);
                        if name.starts_with("First") {
                            break;
                        }
                    }
                }
                let found = if name.starts_with("Last") { hits.pop() } else { hits.first().cloned() };
                match (found, name) {
                    (Some(_), "Single") if hits.len() > 1 => {
                        Err("Sequence contains more than one element".into())
                    }
                    (Some(val), _) => Ok(val),
                    (None, "FirstOrDefault" | "LastOrDefault") => Ok(Val::Absent),
                    (None, _) => Err("Sequence contains no elements".into()),
                }
            }
            ("Any", 0) => Ok(Val::Bool(!items.is_empty())),
            ("Any" | "All", 1) => {
                let lambda = function(0)?;
                for (_, val) in &items {
                    if truth(lambda, val)? == (name == "Any") {
                        return Ok(Val::Bool(name == "Any"));
                    }
                }
                Ok(Val::Bool(name != "Any"))
            }
            ("Take" | "Skip", 1) => {
                let n = given.first().map_or(Ok(0), |v| self.whole(v))?;
                let n = usize::try_from(n).unwrap_or(0);
                Ok(Val::list(match name {
                    "Take" => items.into_iter().take(n).collect(),
                    _ => items.into_iter().skip(n).collect(),
                }))
            }
            ("TakeWhile" | "SkipWhile", 1) => {
                let lambda = function(0)?;
                let mut out = Items::new();
                let mut on = true;
                for (key, val) in items {
                    on = on && truth(lambda, &val)?;
                    if on == (name == "TakeWhile") {
                        out.push((key, val));
                    } else if name == "TakeWhile" {
                        break;
                    }
                }
                Ok(Val::list(out))
            }
            ("Reverse", 0) => Ok(Val::list(items.into_iter().rev().collect())),
            ("Sum" | "Average", 0 | 1) => {
                let lambda = optional()?;
                let mut sum = Val::Int(0, true);
                for (i, (_, val)) in items.iter().enumerate() {
                    let made = of(lambda, val)?;
                    sum = if i == 0 {
                        match self.number(&made)? {
                            Some(Num::Int(n, signed, _)) => Val::Int(n, signed),
                            Some(Num::Float(f)) => Val::Float(f),
                            _ => made,
                        }
                    } else {
                        self.binary(Binary::Add, &sum, &made)?
                    };
                }
                if name == "Sum" {
                    return Ok(sum);
                }
                if items.is_empty() {
                    return Err("Sequence contains no elements".into());
                }
                let all = match self.number(&sum)? {
                    Some(Num::Int(n, ..)) => n as f64,
                    Some(Num::Float(f)) => f,
                    _ => return Err("Illegal operand for operator".into()),
                };
                Ok(Val::Float(all / items.len() as f64))
            }
            ("Min" | "Max", 0 | 1) => {
                let lambda = optional()?;
                let mut best: Option<Val> = None;
                for (_, val) in &items {
                    let made = of(lambda, val)?;
                    let better = match &best {
                        None => true,
                        Some(best) => {
                            let order = self.order(&made, best)?;
                            if name == "Max" { order.is_gt() } else { order.is_lt() }
                        }
                    };
                    if better {
                        best = Some(made);
                    }
                }
                best.ok_or_else(|| "Sequence contains no elements".into())
            }
            ("Aggregate", 1 | 2) => {
                let mut items = items.into_iter().map(|(_, v)| v);
                let (mut sum, lambda) = match given {
                    [Val::Lambda(lambda)] => (items.next().ok_or("Sequence contains no elements")?, lambda),
                    [seed, Val::Lambda(lambda)] => (seed.clone(), lambda),
                    _ => return Err("Argument is not a function".into()),
                };
                for val in items {
                    sum = self.apply(lambda, &[sum, val])?;
                }
                Ok(sum)
            }
            ("Distinct", 0 | 1) => {
                let lambda = optional()?;
                let mut seen: Vec<Val> = Vec::new();
                let mut out = Items::new();
                for (key, val) in items {
                    let made = of(lambda, &val)?;
                    let mut known = false;
                    for other in &seen {
                        self.step()?;
                        known = known || self.same(other, &made)?;
                    }
                    if !known {
                        seen.push(made);
                        out.push((key, val));
                    }
                }
                Ok(Val::list(out))
            }
            ("Contains", 1) => {
                let Some(want) = given.first() else { return wrong() };
                for (_, val) in &items {
                    if self.truth(&self.binary(Binary::Eq, val, want)?)? {
                        return Ok(Val::Bool(true));
                    }
                }
                Ok(Val::Bool(false))
            }
            ("Concat", 1) => {
                let more = given.first().and_then(|v| self.items(v)).ok_or("Argument is not a sequence")?;
                Ok(Val::counted(items.into_iter().chain(more).map(|(_, v)| v)))
            }
            ("Flatten", 0 | 1) => {
                let mut out = Vec::new();
                let level = items.into_iter().map(|(_, v)| v).collect();
                self.flatten(level, given.first(), 0, &mut out)?;
                Ok(Val::counted(out))
            }
            _ => wrong(),
        }
    }

    /// Level by level: a list's elements follow all of its own level.
    fn flatten(
        &self,
        level: Vec<Val>,
        child: Option<&Val>,
        depth: usize,
        out: &mut Vec<Val>,
    ) -> Result<(), String> {
        if depth > MAX_FLAT || level.is_empty() || out.len() > MAX_ITEMS {
            return Ok(());
        }
        let mut next = Vec::new();
        for val in level {
            self.step()?;
            let inner = match child {
                Some(Val::Lambda(lambda)) => self.items(&self.apply(lambda, std::slice::from_ref(&val))?),
                _ => self.items(&val),
            };
            out.push(val);
            // An array of arrays may say that it has billions.
            if out.len().saturating_add(next.len()) <= MAX_ITEMS {
                next.extend(inner.unwrap_or_default().into_iter().map(|(_, v)| v));
            }
        }
        self.flatten(next, child, depth + 1, out)
    }

    fn group(&self, items: Items, lambda: &Lambda) -> Result<Val, String> {
        let mut groups: Vec<(Val, Vec<Val>)> = Vec::new();
        for (_, val) in items {
            let of = self.apply(lambda, std::slice::from_ref(&val))?;
            let mut at = None;
            for (i, (known, _)) in groups.iter().enumerate() {
                self.step()?;
                if self.same(known, &of)? {
                    at = Some(i);
                    break;
                }
            }
            match at.and_then(|i| groups.get_mut(i)) {
                Some((_, members)) => members.push(val),
                None => groups.push((of, vec![val])),
            }
        }
        let key = |val: &Val| match val {
            Val::Text(text) => Key::Text(text.clone()),
            Val::Int(n, false) => Key::UInt(*n as u64),
            Val::Int(n, true) => Key::Int(*n),
            other => Key::Name(self.text(other, &Format::default(), 0).ok().flatten().unwrap_or_default()),
        };
        Ok(Val::list(groups.into_iter().map(|(of, members)| (key(&of), Val::counted(members))).collect()))
    }

    /// Keys of one kind that can be sorted: texts, whole numbers, or numbers of which some have fractions.
    fn sortable(&self, vals: &[Val]) -> Result<Vec<SortKey>, String> {
        if vals.iter().all(|v| matches!(v, Val::Text(_))) {
            return Ok(vals.iter().map(|v| SortKey::Text(self.plain_text(v).unwrap_or_default())).collect());
        }
        let mut nums = Vec::new();
        for val in vals {
            let Some(num) = self.number(val)? else {
                return Err("Cannot compare non-intrinsic values to each other.".into());
            };
            nums.push(num);
        }
        let fractions = nums.iter().any(|n| matches!(n, Num::Float(_)));
        let key = |num: &Num| match num {
            Num::Int(n, ..) if fractions => SortKey::Float(*n as f64),
            Num::Int(n, ..) => SortKey::Int(*n),
            Num::Pointer(va, _) if fractions => SortKey::Float(*va as f64),
            Num::Pointer(va, _) => SortKey::Int((*va).into()),
            Num::Float(f) => SortKey::Float(*f),
        };
        Ok(nums.iter().map(key).collect())
    }

    fn order(&self, a: &Val, b: &Val) -> Result<Ordering, String> {
        self.step()?;
        if self.truth(&self.binary(Binary::Lt, a, b)?)? {
            return Ok(Ordering::Less);
        }
        Ok(if self.truth(&self.binary(Binary::Gt, a, b)?)? { Ordering::Greater } else { Ordering::Equal })
    }

    fn same(&self, a: &Val, b: &Val) -> Result<bool, String> {
        match (a, b) {
            (Val::Absent, Val::Absent) => Ok(true),
            (Val::Absent, _) | (_, Val::Absent) => Ok(false),
            (Val::Model(a), Val::Model(b)) => Ok(a == b),
            _ => self.truth(&self.binary(Binary::Eq, a, b)?),
        }
    }

    /// The typed object that an argument is.
    pub(crate) fn typed_argument(&self, val: Option<&Val>) -> Option<Typed> {
        match val? {
            Val::Typed(typed) => {
                self.resolved((**typed).clone()).ok().filter(|t| !matches!(t.ty.kind(), Kind::Pointer(_)))
            }
            _ => None,
        }
    }
}

/// What lists are sorted by.
#[derive(Clone, Debug)]
enum SortKey {
    Int(i128),
    Float(f64),
    Text(String),
}

impl SortKey {
    fn cmp(&self, other: &SortKey) -> Ordering {
        match (self, other) {
            (SortKey::Int(a), SortKey::Int(b)) => a.cmp(b),
            (SortKey::Float(a), SortKey::Float(b)) => a.total_cmp(b),
            (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }
}

/// Methods of lists.
const METHODS: &[&str] = &[
    "Aggregate",
    "All",
    "Any",
    "Average",
    "Concat",
    "Contains",
    "Count",
    "Distinct",
    "First",
    "FirstOrDefault",
    "Flatten",
    "GroupBy",
    "Last",
    "LastOrDefault",
    "Max",
    "Min",
    "OrderBy",
    "OrderByDescending",
    "Reverse",
    "Select",
    "SelectMany",
    "Single",
    "Skip",
    "SkipWhile",
    "Sum",
    "Take",
    "TakeWhile",
    "Where",
];
