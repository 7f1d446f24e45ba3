//! A call of a tool: its arguments, checked by the tool's row.

use super::answer::{MAX_ITEMS, PAGE, Wanted};
use super::opened::Opened;
use super::server::State;
use super::tools::{Arg, Kind, Tool};
use dumpscope_analyzers::Cancel;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Longest text of an argument, bytes.
const MAX_ARGUMENT: usize = 16 << 10;

/// Why a call has no answer: a sentence for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

impl<T: Into<String>> From<T> for Refused {
    fn from(text: T) -> Refused {
        Refused(text.into())
    }
}

/// What a tool answers.
pub(super) type Answered = Result<Value, Refused>;

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) state: Arc<State>,
    args: Map<String, Value>,
    /// Stops at the end of the budget, and when the client says so.
    pub(super) cancel: Cancel,
}

impl Call {
    /// Checks the arguments.
    pub(super) fn new(
        tool: &Tool,
        state: Arc<State>,
        args: Map<String, Value>,
        cancel: Cancel,
    ) -> Result<Call, Refused> {
        for (name, value) in &args {
            let Some(arg) = tool.args.iter().find(|a| a.name == name) else {
                return Err(format!("`{}` has no argument of this name", tool.name).into());
            };
            check(arg, value)?;
        }
        if let Some(missing) = tool.args.iter().find(|a| a.required && !args.contains_key(a.name)) {
            return Err(format!("the argument `{}` is missing", missing.name).into());
        }
        Ok(Call { state, args, cancel })
    }

    /// A text that was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.args.get(name).and_then(Value::as_str)
    }

    /// A number that was given.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.args.get(name).and_then(Value::as_u64)
    }

    /// True when it was given and is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.args.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// `offset` and `limit`.
    pub(super) fn wanted(&self) -> Wanted {
        let number = |name, default: u64| self.number(name).unwrap_or(default);
        Wanted {
            offset: usize::try_from(number("offset", 0)).unwrap_or(usize::MAX),
            limit: usize::try_from(number("limit", PAGE).clamp(1, MAX_ITEMS)).unwrap_or(1),
        }
    }

    /// The dump that `dump` names; without a name the only one.
    pub(super) fn dump(&self) -> Result<Arc<Opened>, Refused> {
        match self.text("dump") {
            Some(id) => self.find(id),
            None => match self.state.dumps.all().as_slice() {
                [one] => Ok(one.clone()),
                [] => Err("no dump is open: `open_dump` opens one".into()),
                many => Err(format!(
                    "{} dumps are open: say which with `dump` ({})",
                    many.len(),
                    many.iter().map(|o| o.id.as_str()).collect::<Vec<_>>().join(", ")
                )
                .into()),
            },
        }
    }

    /// The dumps that `dumps` names; without names all.
    pub(super) fn dumps(&self) -> Result<Vec<Arc<Opened>>, Refused> {
        match self.args.get("dumps").and_then(Value::as_array) {
            Some(ids) => ids.iter().filter_map(Value::as_str).map(|id| self.find(id)).collect(),
            None => Ok(self.state.dumps.all()),
        }
    }

    fn find(&self, id: &str) -> Result<Arc<Opened>, Refused> {
        self.state.dumps.find(id).ok_or_else(|| "no dump of this id is open; `list_dumps` shows them".into())
    }
}

fn check(arg: &Arg, value: &Value) -> Result<(), Refused> {
    let right = match arg.kind {
        Kind::Text => value.as_str().is_some_and(|t| t.len() <= MAX_ARGUMENT),
        Kind::Number => value.is_u64(),
        Kind::Flag => value.is_boolean(),
        Kind::Words(words) => value.as_str().is_some_and(|t| words.contains(&t)),
        Kind::Texts => value.as_array().is_some_and(|a| a.len() <= 64 && a.iter().all(Value::is_string)),
    };
    match right {
        true => Ok(()),
        false => Err(format!("`{}` must be {}", arg.name, kind_text(arg.kind)).into()),
    }
}

fn kind_text(kind: Kind) -> String {
    match kind {
        Kind::Text => format!("a text of at most {MAX_ARGUMENT} bytes"),
        Kind::Number => "a whole number".into(),
        Kind::Flag => "true or false".into(),
        Kind::Words(words) => format!("one of {}", words.join(", ")),
        Kind::Texts => "a list of texts".into(),
    }
}

/// The JSON Schema of a tool's arguments.
pub(super) fn schema(args: &[Arg]) -> Map<String, Value> {
    let one = |arg: &Arg| {
        let mut schema = match arg.kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Number => json!({ "type": "integer", "minimum": 0 }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Words(words) => json!({ "type": "string", "enum": words }),
            Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        };
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".into(), arg.about.into());
        }
        (arg.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = args.iter().map(one).collect();
    let required: Vec<&str> = args.iter().filter(|a| a.required).map(|a| a.name).collect();
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}
