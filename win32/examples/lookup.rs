//! How long a look-up takes once its block is there: `cargo run --release -p dumpscope-win32 --example lookup`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use dumpscope_win32::table;
use std::hint::black_box;
use std::time::Instant;

/// The slowest and the middle one of many names, in µs, each asked once before.
fn measure<T>(what: &str, count: usize, ask: impl Fn(usize) -> T) {
    const ROUNDS: u32 = 5;
    let mut each = Vec::new();
    for n in 0..count {
        black_box(ask(n));
        let best = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                black_box(ask(n));
                start.elapsed().as_nanos()
            })
            .min()
            .unwrap();
        each.push(best as f64 / 1000.0);
    }
    each.sort_by(f64::total_cmp);
    let at = |part: f64| each[((each.len() - 1) as f64 * part) as usize];
    println!(
        "{what:<28} {count:>6}: middle {:>6.2} µs, 99 % {:>6.2} µs, slowest {:>6.2} µs",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn main() {
    let table = table();
    let mut functions = Vec::new();
    table.each_function(&mut |n| {
        functions.push(n.to_owned());
        true
    });
    let functions: Vec<String> = functions.into_iter().step_by(37).collect();
    measure("functions by name", functions.len(), |n: usize| table.functions(functions[n].as_str()));
    let (mut types, mut guids) = (Vec::new(), Vec::new());
    table.each_type(&mut |id, info| {
        types.push(info.name.clone());
        if let Some(dumpscope_win32::Definition::Interface { iid: Some(iid), .. }) = table.definition(id) {
            guids.push(iid);
        }
        true
    });
    let types: Vec<String> = types.into_iter().step_by(61).collect();
    measure("types by name", types.len(), |n: usize| table.types_named(types[n].as_str()));
    let guids: Vec<[u8; 16]> = guids.into_iter().step_by(17).collect();
    measure("interfaces by IID", guids.len(), |n: usize| table.type_with_guid(&guids[n]));
    measure("their names", guids.len(), |n: usize| {
        table.type_with_guid(&guids[n]).and_then(|id| table.type_info(id))
    });
    for family in ["HRESULT", "NTSTATUS", "WIN32_ERROR", "WM"] {
        let id = table.types_named(family)[0];
        let values: Vec<i64> = table.members(id).into_iter().map(|m| m.1).step_by(29).collect();
        measure(&format!("values of {family}"), values.len(), |n: usize| {
            table.value_text(id, values[n].cast_unsigned() & 0xffff_ffff)
        });
    }
    for family in ["FILE_ACCESS_RIGHTS", "GENERIC_ACCESS_RIGHTS", "WINDOW_STYLE", "FILE_FLAGS_AND_ATTRIBUTES"]
    {
        let id = table.types_named(family)[0];
        measure(&format!("flags of {family}"), 32, |n: usize| table.value_text(id, 1 << n | 3));
    }
    let constants: Vec<String> = {
        let mut all = Vec::new();
        table.each_constant(&mut |c| {
            all.push(c.name.clone());
            true
        });
        all.into_iter().step_by(997).collect()
    };
    measure("constants by name", constants.len(), |n: usize| table.constants(constants[n].as_str()));
}
