use super::*;

const ID: &str = "5A9832E5287241C1838ED98914E9B7FF1";

fn sym(body: &str) -> Breakpad {
    let text = format!("MODULE windows x86 {ID} app.pdb\nINFO CODE_ID 44AB9A84f4000 app.exe\n{body}");
    Breakpad::from_bytes(text.into_bytes().into(), ID, "").unwrap()
}

fn name(b: &Breakpad, rva: u32) -> Option<String> {
    b.lookup(Rva(rva)).map(|s| format!("{}+{:x}", s.name, rva - s.rva.0))
}

#[test]
fn functions_and_public_names() {
    let b = sym(
        "FUNC 1000 20 8 f(int)\r\n1000 10 7 1\r\nFUNC m 1040 10 0 g\nPUBLIC 1010 0 inside\nPUBLIC 1030 4 _p\n\
                 PUBLIC m 2000 0 data\nPUBLIC 1040 0 twin\nFUNC zz\nFUNC 1ffffffff 1 0 far\nPUBLIC\nFUNC 3000 0 0 nosize\n",
    );
    assert_eq!(name(&b, 0xfff), None);
    assert_eq!(name(&b, 0x1000).as_deref(), Some("f+0"));
    assert_eq!(name(&b, 0x101f).as_deref(), Some("f+1f"));
    // Behind a function there is no name until the next one starts.
    assert_eq!(name(&b, 0x1020), None);
    assert_eq!(name(&b, 0x1034).as_deref(), Some("_p+4"));
    assert_eq!(name(&b, 0x1040).as_deref(), Some("g+0"));
    assert_eq!(name(&b, 0x1050), None);
    assert_eq!(name(&b, 0x2010).as_deref(), Some("data+10"));
    assert_eq!(name(&b, 0x3010).as_deref(), Some("nosize+10"));
    let f = b.lookup(Rva(0x1000)).unwrap();
    assert_eq!((f.decorated.as_deref(), f.size, f.kind), (Some("f(int)"), Some(0x20), SymbolKind::Function));
    assert_eq!(b.param_bytes(Rva(0x1004)), Some(8));
    assert_eq!(b.param_bytes(Rva(0x1034)), Some(4));
    assert_eq!(b.param_bytes(Rva(0x1020)), None);
    assert_eq!(b.by_name("F", true).len(), 1);
    assert_eq!(b.by_name("f(int)", false).len(), 1);
    assert_eq!(b.by_name("F", false), Vec::new());
    let mut all = Vec::new();
    b.each(&mut |s| {
        all.push(s.name.clone());
        true
    });
    assert_eq!(all, ["f", "inside", "_p", "g", "data", "nosize"]);
    assert_eq!(b.next_after(Rva(0x1010)).unwrap().name, "_p");
    assert_eq!(b.next_after(Rva(0x3000)), None);
}

#[test]
fn overlapping_functions_keep_both() {
    let b = sym("FUNC 1000 100 0 outer\nFUNC 1040 10 0 inner\nFUNC 1048 100 0 longer\n");
    assert_eq!(name(&b, 0x103f).as_deref(), Some("outer+3f"));
    assert_eq!(name(&b, 0x1044).as_deref(), Some("inner+4"));
    assert_eq!(name(&b, 0x104f).as_deref(), Some("longer+7"));
    assert_eq!(name(&b, 0x1120).as_deref(), Some("longer+d8"));
}

#[test]
fn another_build_is_refused() {
    let text = format!("MODULE windows x86 {ID} app.pdb\nINFO CODE_ID 44AB9A84f4000 app.exe\n").into_bytes();
    let open = |id: &str, code: &str| Breakpad::from_bytes(text.clone().into(), id, code);
    assert!(open(&ID.to_lowercase(), "").is_ok());
    assert!(open("", "44AB9A84F4000").is_ok());
    assert!(matches!(open("0", "44AB9A84F4000"), Err(BreakpadError::Mismatch { .. })));
    assert!(matches!(open("", ""), Err(BreakpadError::Mismatch { .. })));
    assert!(matches!(Breakpad::from_bytes(b"MZ".to_vec().into(), ID, ""), Err(BreakpadError::NotASymFile)));
}

/// The body of Breakpad's own linux_inline.new.sym, shortened.
const INLINES: &str = "FILE 0 main.cpp\nFILE 1 a.cpp\nFILE 2 b.cpp\nFILE 3 c.cpp\nINLINE_ORIGIN 0 bar()\n\
    INLINE_ORIGIN 1 foo()\nINLINE_ORIGIN 2 func()\nFUNC 15b30 6cf 0 main\nINLINE 0 42 1 1 15b45 6b1\n\
    INLINE 1 39 2 0 15b72 684\nINLINE 2 32 3 2 15b83 673\n15b30 15 41 0\n15b45 11 36 0\n15b72 11 31 0\n15b83 a 9 0\n";

