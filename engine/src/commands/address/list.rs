//! `!address` as a list, with filters.

use super::regions::{Map, Used};
use super::{RegionJson, missing};
use crate::command::CommandError;
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::fmt;
use crate::lang::Cursor;
use crate::session::Session;
use crate::tables::memory::{PROTECT, state_name, type_name};
use dumpscope_core::Va;

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Output {
    #[default]
    Table,
    Csv,
    Tsv,
    Addresses,
}

/// `-f:`, `-c:`, `-o:`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    states: Vec<String>,
    types: Vec<String>,
    protects: Vec<String>,
    usages: Vec<String>,
    command: Option<String>,
    output: Output,
}

impl Options {
    pub(super) fn parse(args: &mut Cursor<'_>) -> Result<Options, CommandError> {
        let mut out = Options::default();
        while !args.is_empty() {
            let at = args.pos();
            let raw = args.raw();
            // The command of `-c:"…"` may hold blanks.
            let quoted = raw.get(1..).and_then(|r| r.strip_prefix("c:\"")).map(|body| {
                let len = body.find('"').unwrap_or(body.len());
                (
                    body.get(..len).unwrap_or("").to_string(),
                    body.get(len..).unwrap_or("").trim_start_matches('"'),
                )
            });
            if let Some((command, rest)) = quoted {
                out.command = Some(command);
                let keep = rest.len();
                let text = raw.get(..raw.len() - keep).unwrap_or(raw);
                for _ in text.split_whitespace() {
                    args.word();
                }
                continue;
            }
            let word = args.word().unwrap_or("");
            let Some((name, value)) = word.get(1..).and_then(|w| w.split_once(':')) else {
                return Err(CommandError::caret(at, "Syntax error"));
            };
            match name.to_ascii_lowercase().as_str() {
                "f" => value.split(',').filter(|f| !f.is_empty()).for_each(|f| out.filter(f)),
                "c" => out.command = Some(value.to_string()),
                "o" => {
                    out.output = match value.to_ascii_lowercase().as_str() {
                        "csv" => Output::Csv,
                        "tsv" => Output::Tsv,
                        "1" => Output::Addresses,
                        _ => return Err(CommandError::caret(at, "Syntax error")),
                    }
                }
                _ => return Err(CommandError::caret(at, "Syntax error")),
            }
        }
        Ok(out)
    }

    fn filter(&mut self, word: &str) {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "MEM_COMMIT" | "MEM_RESERVE" | "MEM_FREE" => self.states.push(upper),
            "MEM_IMAGE" | "MEM_MAPPED" | "MEM_PRIVATE" => self.types.push(upper),
            p if p.starts_with("PAGE_") => self.protects.push(upper),
            _ => self.usages.push(upper),
        }
    }

    fn takes(&self, used: &Used, wow64: bool) -> bool {
        let r = &used.region;
        let one = |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
        // `PAGE_READWRITE` also takes `PAGE_READWRITE | PAGE_GUARD`.
        let protect = self.protects.is_empty()
            || PROTECT
                .iter()
                .any(|(bit, name)| r.protect & bit != 0 && self.protects.iter().any(|p| p == name));
        let usage = used.usage.name(wow64).to_ascii_uppercase();
        let named = |want: &String| match want.as_str() {
            "VAR" | "UNKNOWN" => usage == "<UNKNOWN>",
            // `Stack` takes `Stack32`, too.
            want => usage == want || usage.strip_prefix(want).is_some_and(|rest| matches!(rest, "32" | "64")),
        };
        one(&self.states, state_name(r.state))
            && one(&self.types, type_name(r.kind))
            && protect
            && (self.usages.is_empty() || self.usages.iter().any(named))
    }
}

struct Row {
    region: RegionJson,
    first: bool,
}

struct RegionsReport {
    rows: Vec<Row>,
    output: Output,
    wide: bool,
    note: Option<&'static str>,
}

impl Report for RegionsReport {
    fn kind(&self) -> &'static str {
        "regions"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        match self.output {
            Output::Table => self.table(emit),
            Output::Csv => self.separated(",", emit),
            Output::Tsv => self.separated("\t", emit),
            Output::Addresses => {
                for row in &self.rows {
                    emit(Line::plain(format!("{:#x}", row.region.base.0)));
                }
            }
        }
        if let Some(note) = self.note.filter(|_| self.output == Output::Table) {
            emit(Line::new().role(Role::Note, format!("note: {note}")));
        }
    }

    fn json(&self) -> serde_json::Value {
        let rows: Vec<&RegionJson> = self.rows.iter().map(|r| &r.region).collect();
        serde_json::json!({ "regions": rows })
    }
}

impl RegionsReport {
    fn table(&self, emit: &mut dyn FnMut(Line)) {
        let header = if self.wide {
            "        BaseAddress      EndAddress+1        RegionSize     Type       State                 Protect             Usage"
        } else {
            "  BaseAddr EndAddr+1 RgnSize     Type       State                 Protect             Usage"
        };
        emit(Line::new());
        emit(Line::new().role(Role::Heading, header));
        emit(Line::plain("-".repeat(if self.wide { 122 } else { 91 })));
        for Row { region: r, first } in &self.rows {
            let mark = if *first { '+' } else { ' ' };
            let (base, end, size) = (
                fmt::size_hex(r.base.0, self.wide),
                fmt::size_hex(r.end.0, self.wide),
                fmt::size_hex(r.size, self.wide),
            );
            let numbers = if self.wide {
                format!("{mark}{base:>17}{end:>18}{size:>18}")
            } else {
                format!("{mark} {:>8} {:>8} {:>8}", base.trim(), end.trim(), size.trim())
            };
            let words = format!(
                " {:<11} {:<11} {:<34} {:<10} ",
                r.kind.unwrap_or(""),
                r.state.unwrap_or(""),
                r.protect.as_deref().unwrap_or(""),
                r.usage
            );
            let details = Span::untrusted(Role::Text, r.details.as_deref().unwrap_or(""));
            emit(Line::new().role(Role::Address, numbers).text(words).span(details));
        }
    }

