//! Which constants are kept by value (codes and messages), and which by name.

use crate::model::{Constant, Model, Ty, Value};

/// Prefixes of untyped constants that are a family of messages, and the header that has them.
pub const FAMILIES: &[&str] = &[
    "WM", "EM", "LB", "CB", "BM", "LVM", "TVM", "TCM", "HDM", "TBM", "SBM", "STM", "PBM", "TTM", "TB", "RB",
    "SB", "CBEM", "DTM", "MCM", "UDM", "HKM", "IPM", "ACM", "PGM", "DM", "PSM",
];

/// True for codes and messages.
pub fn is_kept_by_value(c: &Constant) -> bool {
    family(c).is_some() || typed(c).is_some()
}

/// Untyped constants and those whose type keeps none, by name.
pub fn plain_constants(model: &Model) -> Vec<&Constant> {
    let mut out: Vec<&Constant> =
        model.constants.iter().filter(|c| family(c).is_none() && typed(c).is_none()).collect();
    out.sort_by(|a, b| (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace)));
    out
}

/// The family of messages that a constant is in.
fn family(c: &Constant) -> Option<&'static str> {
    let numbers = matches!(c.ty, Ty::Base(_)) && matches!(c.value, Value::Int(_));
    let (prefix, _) = c.name.split_once('_')?;
    let ui = c.namespace.starts_with("Windows.Win32.UI.");
    FAMILIES.iter().copied().find(|f| numbers && ui && *f == prefix)
}

pub fn family_members<'a>(model: &'a Model, family_name: &str) -> Vec<(i64, &'a str)> {
    let fits = |c: &&Constant| family(c).is_some_and(|f| f == family_name);
    let value = |c: &'a Constant| match c.value {
        Value::Int(v) => Some((v, c.name.as_str())),
        _ => None,
    };
    model.constants.iter().filter(fits).filter_map(value).collect()
}

/// Types whose constants are kept by value: codes.
const CODES: &[&str] = &["Windows.Win32.Foundation.HRESULT", "Windows.Win32.Foundation.NTSTATUS"];

fn typed(c: &Constant) -> Option<&str> {
    match (&c.ty, &c.value) {
        (Ty::Named(k), Value::Int(_)) => CODES.iter().copied().find(|t| t == k),
        _ => None,
    }
}

pub fn typed_members<'a>(model: &'a Model, key: &str) -> Vec<(i64, &'a str)> {
    let value = |c: &'a Constant| match c.value {
        Value::Int(v) if typed(c) == Some(key) => Some((v, c.name.as_str())),
        _ => None,
    };
    if !CODES.contains(&key) {
        return Vec::new();
    }
    model.constants.iter().filter_map(value).collect()
}
