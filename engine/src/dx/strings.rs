//! Methods of texts.

use super::value::Val;
use super::world::World;

const ARGUMENTS: &str = "Invalid number of arguments to method";

/// Longest text that a method makes, in characters.
const MAX_WIDTH: i128 = 4096;

impl World<'_> {
    /// A method of a text; `None`: it has none of that name.
    pub(crate) fn text_method(&self, text: &str, name: &str, given: &[Val]) -> Option<Result<Val, String>> {
        let wrong = || Err(format!("{ARGUMENTS} '{name}'"));
        let first = given.first().map(|v| self.as_text(v));
        let one = |f: &dyn Fn(&str) -> Val| match (&first, given.len()) {
            (Some(Ok(other)), 1) => Ok(f(other)),
            (Some(Err(why)), 1) => Err(why.clone()),
            _ => wrong(),
        };
        let found = |at: Option<usize>| match at {
            Some(at) => Val::Int(text.get(..at).unwrap_or("").chars().count() as i128, true),
            None => Val::Int(-1, true),
        };
        Some(match name {
            "Contains" => one(&|other| Val::Bool(text.contains(other))),
            "StartsWith" => one(&|other| Val::Bool(text.starts_with(other))),
            "EndsWith" => one(&|other| Val::Bool(text.ends_with(other))),
            "IndexOf" => one(&|other| found(text.find(other))),
            "LastIndexOf" => one(&|other| found(text.rfind(other))),
            "ToUpper" if given.is_empty() => Ok(Val::Text(text.to_uppercase())),
            "ToLower" if given.is_empty() => Ok(Val::Text(text.to_lowercase())),
            "ToUpper" | "ToLower" => wrong(),
            "Replace" => match given {
                [a, b] => match (self.as_text(a), self.as_text(b)) {
                    (Ok(a), Ok(_)) if a.is_empty() => Ok(Val::text(text)),
                    (Ok(a), Ok(b)) => {
                        let made: String = text.replace(&a, &b);
                        Ok(Val::Text(made.chars().take(1 << 16).collect()))
                    }
                    (Err(why), _) | (_, Err(why)) => Err(why),
                },
                _ => wrong(),
            },
            "Substring" | "Remove" | "PadLeft" | "PadRight" | "Insert" => self.cut(text, name, given),
            _ => return None,
        })
    }

    fn cut(&self, text: &str, name: &str, given: &[Val]) -> Result<Val, String> {
        let range = || "Index out of range".to_owned();
        let at = |i: usize| -> Result<usize, String> {
            let n = given.get(i).map(|v| self.whole(v)).transpose()?;
            n.and_then(|n| usize::try_from(n).ok()).ok_or_else(range)
        };
        let chars: Vec<char> = text.chars().collect();
        let (start, end) = (at(0)?, if given.len() > 1 { Some(at(1)) } else { None });
        let part = |from: usize, to: usize| -> Result<String, String> {
            chars.get(from..to).map(|c| c.iter().collect()).ok_or_else(range)
        };
        match (name, given.len()) {
            ("Substring", 1) => part(start, chars.len()).map(Val::Text),
            ("Substring", 2) => part(start, start.saturating_add(end.unwrap_or(Ok(0))?)).map(Val::Text),
            ("Remove", 1) => part(0, start).map(Val::Text),
            ("Remove", 2) => {
                let until = start.saturating_add(end.unwrap_or(Ok(0))?);
                Ok(Val::Text(part(0, start)? + &part(until, chars.len())?))
            }
            ("PadLeft" | "PadRight", 1) => {
                let missing = start.min(MAX_WIDTH as usize).saturating_sub(chars.len());
                let blanks = " ".repeat(missing);
                Ok(Val::Text(if name == "PadLeft" { blanks + text } else { text.to_owned() + &blanks }))
            }
            _ => Err(format!("{ARGUMENTS} '{name}'")),
        }
    }

    /// The text that an argument is.
    fn as_text(&self, val: &Val) -> Result<String, String> {
        match val {
            Val::Text(text) => Ok(text.clone()),
            _ => Err("Argument is not a string".into()),
        }
    }
}
