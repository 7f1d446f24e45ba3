use super::*;

fn row(base: u64, ret: u64, words: [u64; 3], module: &str, function: Option<&str>, displacement: u64) -> Row {
    Row {
        number: 0,
        site: Site {
            ip: Hex(0x7746_0000),
            module: (!module.is_empty()).then(|| module.to_string()),
            function: function.map(str::to_string),
            displacement: Hex(displacement),
        },
        sp: Hex(base),
        frame_base: Hex(base),
        return_address: Hex(ret),
        args: None,
        stack_words: words.iter().map(|&w| Some(Hex(w))).collect(),
        parameters: None,
        source: None,
        inline: false,
        trust: TrustName::FramePointer,
        issue: None,
        symbol_source: None,
        fpo: None,
        convention: None,
        warning: None,
    }
}

fn source(mut row: Row, file: &str, line: u32) -> Row {
    row.source = Some(Source { file: file.into(), line });
    row
}

fn report(mut frames: Vec<Row>, letters: &str, wide: bool) -> StackReport {
    for (i, row) in frames.iter_mut().enumerate() {
        row.number = i as u32;
    }
    StackReport {
        script: Vec::new(),
        thread: Some(0),
        tid: Some(0x734),
        machine: if wide { "x64" } else { "x86" },
        frames,
        end: "complete".into(),
        notes: vec![],
        set_context: false,
        wide,
        flags: KFlags::parse(letters).unwrap(),
    }
}

fn text(report: &StackReport, layout: Layout) -> Vec<String> {
    let mut out = vec![];
    let cx = RenderCx { layout, wide: report.wide };
    report.lines(&cx, &mut |l| out.push(l.to_text().trim_end().to_string()));
    out
}

/// Rows as in the article's fourth transcript.
fn x86() -> Vec<Row> {
    let wait =
        row(0x0028_ea2c, 0x7746_112f, [2, 0x0028_ebe0, 1], "ntdll", Some("NtWaitForMultipleObjects"), 0xc);
    let block = row(
        0x0028_ec54,
        0x7702_b50c,
        [0x0028_ec80, 1, 0x0028_ec7c],
        "combase",
        Some("CCliModalLoop::BlockFn"),
        0x111,
    );
    let block = source(block, r"d:\9147\com\combase\dcomrem\callctrl.cxx", 1571);
    let mut modal = source(
        row(0x0028_ecc0, 0x7702_a259, [0; 3], "combase", Some("ModalLoop"), 0x52),
        r"d:\9147\com\combase\dcomrem\chancont.cxx",
        129,
    );
    modal.inline = true;
    let mut ole = row(0x0028_f8b8, 0x6ab9_0bde, [3, 0, 0x01dc_6590], "win32ole", None, 0x101e2);
    ole.warning = Some("WARNING: Stack unwind information not available. Following frames may be wrong.");
    vec![wait, block, modal, ole]
}

#[test]
fn article_k() {
    assert_eq!(
        text(&report(x86(), "", false), Layout::Classic),
        [
            "ChildEBP RetAddr",
            "0028ea2c 7746112f ntdll!NtWaitForMultipleObjects+0xc",
            r"0028ec54 7702b50c combase!CCliModalLoop::BlockFn+0x111 [d:\9147\com\combase\dcomrem\callctrl.cxx @ 1571]",
            r"(Inline) -------- combase!ModalLoop+0x52 [d:\9147\com\combase\dcomrem\chancont.cxx @ 129]",
            "WARNING: Stack unwind information not available. Following frames may be wrong.",
            "0028f8b8 6ab90bde win32ole+0x101e2",
        ]
    );
}

#[test]
fn article_kb() {
    assert_eq!(
        text(&report(x86(), "bL", false), Layout::Classic),
        [
            "ChildEBP RetAddr  Args to Child",
            "0028ea2c 7746112f 00000002 0028ebe0 00000001 ntdll!NtWaitForMultipleObjects+0xc",
            "0028ec54 7702b50c 0028ec80 00000001 0028ec7c combase!CCliModalLoop::BlockFn+0x111",
            "(Inline) -------- -------- -------- -------- combase!ModalLoop+0x52",
            "WARNING: Stack unwind information not available. Following frames may be wrong.",
            "0028f8b8 6ab90bde 00000003 00000000 01dc6590 win32ole+0x101e2",
        ]
    );
}

#[test]
fn article_kp_per_line() {
    let mut rows = x86();
    rows.truncate(2);
    let param = |t: &str, n: &str, v: &str| Param {
        type_name: t.into(),
        name: n.into(),
        value: (v != "?").then(|| v.into()),
        bits: None,
        source: None,
        confidence: None,
        note: None,
    };
    rows[1].parameters = Some(vec![
        param("void **", "ahEvent", "0x0028ec80"),
        param("unsigned long", "cEvents", "1"),
        param("unsigned long *", "lpdwSignaled", "0x0028ec7c"),
    ]);
    let mut none = row(0x0028_f3c8, 0x7494_a5c6, [0; 3], "combase", Some("ObjectStubless"), 0xf);
    none.parameters = Some(vec![]);
    rows.push(none);
    assert_eq!(
        text(&report(rows.clone(), "P", false), Layout::Classic)[2..],
        [
            "0028ec54 7702b50c combase!CCliModalLoop::BlockFn(",
            "            void ** ahEvent = 0x0028ec80,",
            "            unsigned long cEvents = 1,",
            r"            unsigned long * lpdwSignaled = 0x0028ec7c)+0x111 [d:\9147\com\combase\dcomrem\callctrl.cxx @ 1571]",
            "0028f3c8 7494a5c6 combase!ObjectStubless(void)+0xf",
        ]
    );
    assert_eq!(
        text(&report(rows.clone(), "pL", false), Layout::Classic)[2],
        "0028ec54 7702b50c combase!CCliModalLoop::BlockFn(void ** ahEvent = 0x0028ec80, unsigned long cEvents = 1, \
         unsigned long * lpdwSignaled = 0x0028ec7c)+0x111"
    );
    // What is not known is said; an inlined call without records is not "(void)".
    rows[1].parameters = Some(vec![param("void **", "ahEvent", "?"), param("long", "", "?")]);
    rows[2].inline = true;
    assert_eq!(
        text(&report(rows, "pL", false), Layout::Classic)[2..],
        [
            "0028ec54 7702b50c combase!CCliModalLoop::BlockFn(void ** ahEvent = <value unavailable>, \
             long = <value unavailable>)+0x111",
            "(Inline) -------- combase!ObjectStubless+0xf",
        ]
    );
}