    fn separated(&self, sep: &str, emit: &mut dyn FnMut(Line)) {
        let quote =
            |s: &str| if sep == "," { format!("\"{}\"", s.replace('"', "\"\"")) } else { s.to_string() };
        let header =
            ["BaseAddress", "EndAddress+1", "RegionSize", "Type", "State", "Protect", "Usage", "Details"];
        emit(Line::plain(header.map(quote).join(sep)));
        for Row { region: r, .. } in &self.rows {
            let cells = [
                format!("{:#x}", r.base.0),
                format!("{:#x}", r.end.0),
                format!("{:#x}", r.size),
                r.kind.unwrap_or("").to_string(),
                r.state.unwrap_or("").to_string(),
                r.protect.clone().unwrap_or_default(),
                r.usage.to_string(),
                r.details.clone().unwrap_or_default(),
            ];
            emit(Line::plain(cells.map(|c| quote(&c)).join(sep)));
        }
    }
}

pub(super) fn run(session: &mut Session, o: &Options, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let wow64 = session.dump().is_wow64();
    let map = Map::new(session);
    let regions: Vec<Used> = map.regions().into_iter().filter(|u| o.takes(u, wow64)).collect();
    if let Some(command) = &o.command {
        return each(session.clone(), command, &regions, session, sink);
    }
    let wide = session.dump().machine().is_64();
    let row = |u: &Used| Row {
        region: RegionJson::new(&map, u, wow64),
        first: u.region.base == u.region.allocation_base,
    };
    let report = RegionsReport {
        rows: regions.iter().map(row).collect(),
        output: o.output,
        wide,
        note: (!map.from_stream).then_some(missing::MEMORY_INFO),
    };
    session.emit(sink, &report)
}

/// Runs the command of `-c:` for each region.
fn each(
    mut scratch: Session,
    command: &str,
    regions: &[Used],
    session: &Session,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    for u in regions {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        let (start, size): (Va, u64) = (u.region.base, u.region.size);
        let line = command
            .replace("%1", &format!("{:#x}", start.0))
            .replace("%2", &format!("{:#x}", start.offset(size).0))
            .replace("%3", &format!("{size:#x}"));
        crate::run::run_block(&mut scratch, &line, sink)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::regions::Usage;
    use super::*;
    use dumpscope_core::stream::memory_info::MemoryRegion;

    fn options(text: &str) -> Options {
        Options::parse(&mut Cursor::new(text, 0)).unwrap()
    }

    fn used(state: u32, kind: u32, protect: u32, usage: Usage) -> Used {
        let region = MemoryRegion {
            base: Va(0x1000),
            allocation_base: Va(0x1000),
            allocation_protect: protect,
            size: 0x1000,
            state,
            protect,
            kind,
        };
        Used { region, usage }
    }

    #[test]
    fn filters_of_one_class_are_alternatives() {
        let o = options("-f:MEM_COMMIT,PAGE_READWRITE,page_readonly,Heap");
        let heap = Usage::Heap(None, Va(0), dumpscope_core::Machine::X86);
        assert!(o.takes(&used(0x1000, 0x2_0000, 4, heap.clone()), false));
        assert!(o.takes(&used(0x1000, 0x2_0000, 2, heap.clone()), true), "Heap32 is a heap");
        assert!(!o.takes(&used(0x2000, 0x2_0000, 4, heap.clone()), false));
        assert!(!o.takes(&used(0x1000, 0x2_0000, 0x20, heap), false));
        assert!(!o.takes(&used(0x1000, 0x2_0000, 4, Usage::Unknown), false));
        assert!(options("-f:VAR").takes(&used(0x1000, 0, 4, Usage::Unknown), false));
    }

    #[test]
    fn commands_and_outputs() {
        let o = options("-f:Stack -c:\"db %1 L10\" -o:csv");
        assert_eq!(o.command.as_deref(), Some("db %1 L10"));
        assert_eq!(o.output, Output::Csv);
        assert!(Options::parse(&mut Cursor::new("-x:y", 0)).is_err());
        assert!(Options::parse(&mut Cursor::new("-o:xml", 0)).is_err());
    }

    #[test]
    fn table_rows() {
        let region = RegionJson {
            usage: "<unknown>",
            base: fmt::Hex(0x24f_a0a3_0000),
            end: fmt::Hex(0x24f_a0a8_7000),
            size: 0x57000,
            state: Some("MEM_COMMIT"),
            protect: Some("PAGE_EXECUTE_READWRITE".into()),
            kind: Some("MEM_PRIVATE"),
            allocation_base: None,
            allocation_protect: None,
            details: Some("[MZARUH..H......H]".into()),
        };
        let report = RegionsReport {
            rows: vec![Row { region, first: true }],
            output: Output::Table,
            wide: true,
            note: None,
        };
        let mut out = vec![];
        report.table(&mut |l| out.push(l.to_text()));
        assert_eq!(
            out[3],
            "+     24f`a0a30000      24f`a0a87000        0`00057000 MEM_PRIVATE MEM_COMMIT  PAGE_EXECUTE_READWRITE             <unknown>  [MZARUH..H......H]"
        );
    }
}
