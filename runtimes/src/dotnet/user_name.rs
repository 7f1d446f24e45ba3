//! What the user wrote: compilers put async methods, iterators, lambdas and local functions into types and methods
//! with names that no program can have.
//!
//! Forms (Roslyn, stable since C# 5): `<Method>d__5` a state machine with `MoveNext`; `<>c` and
//! `<>c__DisplayClass5_0` closures with `<Method>b__1` (lambda) and `<Method>g__Local|0` (local function);
//! `<Main>$` and `<<Main>$>…` the main program without a class.

/// A compiler's name taken apart.
enum Made<'a> {
    /// `<Method>d__5`: the method's body.
    Machine(&'a str),
    /// `<Method>b__1`.
    Lambda(&'a str),
    /// `<Method>g__Local|0_1`: method, local function.
    Local(&'a str, &'a str),
    /// `<>c`: only a place.
    Closure,
    /// `<Main>$`.
    Main,
    /// Written by the user.
    Plain,
}

fn take_apart(name: &str) -> Made<'_> {
    // The program without a class, and what waits for an asynchronous `Main`.
    if matches!(name, "<Main>$" | "<Main>") {
        return Made::Main;
    }
    let Some(inner) = name.strip_prefix('<') else { return Made::Plain };
    if inner.starts_with('>') {
        return Made::Closure;
    }
    // The name inside may have brackets of its own.
    let mut depth = 1usize;
    let end = inner.char_indices().find(|(_, c)| {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let Some((method, rest)) = end.and_then(|(i, _)| Some((inner.get(..i)?, inner.get(i + 1..)?))) else {
        return Made::Plain;
    };
    let mut kind = rest.chars();
    match (kind.next(), kind.as_str().strip_prefix("__")) {
        (Some('d'), _) => Made::Machine(method),
        (Some('b'), Some(_)) => Made::Lambda(method),
        (Some('g'), Some(local)) => Made::Local(method, local.split('|').next().unwrap_or(local)),
        _ => Made::Plain,
    }
}

/// The name of a method inside a compiler's name, which may be one itself.
fn method_name(name: &str, out: &mut Vec<String>, depth: usize) {
    if depth > 4 {
        return;
    }
    match take_apart(name) {
        Made::Plain => out.push(simple(name)),
        Made::Main => out.push("Main".to_owned()),
        Made::Closure => {}
        Made::Machine(method) => method_name(method, out, depth + 1),
        Made::Lambda(method) => {
            method_name(method, out, depth + 1);
            out.push("lambda".to_owned());
        }
        Made::Local(method, local) => {
            method_name(method, out, depth + 1);
            out.push(local.to_owned());
        }
    }
}

/// Without arity, and without the interface of an explicit implementation.
fn simple(name: &str) -> String {
    if name.starts_with('.') || name.starts_with('<') {
        return name.to_owned();
    }
    let name = name.split('`').next().unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.to_owned()
}

/// `Namespace.Type.Method` as the user would write it. `parts`: simple names of the type, outermost first.
pub(super) fn user_name(parts: &[String], method: &str) -> String {
    let mut out = Vec::new();
    let mut machine = false;
    for (i, part) in parts.iter().enumerate() {
        // The first part has the namespace, whose dots are the user's.
        let made = if i == 0 { Made::Plain } else { take_apart(part) };
        match made {
            Made::Plain => out.push(part.split('`').next().unwrap_or(part).to_owned()),
            Made::Machine(_) | Made::Lambda(_) | Made::Local(..) => {
                machine = true;
                method_name(part, &mut out, 0);
            }
            Made::Closure | Made::Main => {}
        }
    }
    if !(machine && method == "MoveNext") {
        method_name(method, &mut out, 0);
    }
    out.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(of: &str, method: &str) -> String {
        let parts: Vec<String> = of.split('+').map(str::to_owned).collect();
        user_name(&parts, method)
    }

    #[test]
    fn compilers_names_become_the_users() {
        assert_eq!(name("Program+<Fetch>d__5", "MoveNext"), "Program.Fetch");
        assert_eq!(
            name("Lab.Program+<>c__DisplayClass34_0", "<Do_frames>b__0"),
            "Lab.Program.Do_frames.lambda"
        );
        assert_eq!(
            name("Lab.Program+<>c__DisplayClass35_0", "<Shapes>g__Local|0"),
            "Lab.Program.Shapes.Local"
        );
        assert_eq!(name("Lab.Program+<>c", "<<Go>g__Fire|2_0>b__1"), "Lab.Program.Go.Fire.lambda");
        assert_eq!(name("Program+<<Main>$>d__0", "MoveNext"), "Program.Main");
        assert_eq!(name("Program", "<Main>$"), "Program.Main");
        assert_eq!(name("A.Program", "<Main>"), "A.Program.Main");
        assert_eq!(name("Lab.Step`1", "Lab.IStep.Run"), "Lab.Step.Run");
        assert_eq!(name("A.B+C`2", ".ctor"), "A.B.C..ctor");
        assert_eq!(name("Program+<>c+<<Main>b__0_1>d", "MoveNext"), "Program.Main.lambda");
    }

    #[test]
    fn names_that_are_cut_off_stay() {
        assert_eq!(name("A", "<cut"), "A.<cut");
        assert_eq!(name("A+<x>", "m"), "A.<x>.m");
    }
}
