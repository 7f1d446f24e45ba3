//! `@$curprocess.Dumpscope`: what our own commands say, as objects. Listings of the process omit it, so that they are as
//! the engine's.

use super::{Members, Model, m};
use crate::dx::value::{Key, MAX_ITEMS, Val};
use crate::dx::world::World;
use crate::run::run_captured;
use crate::{RenderCx, Report, Sink};
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Names, the command whose report each is, and the report's list when it is one.
const REPORTS: &[(&str, &str, Option<&str>)] = &[
    ("Waits", "!waits", Some("threads")),
    ("Locks", "!locks", Some("locks")),
    ("ComCalls", "!com", Some("threads")),
    ("Findings", "!analyze", None),
];

/// Deepest report that is shown.
const MAX_DEPTH: usize = 16;

pub(super) fn members() -> Members {
    REPORTS.iter().map(|(name, ..)| m(name, Val::Model(Model::OwnReport(name)))).collect()
}

/// Keeps the JSON of reports.
#[derive(Default)]
struct Kept(Vec<Value>);

impl Sink for Kept {
    fn report(&mut self, report: &dyn Report, _cx: &RenderCx) -> ControlFlow<()> {
        if report.kind() != "error" {
            self.0.push(report.json());
        }
        ControlFlow::Continue(())
    }
}

impl World<'_> {
    /// The reports of a command as JSON.
    pub(super) fn reports(&self, command: &str) -> Vec<Value> {
        let mut session = self.session.clone();
        let mut kept = Kept::default();
        // What a command cannot tell is no element here.
        let _ = run_captured(&mut session, command, &mut kept);
        kept.0
    }

    fn own_report(&self, name: &str) -> Option<(Value, Option<&'static str>)> {
        let (_, command, list) = REPORTS.iter().find(|(n, ..)| *n == name)?;
        Some((self.reports(command).into_iter().next()?, *list))
    }

    pub(super) fn own_members(&self, name: &str) -> Members {
        match self.own_report(name) {
            Some((report, None)) => match value(&report, 0) {
                Val::Object(members) => members.to_vec(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    pub(super) fn own_items(&self, name: &str) -> Option<Vec<(Key, Val)>> {
        if REPORTS.iter().any(|(n, _, list)| *n == name && list.is_none()) {
            return None;
        }
        let rows = self.own_report(name).and_then(|(report, list)| report.get(list?)?.as_array().cloned());
        Some(
            rows.unwrap_or_default()
                .iter()
                .take(MAX_ITEMS)
                .enumerate()
                .map(|(i, row)| (Key::UInt(i as u64), value(row, 0)))
                .collect(),
        )
    }
}

/// A JSON value: numbers in hex are numbers, null is left out.
pub(super) fn value(json: &Value, depth: usize) -> Val {
    if depth > MAX_DEPTH {
        return Val::Absent;
    }
    match json {
        Value::Null => Val::Absent,
        Value::Bool(b) => Val::Bool(*b),
        Value::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => Val::uint(n),
            (None, Some(n)) => Val::Int(n.into(), true),
            (None, None) => Val::Float(n.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => match text.strip_prefix("0x").map(|h| u64::from_str_radix(h, 16)) {
            Some(Ok(n)) => Val::uint(n),
            _ => Val::Text(text.clone()),
        },
        Value::Array(items) => Val::counted(items.iter().map(|v| value(v, depth + 1))),
        Value::Object(members) => {
            Val::Object(Arc::new(members.iter().map(|(n, v)| (n.clone(), value(v, depth + 1))).collect()))
        }
    }
}
