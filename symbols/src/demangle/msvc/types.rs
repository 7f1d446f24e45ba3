//! Types, parameters and what follows a symbol's name.

use super::{Parser, Style};

/// Most parameters or template arguments in one list.
const MAX_LIST: usize = 1024;

/// Qualifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cv {
    is_const: bool,
    is_volatile: bool,
}

impl Cv {
    /// ` const volatile`, with the blank before it.
    fn suffix(self) -> &'static str {
        match (self.is_const, self.is_volatile) {
            (false, false) => "",
            (true, false) => " const",
            (false, true) => " volatile",
            (true, true) => " const volatile",
        }
    }

    /// `const `, with the blank behind it.
    pub(super) fn prefix(self) -> &'static str {
        match (self.is_const, self.is_volatile) {
            (false, false) => "",
            (true, false) => "const ",
            (false, true) => "volatile ",
            (true, true) => "const volatile ",
        }
    }
}

/// How a pointer to the type is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    Pointer,
    /// Needs parentheses; `pre` ends with the calling convention that goes inside them.
    Function,
    /// Needs parentheses.
    Array,
}

/// A type as text before and behind the name that it declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ty {
    shape: Shape,
    pub(super) pre: String,
    /// Function: calling convention and class, which go before the `*` of a pointer.
    inner: String,
    pub(super) post: String,
}

impl Ty {
    fn plain(text: impl Into<String>) -> Ty {
        Ty { shape: Shape::Plain, pre: text.into(), inner: String::new(), post: String::new() }
    }

    /// With qualifiers of its own. Those that it has already (a `Q` pointer is const twice) are said once.
    pub(super) fn with(mut self, cv: Cv) -> Ty {
        if !self.pre.ends_with(cv.suffix()) {
            self.pre.push_str(cv.suffix());
        }
        self
    }

    /// The type alone.
    fn text(&self) -> String {
        match self.shape {
            Shape::Function => format!("{} {}{}", self.pre, self.inner, self.post),
            Shape::Plain | Shape::Pointer | Shape::Array => format!("{}{}", self.pre, self.post),
        }
    }
}

/// Which kind of function a symbol is.
#[derive(Clone, Copy, Debug, Default)]
struct FunctionClass {
    access: &'static str,
    /// `static `, `virtual ` or nothing.
    member: &'static str,
    has_this: bool,
    thunk: bool,
    /// A thunk that moves `this` by so many bytes.
    adjustor: Option<i64>,
}

