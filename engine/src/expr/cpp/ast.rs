//! The tree of a C++ expression.

/// A type as written: `struct Foo *`, `unsigned long`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// Name without keywords, perhaps with a module before it (`ntdll!_PEB`).
    pub name: String,
    /// CodeView's number, for built-in types.
    pub built_in: Option<u32>,
    /// Stars behind it.
    pub stars: u8,
}

/// An operator with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `+`.
    Plus,
    /// `-`.
    Minus,
    /// `!`.
    Not,
    /// `~`.
    Invert,
    /// `*`.
    Deref,
    /// `&`.
    AddressOf,
}

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `*`.
    Mul,
    /// `/`.
    Div,
    /// `%`.
    Rem,
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `<<`.
    Shl,
    /// `>>`.
    Shr,
    /// `<`.
    Lt,
    /// `>`.
    Gt,
    /// `<=`.
    Le,
    /// `>=`.
    Ge,
    /// `==`.
    Eq,
    /// `!=`.
    Ne,
    /// `&`.
    And,
    /// `^`.
    Xor,
    /// `|`.
    Or,
    /// `&&`.
    Both,
    /// `||`.
    Either,
}

impl Binary {
    /// The operators with their text and how strongly they bind.
    pub(super) const TABLE: &[(&str, Binary, u8)] = &[
        ("*", Binary::Mul, 10),
        ("/", Binary::Div, 10),
        ("%", Binary::Rem, 10),
        ("+", Binary::Add, 9),
        ("-", Binary::Sub, 9),
        ("<<", Binary::Shl, 8),
        (">>", Binary::Shr, 8),
        ("<", Binary::Lt, 7),
        (">", Binary::Gt, 7),
        ("<=", Binary::Le, 7),
        (">=", Binary::Ge, 7),
        ("==", Binary::Eq, 6),
        ("!=", Binary::Ne, 6),
        ("&", Binary::And, 5),
        ("^", Binary::Xor, 4),
        ("|", Binary::Or, 3),
        ("&&", Binary::Both, 2),
        ("||", Binary::Either, 1),
    ];
}

/// A macro of the debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Macro {
    /// `#FIELD_OFFSET(type, field)`.
    FieldOffset,
    /// `#RTL_FIELD_SIZE(type, field)`.
    FieldSize,
    /// `#RTL_CONTAINS_FIELD(struct, size, field)`.
    ContainsField,
    /// `#CONTAINING_RECORD(address, type, field)`.
    ContainingRecord,
    /// `#RTL_NUMBER_OF(array)`.
    NumberOf,
}

impl Macro {
    pub(super) const NAMES: &[(&str, Macro)] = &[
        ("FIELD_OFFSET", Macro::FieldOffset),
        ("RTL_FIELD_SIZE", Macro::FieldSize),
        ("RTL_CONTAINS_FIELD", Macro::ContainsField),
        ("CONTAINING_RECORD", Macro::ContainingRecord),
        ("RTL_NUMBER_OF", Macro::NumberOf),
    ];
}

/// An expression. Offsets count bytes of the text, for messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A whole number, its CodeView type.
    Number(u64, u32),
    /// A variable or function, perhaps with a module.
    Name(String, usize),
    /// `@reg`.
    Register(String, usize),
    /// `@$name`, without `$`.
    Pseudo(String, usize),
    /// `@@masm(text)`.
    Masm(String, usize),
    /// One operand.
    Unary(Unary, Box<Node>, usize),
    /// Two operands.
    Binary(Binary, Box<Node>, Box<Node>, usize),
    /// `a ? b : c`.
    Choice(Box<Node>, Box<Node>, Box<Node>),
    /// `a.b`, and `a->b` with true; where the operator and the name stand.
    Member(Box<Node>, String, bool, usize, usize),
    /// `a(...)`.
    Call(Box<Node>, usize),
    /// `a, b`.
    Comma(Box<Node>, Box<Node>),
    /// `a[b]`.
    Index(Box<Node>, Box<Node>, usize),
    /// `(type)a`.
    Cast(TypeName, Box<Node>, usize),
    /// `sizeof(type)`.
    SizeOfType(TypeName, usize),
    /// `sizeof a`.
    SizeOf(Box<Node>, usize),
    /// A macro: its values, a type for those that take one, and the field's path.
    Macro(Macro, Vec<Node>, Option<TypeName>, Vec<String>, usize),
}
