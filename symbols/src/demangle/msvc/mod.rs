//! Undecorates names of Microsoft's C++ compiler (and of clang in its mode).
//!
//! A reader of our own. `msvc-demangler` 0.11 was read and tried first: it has no recursion limit, a back
//! reference clones the whole tree that it refers to (a name of 100 bytes can ask for gigabytes), and its
//! number arithmetic panics where overflow is checked. Names come from files that nobody vouches for, so here
//! depth, input and the bytes written are bounded, and texts are built directly, without a tree. Tests compare
//! the two over names that real compilers made.
//!
//! Grammar: `MicrosoftMangle.cpp` of clang and "Visual C++ name mangling" (wikibooks), as undname prints it.

mod operators;
mod types;

use types::Ty;

/// Longest decorated name; compilers hash longer ones than 4096.
const MAX_INPUT: usize = 8192;
/// Deepest nesting of types, templates and local scopes. Compilers stop at a few dozens.
const MAX_DEPTH: u32 = 64;
/// Most bytes that may be written in all, with those that are copied into longer texts.
const MAX_WORK: usize = 1 << 20;
/// Most scopes of one name.
const MAX_SCOPES: usize = 256;

/// What the result holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Scope and name, as in stacks; no `class` or `struct` in template arguments.
    NameOnly,
    /// Access, return type, calling convention, parameters.
    Full,
}

/// Undecorates a name that starts with `?`. `None` when it is damaged, unknown or over a limit.
pub(super) fn undecorate(name: &str, style: Style) -> Option<String> {
    if !name.starts_with('?') || name.len() > MAX_INPUT {
        return None;
    }
    let mut p = Parser::new(name.as_bytes(), style);
    let text = p.mangled()?;
    // What the compiler appends after the symbol is a suffix of the linker's (`$fin$0`): not part of the name.
    (p.rest().is_empty() || p.rest().starts_with(b"$")).then_some(text)
}

/// A name that a digit can refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Memo {
    /// What makes it different from others: two anonymous namespaces have one text.
    key: Vec<u8>,
    text: String,
}

/// Reads one decorated name.
struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    style: Style,
    depth: u32,
    work: usize,
    names: Vec<Memo>,
    types: Vec<Ty>,
}