#[test]
fn inlined_calls_innermost_first() {
    let b = sym(INLINES);
    let shown: Vec<_> = b
        .inlines(Rva(0x15b85))
        .into_iter()
        .map(|s| (s.name, s.start.0, s.line.map(|l| (l.file, l.line, l.displacement))))
        .collect();
    assert_eq!(
        shown,
        [
            ("func".into(), 0x15b83, Some(("main.cpp".into(), 9, 2))),
            ("bar".into(), 0x15b72, Some(("c.cpp".into(), 32, 2))),
            ("foo".into(), 0x15b45, Some(("b.cpp".into(), 39, 0x13))),
        ]
    );
    let line = b.line(Rva(0x15b85)).unwrap();
    assert_eq!((line.file.as_str(), line.line), ("a.cpp", 42));
    assert_eq!(b.line(Rva(0x15b30)).unwrap().line, 41);
    assert!(b.inlines(Rva(0x15b30)).is_empty());
    assert_eq!(b.line(Rva(0x16200)), None);
}

#[test]
fn inlined_calls_of_old_files() {
    let b = sym(
        "FILE 0 a.cpp\nFILE 1 b.cpp\nINLINE_ORIGIN 0 1 bar()\nINLINE_ORIGIN 1 1 foo()\nFUNC 100 100 0 main\n\
                 INLINE 0 42 1 120 80\nINLINE 1 39 0 130 20\n100 20 41 0\n120 80 5 1\n",
    );
    let sites = b.inlines(Rva(0x131));
    let shown: Vec<_> = sites.iter().map(|s| (s.name.as_str(), s.line.as_ref().map(|l| l.line))).collect();
    assert_eq!(shown, [("bar", Some(5)), ("foo", Some(39))]);
    assert_eq!(sites[1].line.as_ref().unwrap().file, "b.cpp");
    let line = b.line(Rva(0x131)).unwrap();
    assert_eq!((line.file.as_str(), line.line), ("a.cpp", 42));
}

#[test]
fn frame_data_of_all_kinds() {
    let b = sym(
        "STACK WIN 4 1000 100 1 0 8 4 c 0 1 $T0 .raSearch = $eip $T0 ^ =\nSTACK WIN 4 1010 8 0 0 8 0 0 0 1 inner\n\
                 STACK WIN 0 2000 10 2 0 4 8 10 0 0 1\nSTACK WIN 3 2100 10 2 0 4 8 10 0 0 1\n\
                 STACK CFI INIT 3000 20 .cfa: $esp 4 + .ra: .cfa 4 - ^\nSTACK CFI 3001 .cfa: $esp 8 + $ebp: .cfa 8 - ^\nSTACK CFI 3010 .cfa: $ebp 8 +\n",
    );
    let program = |rva| match b.frame_data(Rva(rva)) {
        Some(FrameData::Program { program, params, .. }) => Some((program, params)),
        _ => None,
    };
    assert_eq!(program(0x1000), Some(("$T0 .raSearch = $eip $T0 ^ =".into(), 8)));
    assert_eq!(program(0x1012), Some(("inner".into(), 8)));
    assert_eq!(program(0x1018).unwrap().0.len(), 28);
    assert_eq!(
        b.frame_data(Rva(0x2004)),
        Some(FrameData::Fpo {
            start: Rva(0x2000),
            size: 0x10,
            params: 4,
            locals: 0x10,
            saved_regs: 8,
            prologue: 2,
            uses_bp: true
        })
    );
    assert_eq!(b.frame_data(Rva(0x2104)), None);
    let cfi = |rva| match b.frame_data(Rva(rva)) {
        Some(FrameData::Cfi { rules }) => Some(rules),
        _ => None,
    };
    assert_eq!(cfi(0x3000).as_deref(), Some(".cfa: $esp 4 + .ra: .cfa 4 - ^"));
    assert_eq!(cfi(0x3001).as_deref(), Some(".cfa: $esp 8 + .ra: .cfa 4 - ^ $ebp: .cfa 8 - ^"));
    assert_eq!(cfi(0x301f).as_deref(), Some(".cfa: $ebp 8 + .ra: .cfa 4 - ^ $ebp: .cfa 8 - ^"));
    assert_eq!(cfi(0x3020), None);
}

#[test]
fn damaged_files_give_what_is_left() {
    let text = format!(
        "MODULE windows x86 {ID} app.pdb\n{INLINES}STACK WIN 4 1000 100 1 0 8 4 c 0 1 $T0 x\nPUBLIC 20000 0 p\n\
         STACK CFI INIT 3000 20 .cfa: $esp 4 +\nSTACK CFI 3001 .cfa: $esp 8 +\n"
    );
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    for _ in 0..3000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..3 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = (seed >> 8) as usize % bytes.len();
            bytes[at] = (seed >> 40) as u8;
        }
        let Ok(b) = Breakpad::from_bytes(bytes.into(), ID, "") else { continue };
        for rva in [0, 0x1010, 0x3008, 0x15b30, 0x15b85, 0x20001, u32::MAX] {
            let _ = (b.lookup(Rva(rva)), b.line(Rva(rva)), b.inlines(Rva(rva)), b.frame_data(Rva(rva)));
            let _ = b.next_after(Rva(rva));
        }
        let _ = b.by_name("main", true);
        b.each(&mut |_| true);
    }
}
