//! Where two answers differ, in words.

use serde_json::Value;

/// Most differences that are told.
const MOST: usize = 20;

/// Longest value that is shown, characters.
const WIDTH: usize = 80;

/// Fields of rows that hold texts which the program worked on, or sentences that tell of them.
const TEXTS: [&str; 14] = [
    "value",
    "hint",
    "hints",
    "text",
    "message",
    "name",
    "image_path",
    "command_line",
    "activity",
    "summary",
    "evidence",
    "advice",
    "object",
    "window",
];

/// Adds the places at which two values differ. `texts`: counts texts that differ, instead.
pub(super) fn values(
    place: &str,
    a: &Value,
    b: &Value,
    mut texts: Option<&mut usize>,
    out: &mut Vec<String>,
) {
    if a == b || out.len() >= MOST {
        return;
    }
    if let Some(n) = texts.as_deref_mut() {
        let field = place.rsplit('.').next().unwrap_or_default();
        let field = field.split('[').next().unwrap_or_default();
        if TEXTS.contains(&field) && (a.is_string() || a.is_array()) && !is_hex(a) {
            *n = n.saturating_add(1);
            return;
        }
    }
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for ((name, a), b) in a.iter().zip(b.values()) {
                let dot = if place.is_empty() { "" } else { "." };
                values(&format!("{place}{dot}{name}"), a, b, texts.as_deref_mut(), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                values(&format!("{place}[{n}]"), a, b, texts.as_deref_mut(), out);
            }
        }
        _ => out.push(format!("{place}: {} became {}", short(&a.to_string()), short(&b.to_string()))),
    }
}

fn is_hex(value: &Value) -> bool {
    value.as_str().is_some_and(|t| t.starts_with("0x"))
}

/// The first line in which two outputs of a command line differ.
pub(super) fn texts(command: &str, a: &str, b: &str) -> String {
    let (mut left, mut right) = (a.lines(), b.lines());
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => return format!("`{}`: the output differs", short(command)),
            (a, b) => {
                let show = |line: Option<&str>| {
                    line.map_or("the end".to_owned(), |l| format!("`{}`", short(l.trim())))
                };
                return format!("`{}`: {} became {}", short(command), show(a), show(b));
            }
        }
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let start: String = text.chars().take(WIDTH).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_named() {
        let mut out = Vec::new();
        let a = json!({"threads": [{"tid": 1, "wait": null}], "locks": [1, 2]});
        let b = json!({"threads": [{"tid": 1, "wait": "event"}], "locks": [1]});
        values("", &a, &b, None, &mut out);
        assert_eq!(out, ["threads[0].wait: null became \"event\"", "locks: [1,2] became [1]"]);
        assert_eq!(texts("k", "a\nb", "a\nc\nd"), "`k`: `b` became `c`");
        assert_eq!(texts("k", "a", "a\nc"), "`k`: the end became `c`");
    }
}