/// The leftmost part of a symbol's name.
enum Leaf {
    Text(String),
    /// With the arguments of a template, or empty.
    Constructor(String),
    Destructor,
    /// With the arguments of a template, or empty.
    Conversion(String),
    /// Text of a special table, with the class that it is for behind it.
    Table(&'static str),
    /// `` `dynamic initializer for '…'' `` and the like; takes the whole name.
    For(&'static str),
    /// `` `local static guard' ``.
    Guard(&'static str),
    /// Complete in itself, without scope or type.
    Whole(String),
}

impl<'a> Parser<'a> {
    fn new(input: &'a [u8], style: Style) -> Parser<'a> {
        Parser { input, at: 0, style, depth: 0, work: 0, names: Vec::new(), types: Vec::new() }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or(&[])
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let b = self.peek()?;
        self.at += 1;
        Some(b)
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Counts the bytes of a new text; `None` over the limit.
    fn made(&mut self, text: String) -> Option<String> {
        self.work = self.work.saturating_add(text.len());
        (self.work <= MAX_WORK).then_some(text)
    }

    /// Runs `f` one level deeper; `None` over the limit.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// `?` and what follows.
    fn mangled(&mut self) -> Option<String> {
        self.nested(|p| {
            if !p.eat(b"?") {
                return None;
            }
            if p.eat(b"?@") {
                // A hash of a name that was too long; it cannot be turned back.
                let hash = p.until_at()?;
                return p.made(format!("??@{}@", String::from_utf8_lossy(hash)));
            }
            if p.eat(b"?_C@") {
                // A string constant: its text is in the rest of the name.
                p.at = p.input.len();
                return Some("`string'".into());
            }
            let leaf = p.leaf()?;
            p.symbol(leaf)
        })
    }

    fn symbol(&mut self, leaf: Leaf) -> Option<String> {
        let wrap = match leaf {
            Leaf::Whole(text) => {
                // Type descriptors end with `8`, behind an empty scope.
                self.eat(b"@");
                self.eat(b"8");
                return Some(text);
            }
            Leaf::For(what) => {
                // The variable is a name of its own (`?x@@3HA`, then `@`) or just a qualified name.
                let inner = if self.peek() == Some(b'?') && self.rest().get(1) != Some(&b'$') {
                    let inner = self.mangled()?;
                    self.eat(b"@").then_some(())?;
                    self.eat(b"@");
                    inner
                } else {
                    let leaf = self.leaf()?;
                    let scopes = self.scopes()?;
                    let name = self.join(&scopes, leaf)?;
                    if matches!(self.peek(), Some(b'0'..=b'4')) {
                        let variable = self.encoding(name, false)?;
                        self.eat(b"@").then_some(variable)?
                    } else {
                        name
                    }
                };
                let name = self.made(format!("`{what} for '{inner}''"))?;
                return self.encoding(name, false);
            }
            other => other,
        };
        let scopes = self.scopes()?;
        match wrap {
            Leaf::Table(what) => {
                let name = self.join(&scopes, Leaf::Text(what.into()))?;
                self.table(name)
            }
            Leaf::Guard(what) => {
                let name = self.join(&scopes, Leaf::Text(what.into()))?;
                if self.eat(b"4IA") || self.eat(b"5") || self.eat(b"4HA") {
                    if self.rest().is_empty() {
                        return Some(name);
                    }
                    let number = self.number()?;
                    return self.made(format!("{name}{{{number}}}"));
                }
                None
            }
            Leaf::Conversion(args) => {
                // The name is the return type, which comes at the end.
                let name = self.join(&scopes, Leaf::Text(format!("operator{args} ")))?;
                self.encoding(name, true)
            }
            leaf => {
                let name = self.join(&scopes, leaf)?;
                self.encoding(name, false)
            }
        }
    }

    /// Scopes (innermost first) and leaf as text.
    fn join(&mut self, scopes: &[String], leaf: Leaf) -> Option<String> {
        let class = scopes.first().map(String::as_str);
        let last = match leaf {
            Leaf::Text(t) | Leaf::Whole(t) => t,
            Leaf::Constructor(args) => format!("{}{args}", class?),
            Leaf::Destructor => format!("~{}", class?),
            Leaf::Conversion(_) => "operator ".into(),
            Leaf::Table(t) | Leaf::For(t) | Leaf::Guard(t) => t.into(),
        };
        let mut text = String::new();
        for scope in scopes.iter().rev() {
            text.push_str(scope);
            text.push_str("::");
        }
        text.push_str(&last);
        self.made(text)
    }

    /// The class that a table is for: `6` or `7`, qualifiers, scopes.
    fn table(&mut self, name: String) -> Option<String> {
        let Some(kind) = self.next() else { return Some(name) };
        if kind == b'8' {
            return Some(name);
        }
        if kind != b'6' && kind != b'7' {
            return None;
        }
        let constant = self.cv()?;
        let mut targets = Vec::new();
        for _ in 0..MAX_SCOPES {
            if self.rest().is_empty() || self.eat(b"@") {
                break;
            }
            let scopes = self.scopes()?;
            targets.push(self.scope_text(&scopes)?);
        }
        let target =
            if targets.is_empty() { String::new() } else { format!("{{for `{}'}}", targets.join("'s `")) };
        match self.style {
            Style::NameOnly => self.made(name),
            Style::Full => self.made(format!("{}{name}{target}", constant.prefix())),
        }
    }

    fn scope_text(&mut self, scopes: &[String]) -> Option<String> {
        let parts: Vec<&str> = scopes.iter().rev().map(String::as_str).collect();
        self.made(parts.join("::"))
    }

    /// The first part of a symbol's name.
    fn leaf(&mut self) -> Option<Leaf> {
        match self.peek()? {
            b'0'..=b'9' => self.back_name().map(Leaf::Text),
            b'?' if self.eat(b"?$") => {
                // A function template's name is no target of back references.
                self.template()
            }
            b'?' => {
                self.at += 1;
                self.operator()
            }
            _ => self.simple_name().map(Leaf::Text),
        }
    }

    fn back_name(&mut self) -> Option<String> {
        let digit = usize::from(self.next()?.checked_sub(b'0')?);
        let text = self.names.get(digit)?.text.clone();
        self.made(text)
    }

    fn until_at(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let end = rest.iter().position(|&b| b == b'@')?;
        self.at += end + 1;
        rest.get(..end).filter(|n| !n.is_empty())
    }

    fn simple_name(&mut self) -> Option<String> {
        let raw = self.until_at()?;
        let text = self.made(String::from_utf8_lossy(raw).into_owned())?;
        self.memorize(raw.to_vec(), &text);
        Some(text)
    }

    fn memorize(&mut self, key: Vec<u8>, text: &str) {
        if self.names.len() < 10 && !self.names.iter().any(|m| m.key == key) {
            self.names.push(Memo { key, text: text.to_owned() });
        }
    }

    /// `name@arguments@` behind `?$`.
    fn template(&mut self) -> Option<Leaf> {
        self.nested(|p| {
            // Arguments have back references of their own.
            let names = std::mem::take(&mut p.names);
            let types = std::mem::take(&mut p.types);
            let text = p.template_text();
            p.names = names;
            p.types = types;
            text
        })
    }

    fn template_text(&mut self) -> Option<Leaf> {
        let leaf = self.leaf()?;
        let args = self.template_arguments()?;
        let close = if args.ends_with('>') { " >" } else { ">" };
        let args = self.made(format!("<{args}{close}"))?;
        Some(match leaf {
            Leaf::Text(t) => Leaf::Text(self.made(format!("{t}{args}"))?),
            Leaf::Constructor(_) => Leaf::Constructor(args),
            Leaf::Conversion(_) => Leaf::Conversion(args),
            _ => return None,
        })
    }

    /// Scopes up to `@`, innermost first.
    fn scopes(&mut self) -> Option<Vec<String>> {
        let mut scopes = Vec::new();
        while !self.eat(b"@") {
            if scopes.len() >= MAX_SCOPES {
                return None;
            }
            scopes.push(self.scope()?);
        }
        Some(scopes)
    }

    fn scope(&mut self) -> Option<String> {
        let start = self.at;
        match self.peek()? {
            b'0'..=b'9' => self.back_name(),
            b'?' => {
                self.at += 1;
                match self.peek()? {
                    b'$' => {
                        self.at += 1;
                        let Leaf::Text(text) = self.template()? else { return None };
                        self.memorize(text.clone().into_bytes(), &text);
                        Some(text)
                    }
                    b'A' => {
                        let raw = self.input.get(start..)?;
                        let end = raw.iter().position(|&b| b == b'@')?;
                        let key = raw.get(..end)?.to_vec();
                        self.at = start + end + 1;
                        let text = "`anonymous namespace'".to_owned();
                        self.memorize(key, &text);
                        Some(text)
                    }
                    b'Q' => {
                        self.at += 1;
                        let name = self.simple_name()?;
                        self.eat(b"@").then_some(())?;
                        self.made(format!("[{name}]"))
                    }
                    // A function whose local scope this is.
                    b'?' => {
                        let inner = self.mangled()?;
                        self.made(format!("`{inner}'"))
                    }
                    _ => {
                        let number = self.number()?;
                        self.made(format!("`{number}'"))
                    }
                }
            }
            _ => self.simple_name(),
        }
    }

    /// `[?]digit` or `[?]hex@` with the digits A to P.
    fn number(&mut self) -> Option<i64> {
        let negative = self.eat(b"?");
        let value = match self.peek()? {
            digit @ b'0'..=b'9' => {
                self.at += 1;
                i64::from(digit - b'0') + 1
            }
            _ => {
                let mut value: u64 = 0;
                for _ in 0..=16 {
                    match self.next()? {
                        b'@' => break,
                        hex @ b'A'..=b'P' => {
                            value = value.checked_mul(16)?.checked_add(u64::from(hex - b'A'))?;
                        }
                        _ => return None,
                    }
                }
                i64::from_ne_bytes(value.to_ne_bytes())
            }
        };
        Some(if negative { value.wrapping_neg() } else { value })
    }
}

#[cfg(test)]
mod tests;