impl Parser<'_> {
    /// What follows the name: the symbol's type. Gives the whole text.
    pub(super) fn encoding(&mut self, name: String, conversion: bool) -> Option<String> {
        let full = self.style == Style::Full;
        if self.rest().is_empty() || matches!(self.peek(), Some(b'8' | b'9' | b'@')) {
            // Run-time type data, extern "C", or a bare name.
            if !self.rest().is_empty() {
                self.at += 1;
            }
            return (!conversion).then_some(name);
        }
        match self.next()? {
            kind @ b'0'..=b'4' => {
                let ty = self.ty()?;
                self.pointer_modifiers();
                let member = matches!(self.peek(), Some(b'Q'..=b'T'));
                let cv = self.cv()?;
                if member {
                    // Pointers to members repeat their class.
                    self.qualified_type_name()?;
                }
                // A pointer has its own in its type, and those of what it points to are repeated here.
                let ty = if ty.shape == Shape::Pointer { ty } else { ty.with(cv) };
                let access = match kind {
                    b'0' => "private: static ",
                    b'1' => "protected: static ",
                    b'2' => "public: static ",
                    _ => "",
                };
                if !full {
                    return Some(name);
                }
                self.made(format!("{access}{} {name}{}", ty.pre, ty.post))
            }
            b'$' => self.thunk(name),
            class => {
                let class = self.function_class(class)?;
                let name = match class.adjustor {
                    Some(by) => self.made(format!("{name}`adjustor{{{by}}}'"))?,
                    None => name,
                };
                let quals = if class.has_this { self.this_qualifiers()? } else { String::new() };
                self.function(name, class, &quals, conversion)
            }
        }
    }

    fn function(
        &mut self,
        name: String,
        class: FunctionClass,
        quals: &str,
        conversion: bool,
    ) -> Option<String> {
        let convention = self.convention()?;
        let result = self.return_type()?;
        let name = match (&result, conversion) {
            (Some(r), true) => format!("{name}{}", r.text()),
            (None, true) => return None,
            (_, false) => name,
        };
        let params = self.parameters()?;
        let thunk = if class.thunk { "[thunk]:" } else { "" };
        if self.style == Style::NameOnly {
            return self.made(format!("{thunk}{name}"));
        }
        let (before, behind) = match &result {
            Some(r) if !conversion => (format!("{} ", r.pre), r.post.as_str()),
            _ => (String::new(), ""),
        };
        let (access, member) = (class.access, class.member);
        self.made(format!("{thunk}{access}{member}{before}{convention} {name}({params}){quals}{behind}"))
    }

    /// `$0` to `$5` (adjusted through a virtual base), `$R0` to `$R5`, `$B` (virtual call).
    fn thunk(&mut self, name: String) -> Option<String> {
        if self.eat(b"B") {
            let offset = self.number()?;
            self.eat(b"A").then_some(())?;
            let convention = self.convention()?;
            let shown = format!("{name}{{{offset},{{flat}}}}");
            return match self.style {
                Style::NameOnly => self.made(format!("[thunk]:{shown}")),
                Style::Full => self.made(format!("[thunk]: {convention} {shown}")),
            };
        }
        let numbers = if self.eat(b"R") { 4 } else { 2 };
        let access = match self.next()? {
            b'0' | b'1' => "private: ",
            b'2' | b'3' => "protected: ",
            b'4' | b'5' => "public: ",
            _ => return None,
        };
        let mut shown = Vec::new();
        for _ in 0..numbers {
            // 32-bit numbers, negative ones without a sign of their own.
            let low = self.number()?.to_le_bytes();
            let [a, b, c, d, ..] = low;
            shown.push(i32::from_le_bytes([a, b, c, d]).to_string());
        }
        let what = if numbers == 2 { "vtordisp" } else { "vtordispex" };
        let name = format!("{name}`{what}{{{}}}'", shown.join(","));
        let quals = self.this_qualifiers()?;
        let class = FunctionClass { access, member: "virtual ", has_this: true, thunk: true, adjustor: None };
        self.function(name, class, &quals, false)
    }

    fn function_class(&mut self, class: u8) -> Option<FunctionClass> {
        let index = class.checked_sub(b'A').filter(|i| *i < 26)?;
        if class == b'Y' || class == b'Z' {
            return Some(FunctionClass::default());
        }
        let access = *["private: ", "protected: ", "public: "].get(usize::from(index / 8))?;
        // Pairs (near and far): plain, static, virtual, virtual with an adjusted this.
        let kind = (index % 8) / 2;
        let mut found = FunctionClass { access, member: "", has_this: kind != 1, ..FunctionClass::default() };
        match kind {
            1 => found.member = "static ",
            2 | 3 => found.member = "virtual ",
            _ => {}
        }
        if kind == 3 {
            found.thunk = true;
            found.adjustor = Some(self.number()?);
        }
        Some(found)
    }

    /// Qualifiers of a member function.
    fn this_qualifiers(&mut self) -> Option<String> {
        let (mut extra, mut reference) = (String::new(), "");
        loop {
            match self.peek()? {
                b'E' => {}
                b'I' => extra.push_str(" __restrict"),
                b'F' => extra.push_str(" __unaligned"),
                b'G' => reference = " &",
                b'H' => reference = " &&",
                _ => break,
            }
            self.at += 1;
            if extra.len() > 64 {
                return None;
            }
        }
        let cv = self.cv()?;
        Some(format!("{}{extra}{reference}", cv.suffix()))
    }

    /// `A` to `D`, or `Q` to `T` in member pointers.
    pub(super) fn cv(&mut self) -> Option<Cv> {
        let (is_const, is_volatile) = match self.next()? {
            b'A' | b'Q' => (false, false),
            b'B' | b'R' => (true, false),
            b'C' | b'S' => (false, true),
            b'D' | b'T' => (true, true),
            _ => return None,
        };
        Some(Cv { is_const, is_volatile })
    }

    /// `__ptr64`, `__unaligned` and `__restrict`, which are not shown.
    fn pointer_modifiers(&mut self) {
        for _ in 0..4 {
            if !matches!(self.peek(), Some(b'E' | b'F' | b'I')) {
                return;
            }
            self.at += 1;
        }
    }

    fn convention(&mut self) -> Option<&'static str> {
        Some(match self.next()? {
            b'A' | b'B' => "__cdecl",
            b'C' | b'D' => "__pascal",
            b'E' | b'F' => "__thiscall",
            b'G' | b'H' => "__stdcall",
            b'I' | b'J' => "__fastcall",
            b'M' | b'N' => "__clrcall",
            b'O' | b'P' => "__eabi",
            b'Q' => "__vectorcall",
            b'S' => "__swift_1",
            b'W' => "__swift_2",
            b'w' => "__regcall",
            _ => return None,
        })
    }

    /// `None` for constructors and destructors, which have none.
    fn return_type(&mut self) -> Option<Option<Ty>> {
        if self.eat(b"@") {
            return Some(None);
        }
        let cv = if self.eat(b"?") { self.cv()? } else { Cv::default() };
        Some(Some(self.ty()?.with(cv)))
    }

    /// A parameter list with its end and the exception specification.
    fn parameters(&mut self) -> Option<String> {
        let text = self.parameter_list()?;
        // `Z`: may throw; `_E`: noexcept.
        (self.eat(b"Z") || self.eat(b"_E")).then_some(text)
    }

    fn parameter_list(&mut self) -> Option<String> {
        if self.eat(b"X") {
            return Some("void".into());
        }
        let mut list: Vec<String> = Vec::new();
        loop {
            if self.eat(b"@") {
                break;
            }
            if self.eat(b"Z") {
                list.push("...".into());
                break;
            }
            if list.len() >= MAX_LIST {
                return None;
            }
            let start = self.at;
            let ty = self.ty()?;
            // A reference costs one letter; shorter types are not worth one.
            if self.at.saturating_sub(start) > 1 && self.types.len() < 10 && !self.types.contains(&ty) {
                self.types.push(ty.clone());
            }
            let text = ty.text();
            list.push(self.made(text)?);
        }
        self.made(list.join(","))
    }

    /// A type.
    pub(super) fn ty(&mut self) -> Option<Ty> {
        self.nested(Self::ty_inner)
    }

    fn ty_inner(&mut self) -> Option<Ty> {
        let text = match self.next()? {
            digit @ b'0'..=b'9' => {
                let ty = self.types.get(usize::from(digit - b'0'))?.clone();
                self.made(ty.text())?;
                return Some(ty);
            }
            b'X' => "void",
            b'C' => "signed char",
            b'D' => "char",
            b'E' => "unsigned char",
            b'F' => "short",
            b'G' => "unsigned short",
            b'H' => "int",
            b'I' => "unsigned int",
            b'J' => "long",
            b'K' => "unsigned long",
            b'M' => "float",
            b'N' => "double",
            b'O' => "long double",
            b'_' => self.extended_primitive()?,
            b'T' => return self.class("union "),
            b'U' => return self.class("struct "),
            b'V' => return self.class("class "),
            b'W' => {
                // The underlying type, always int today.
                self.next().filter(u8::is_ascii_digit)?;
                return self.class("enum ");
            }
            b'P' => return self.pointer("*", Cv::default()),
            b'Q' => return self.pointer("*", Cv { is_const: true, is_volatile: false }),
            b'R' => return self.pointer("*", Cv { is_const: false, is_volatile: true }),
            b'S' => return self.pointer("*", Cv { is_const: true, is_volatile: true }),
            b'A' => return self.pointer("&", Cv::default()),
            b'B' => return self.pointer("&", Cv { is_const: false, is_volatile: true }),
            b'Y' => return self.array(),
            b'?' => {
                // `?<auto>@@`: a type that has no name in the language.
                let name = self.simple_name()?;
                return self.eat(b"@").then(|| Ty::plain(name));
            }
            b'$' => return self.dollar(),
            _ => return None,
        };
        Some(Ty::plain(text))
    }

    fn extended_primitive(&mut self) -> Option<&'static str> {
        Some(match self.next()? {
            b'D' => "__int8",
            b'E' => "unsigned __int8",
            b'F' => "__int16",
            b'G' => "unsigned __int16",
            b'H' => "__int32",
            b'I' => "unsigned __int32",
            b'J' => "__int64",
            b'K' => "unsigned __int64",
            b'L' => "__int128",
            b'M' => "unsigned __int128",
            b'N' => "bool",
            b'P' => "auto",
            b'Q' => "char8_t",
            b'S' => "char16_t",
            b'T' => "decltype(auto)",
            b'U' => "char32_t",
            b'W' => "wchar_t",
            _ => return None,
        })
    }

    /// Types behind `$`.
    fn dollar(&mut self) -> Option<Ty> {
        if self.eat(b"$Q") {
            return self.pointer("&&", Cv::default());
        }
        if self.eat(b"$R") {
            return self.pointer("&&", Cv { is_const: false, is_volatile: true });
        }
        if self.eat(b"$T") {
            return Some(Ty::plain("std::nullptr_t"));
        }
        if self.eat(b"$A6") {
            return self.function_type("", String::new());
        }
        if self.eat(b"$A8@@") {
            let quals = self.this_qualifiers()?;
            return self.function_type("", quals);
        }
        if self.eat(b"$BY") {
            return self.array();
        }
        if self.eat(b"$B") {
            return self.ty();
        }
        if self.eat(b"$C") {
            let cv = self.cv()?;
            return Some(self.ty()?.with(cv));
        }
        if self.eat(b"$Y") {
            let text = self.qualified_type_name()?;
            return Some(Ty::plain(text));
        }
        None
    }

    /// A class, union or enum with its keyword.
    fn class(&mut self, keyword: &str) -> Option<Ty> {
        let name = self.qualified_type_name()?;
        let keyword = if self.style == Style::Full { keyword } else { "" };
        Some(Ty::plain(self.made(format!("{keyword}{name}"))?))
    }

    fn qualified_type_name(&mut self) -> Option<String> {
        // A type's own name can be a target of back references, as a scope can, so the rules are those of one.
        let mut parts = vec![self.scope()?];
        parts.extend(self.scopes()?);
        self.scope_text(&parts)
    }

    /// Behind the letter of a pointer or reference.
    fn pointer(&mut self, symbol: &str, own: Cv) -> Option<Ty> {
        self.pointer_modifiers();
        match self.peek()? {
            b'6' | b'7' => {
                self.at += 1;
                let f = self.function_type("", String::new())?;
                return self.point(f, symbol, own, Cv::default());
            }
            b'8' | b'9' => {
                self.at += 1;
                let class = self.qualified_type_name()?;
                let quals = self.this_qualifiers()?;
                let f = self.function_type(&class, quals)?;
                return self.point(f, symbol, own, Cv::default());
            }
            member @ b'Q'..=b'T' => {
                let cv = self.cv()?;
                let _ = member;
                let class = self.qualified_type_name()?;
                let to = self.ty()?.with(cv);
                return self.point(to, &format!("{class}::{symbol}"), own, Cv::default());
            }
            _ => {}
        }
        let cv = self.cv()?;
        let to = self.ty()?;
        self.point(to, symbol, own, cv)
    }

    /// A pointer (`symbol`, with qualifiers of its own) to a type that has the qualifiers `cv`.
    fn point(&mut self, to: Ty, symbol: &str, own: Cv, cv: Cv) -> Option<Ty> {
        let own = own.suffix();
        let to = to.with(cv);
        let (pre, post) = match to.shape {
            Shape::Function => (format!("{} ({}{symbol}{own}", to.pre, to.inner), format!("){}", to.post)),
            Shape::Array => (format!("{} ({symbol}{own}", to.pre), format!("){}", to.post)),
            Shape::Plain | Shape::Pointer => (format!("{} {symbol}{own}", to.pre), to.post),
        };
        Some(Ty { shape: Shape::Pointer, pre: self.made(pre)?, inner: String::new(), post: self.made(post)? })
    }

    /// Calling convention, return type and parameters; `class` for member functions.
    fn function_type(&mut self, class: &str, quals: String) -> Option<Ty> {
        let convention = self.convention()?;
        let result = self.return_type()?.unwrap_or_else(|| Ty::plain(""));
        let params = self.parameters()?;
        let inner = if class.is_empty() { convention.to_owned() } else { format!("{convention} {class}::") };
        let post = format!("({params}){quals}{}", result.post);
        Some(Ty { shape: Shape::Function, pre: result.pre, inner: self.made(inner)?, post: self.made(post)? })
    }

    /// Dimensions and element type, behind `Y`.
    fn array(&mut self) -> Option<Ty> {
        let dimensions = self.number().filter(|n| (1..=64).contains(n))?;
        let mut text = String::new();
        for _ in 0..dimensions {
            let n = self.number()?;
            text.push_str(&format!("[{n}]"));
        }
        let cv = if self.eat(b"$$C") { self.cv()? } else { Cv::default() };
        let element = self.ty()?.with(cv);
        let post = self.made(format!("{text}{}", element.post))?;
        Some(Ty { shape: Shape::Array, pre: element.pre, inner: String::new(), post })
    }

    /// Template arguments up to `@`.
    pub(super) fn template_arguments(&mut self) -> Option<String> {
        let mut list: Vec<String> = Vec::new();
        while !self.eat(b"@") {
            if list.len() >= MAX_LIST {
                return None;
            }
            if self.eat(b"$$V") || self.eat(b"$$Z") || self.eat(b"$$$V") || self.eat(b"$S") {
                // An empty pack.
                continue;
            }
            let start = self.at;
            let arg = match self.value_argument() {
                Some(Some(text)) => text,
                Some(None) => {
                    let ty = self.ty()?;
                    if self.at.saturating_sub(start) > 1 && self.types.len() < 10 && !self.types.contains(&ty)
                    {
                        self.types.push(ty.clone());
                    }
                    ty.text()
                }
                None => return None,
            };
            list.push(self.made(arg)?);
        }
        self.made(list.join(","))
    }

    /// An argument that is a value: the text; `Some(None)` when it is a type; `None` when it is damaged.
    fn value_argument(&mut self) -> Option<Option<String>> {
        if self.peek() != Some(b'$') {
            if self.peek() == Some(b'?') && matches!(self.rest().get(1), Some(b'0'..=b'9' | b'A'..=b'P')) {
                self.at += 1;
                let number = self.number()?;
                return Some(Some(format!("`template-parameter-{number}'")));
            }
            return Some(None);
        }
        if self.eat(b"$M") {
            // An `auto` parameter: its type, then the value as without it.
            self.ty()?;
            return self.value(true);
        }
        self.value(false)
    }

    fn value(&mut self, bare: bool) -> Option<Option<String>> {
        let start = self.at;
        if !bare {
            self.eat(b"$").then_some(())?;
        }
        let text = match self.next()? {
            b'0' => self.number()?.to_string(),
            b'2' => {
                let (mantissa, exponent) = (self.number()?, self.number()?);
                format!("{mantissa}e{exponent}")
            }
            b'D' => format!("`template-parameter{}'", self.number()?),
            b'F' => format!("{{{},{}}}", self.number()?, self.number()?),
            b'G' => format!("{{{},{},{}}}", self.number()?, self.number()?, self.number()?),
            b'Q' => format!("`non-type-template-parameter{}'", self.number()?),
            b'1' => format!("&{}", self.mangled()?),
            b'E' => self.mangled()?,
            kind @ (b'H' | b'I' | b'J') => {
                // A member function with the offsets of its class; or data, which is one more number.
                let symbol = if self.peek() == Some(b'?') && !matches!(self.rest().get(1), Some(b'0'..=b'9'))
                {
                    self.mangled()?
                } else {
                    self.number()?.to_string()
                };
                let mut parts = vec![symbol];
                for _ in b'H'..=kind {
                    parts.push(self.number()?.to_string());
                }
                format!("{{{}}}", parts.join(","))
            }
            _ => {
                self.at = start;
                return Some(None);
            }
        };
        Some(Some(self.made(text)?))
    }
}