fn x64() -> Vec<Row> {
    let words = [0, 1, 0x4e_3af7_ee00];
    let mut wait = row(0x4e_3af7_ed30, 0x7ffe_ac2e_e99a, words, "ntdll", Some("NtWaitForSingleObject"), 0x14);
    wait.stack_words.push(None);
    let mut lock = row(0x4e_3af7_ede0, 0, [0; 3], "app", Some("Lock"), 0x5);
    lock.inline = true;
    lock.source = Some(Source { file: r"C:\s\lock.h".into(), line: 36 });
    let unknown = row(0x4e_3af7_ede0, 0, [0; 3], "", None, 0x10);
    vec![wait, lock, unknown]
}

#[test]
fn x64_layouts() {
    assert_eq!(
        text(&report(x64(), "", true), Layout::Classic),
        [
            "Child-SP          RetAddr           Call Site",
            "0000004e`3af7ed30 00007ffe`ac2ee99a ntdll!NtWaitForSingleObject+0x14",
            r"(Inline Function) --------`-------- app!Lock+0x5 [C:\s\lock.h @ 36]",
            "0000004e`3af7ede0 00000000`00000000 0x00000000`77460000",
        ]
    );
    assert_eq!(
        text(&report(x64(), "b", true), Layout::Modern)[..2],
        [
            " # Child-SP          RetAddr               : Args to Child                                                           : Call Site",
            "00 0000004e`3af7ed30 00007ffe`ac2ee99a     : 00000000`00000000 00000000`00000001 0000004e`3af7ee00 00000000`00000000 : ntdll!NtWaitForSingleObject+0x14",
        ]
    );
    assert_eq!(
        text(&report(x64(), "", true), Layout::Modern)[2],
        r"02 (Inline Function) --------`--------     app!Lock+0x5 [C:\s\lock.h @ 36]".replacen("02", "01", 1)
    );
    assert_eq!(
        text(&report(x64(), "c", true), Layout::Modern)[..2],
        [" # Call Site", "00 ntdll!NtWaitForSingleObject"]
    );
    assert_eq!(
        text(&report(x64(), "v", true), Layout::Classic)[2],
        "(Inline Function) --------`-------- : --------`-------- --------`-------- --------`-------- \
         --------`-------- : app!Lock+0x5 (Inline Function @ 00000000`77460000) [C:\\s\\lock.h @ 36]"
    );
}

#[test]
fn modern_x86_and_distance() {
    let mut rows = x86();
    rows[0].fpo = Some("[3,0,0]".into());
    assert_eq!(
        text(&report(rows.clone(), "v", false), Layout::Modern)[..2],
        [
            " # ChildEBP RetAddr      Args to Child",
            "00 0028ea2c 7746112f     00000002 0028ebe0 00000001 ntdll!NtWaitForMultipleObjects+0xc (FPO: [3,0,0])",
        ]
    );
    assert_eq!(
        text(&report(rows, "fL", false), Layout::Classic)[..3],
        [
            "  Memory  ChildEBP RetAddr",
            "          0028ea2c 7746112f ntdll!NtWaitForMultipleObjects+0xc",
            "     228  0028ec54 7702b50c combase!CCliModalLoop::BlockFn+0x111",
        ]
    );
}

#[test]
fn inlined_call_that_starts_later_wraps_in_the_views_width() {
    let mut inlined = row(0, 0, [0; 3], "combase", Some("DefaultInvokeInApartment"), 0u64.wrapping_sub(0x18));
    inlined.inline = true;
    assert_eq!(
        text(&report(vec![inlined], "", false), Layout::Classic)[1],
        "(Inline) -------- combase!DefaultInvokeInApartment+0xffffffe8"
    );
}

#[test]
fn json_is_typed() {
    let json = crate::doc::Report::json(&report(x64(), "b", true));
    let first = &json["frames"][0];
    assert_eq!(first["ip"], "0x77460000");
    assert_eq!(first["module"], "ntdll");
    assert_eq!(first["stack_words"][3], serde_json::Value::Null);
    assert_eq!(first["inline"], false);
    assert_eq!(json["tid"], 0x734);
    assert_eq!(json["frames"][2]["module"], serde_json::Value::Null);
}

#[test]
fn names_from_the_dump_are_escaped() {
    let evil = row(0, 0, [0; 3], "ev\u{1b}il", Some("f\u{202e}n"), 0);
    assert_eq!(text(&report(vec![evil], "c", false), Layout::Classic)[1], r"ev\x1bil!f\u{202e}n");
}
