//! `CustomListItems`: a small program that gives elements.

use super::show::Shown;
use super::{NodeKind, Step};
use crate::dx::value::MAX_ITEMS;
use crate::dx::{Child, Env, Format, Key, Label, World};

/// Most rounds of all loops of one list.
const MAX_ROUNDS: usize = 1 << 16;

/// How a body ended.
#[derive(PartialEq, Eq)]
enum End {
    Through,
    Break,
    Full,
}

struct Run<'r> {
    shown: &'r Shown,
    format: &'r Format,
    most: usize,
    rounds: usize,
    count: u64,
}

impl World<'_> {
    pub(super) fn custom(
        &self,
        shown: &Shown,
        kind: &NodeKind,
        format: &Format,
        most: usize,
        out: &mut Vec<Child>,
    ) {
        let NodeKind::Custom { variables, size, body } = kind else { return };
        let mut env = shown.env.clone();
        for (name, initial) in variables {
            match self.valued(shown, initial, &env) {
                Ok((val, _)) => env.names.push((name.clone(), val)),
                Err(_) => return,
            }
        }
        let size = size.as_ref().map(|t| self.sized(shown, t, &env));
        let most = usize::try_from(size.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).min(most).min(MAX_ITEMS);
        let mut run = Run { shown, format, most, rounds: 0, count: 0 };
        self.steps(&mut run, body, &mut env, out);
    }

    fn steps(&self, run: &mut Run<'_>, steps: &[Step], env: &mut Env, out: &mut Vec<Child>) -> End {
        for step in steps {
            let end = self.one_step(run, step, env, out);
            if end != End::Through {
                return end;
            }
        }
        End::Through
    }

    fn one_step(&self, run: &mut Run<'_>, step: &Step, env: &mut Env, out: &mut Vec<Child>) -> End {
        if self.step().is_err() {
            return End::Full;
        }
        let holds = |condition: &Option<String>, env: &Env| self.holds(run.shown, condition.as_deref(), env);
        match step {
            Step::Loop { condition, body } => {
                while self.holds(run.shown, condition.as_deref(), env) {
                    run.rounds += 1;
                    if run.rounds > MAX_ROUNDS {
                        return End::Full;
                    }
                    match self.steps(run, body, env, out) {
                        End::Through => {}
                        End::Break => break,
                        End::Full => return End::Full,
                    }
                }
                End::Through
            }
            Step::If { arms } => match arms.iter().find(|(condition, _)| holds(condition, env)) {
                Some((_, body)) => self.steps(run, body, env, out),
                None => End::Through,
            },
            Step::Exec { condition, text } => {
                if holds(condition, env) {
                    self.assign(run.shown, text, env);
                }
                End::Through
            }
            Step::Break { condition } => {
                if holds(condition, env) {
                    End::Break
                } else {
                    End::Through
                }
            }
            Step::Item { condition, name, expr } => {
                if !holds(condition, env) {
                    return End::Through;
                }
                let label = match name {
                    Some(name) => Label::Key(Key::Name(
                        self.filled(run.shown, name, run.format, env, 0).trim_matches(['[', ']']).to_owned(),
                    )),
                    None => Label::Key(Key::UInt(run.count)),
                };
                run.count += 1;
                out.push(self.view_child(run.shown, label, expr, env));
                if run.count >= run.most as u64 { End::Full } else { End::Through }
            }
        }
    }

    /// `a = b`, `a += b`, `++a`, `a++`: of variables of the list only.
    fn assign(&self, shown: &Shown, text: &str, env: &mut Env) {
        let text = text.trim().trim_end_matches(';');
        let step = |name: &str, op: &str| (name.trim().to_owned(), format!("{} {op} 1", name.trim()));
        let (name, value) = if let Some(name) = text.strip_prefix("++").or_else(|| text.strip_suffix("++")) {
            step(name, "+")
        } else if let Some(name) = text.strip_prefix("--").or_else(|| text.strip_suffix("--")) {
            step(name, "-")
        } else if let Some((left, right)) = text.split_once('=') {
            match left.trim_end().strip_suffix(['+', '-', '*', '/', '%', '&', '|', '^']) {
                Some(name) => {
                    let op = left.trim_end().chars().last().unwrap_or('+');
                    (name.trim().to_owned(), format!("{} {op} ({right})", name.trim()))
                }
                None => (left.trim().to_owned(), right.trim().to_owned()),
            }
        } else {
            return;
        };
        let Ok((val, _)) = self.valued(shown, &value, env) else { return };
        if let Some((_, slot)) = env.names.iter_mut().find(|(n, _)| *n == name) {
            *slot = val;
        }
    }
}
