//! The TUI's update functions: what messages change.

use crate::tui_common::{From, Tui};
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_fixtures::{article, small};
use dumpscope_tui::msg::{JobEvent, Mouse, Msg, Slot};
use dumpscope_tui::panes::PaneKind;
use dumpscope_tui::state::Phase;

fn x64() -> Tui {
    Tui::with(150, 44, "", small::x64())
}

fn pane(tui: &Tui, kind: PaneKind) -> String {
    tui.state.doc(kind).unwrap().to_text()
}

#[test]
fn the_summary_is_there_first_and_the_prompt_has_the_keys() {
    let tui = x64();
    assert_eq!(tui.state.focus, PaneKind::Command);
    let active: Vec<PaneKind> = tui.state.places().iter().map(|p| p.active).collect();
    assert!(active.contains(&PaneKind::Summary) && active.contains(&PaneKind::Stack), "{active:?}");
    assert!(pane(&tui, PaneKind::Summary).contains("demo.exe"));
    assert_eq!(tui.state.dumps[0].phase, Phase::Ready);
}

#[test]
fn a_selected_thread_moves_all_panes_and_back_returns() {
    let mut tui = x64();
    let stack = pane(&tui, PaneKind::Stack);
    tui.keys(&["alt+9", "down", "enter"]);
    let sel = |t: &Tui| t.state.dumps[0].session.as_ref().unwrap().sel.clone();
    assert_eq!(sel(&tui).thread, Some(ThreadIdx(1)));
    let other = pane(&tui, PaneKind::Stack);
    assert_ne!(stack, other);
    assert_eq!(tui.state.prompt(), "0:001> ");
    tui.keys(&["alt+6", "down", "down", "enter"]);
    assert!(sel(&tui).frame > 0);
    tui.keys(&["alt+left", "alt+left"]);
    assert_eq!((sel(&tui).thread, sel(&tui).frame), (Some(ThreadIdx(0)), 0));
    assert_eq!(pane(&tui, PaneKind::Stack), stack);
    tui.keys(&["alt+right"]);
    assert_eq!(pane(&tui, PaneKind::Stack), other);
}

#[test]
fn a_typed_selection_moves_the_panes_too() {
    let mut tui = x64();
    let stack = pane(&tui, PaneKind::Stack);
    tui.line("~1s; k");
    assert_eq!(tui.state.prompt(), "0:001> ");
    assert_ne!(pane(&tui, PaneKind::Stack), stack);
    assert!(tui.transcript().starts_with("0:000> ~1s; k\n"), "{}", tui.transcript());
}

#[test]
fn commands_wait_for_the_one_that_runs() {
    let mut tui = x64();
    tui.hold = Some(Default::default());
    tui.line("~1s");
    tui.line("? 1+1");
    assert_eq!(tui.state.dumps[0].queue.len(), 1);
    assert!(tui.state.is_busy());
    while tui.release(false) {}
    let text = tui.transcript();
    // The second ran at the prompt that the first left.
    let (one, two) = (text.find("0:000> ~1s").unwrap(), text.find("0:001> ? 1+1").unwrap());
    assert!(one < two && text.contains("Evaluate expression: 2 = "), "{text}");
}

#[test]
fn the_newest_request_of_a_pane_wins() {
    let mut tui = x64();
    tui.keys(&["alt+5"]);
    tui.hold = Some(Default::default());
    for expr in ["@$peb", "@$teb"] {
        tui.keys(&["a", "ctrl+u"]);
        tui.text(expr);
        tui.keys(&["enter"]);
    }
    let held = tui.hold.as_ref().unwrap();
    assert_eq!(held.len(), 2);
    assert!(held[0].session.cancel.is_cancelled() && !held[1].session.cancel.is_cancelled());
    // The newer answer comes first; the older one must not take its place.
    tui.release(true);
    let newest = pane(&tui, PaneKind::Memory);
    tui.release(true);
    assert_eq!(pane(&tui, PaneKind::Memory), newest);
    tui.hold = None;
    tui.line("db @$teb L10");
    let first = newest.lines().next().unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(tui.transcript().contains(&first), "{newest}\n{}", tui.transcript());
}

#[test]
fn escape_stops_what_runs() {
    let mut tui = x64();
    tui.hold = Some(Default::default());
    tui.line("s -a 0 L?7fffffffffff abc");
    tui.line("k");
    tui.keys(&["esc"]);
    let held = tui.hold.as_ref().unwrap();
    assert!(held[0].session.cancel.is_cancelled());
    assert!(tui.state.dumps[0].queue.is_empty());
    while tui.release(false) {}
    assert!(tui.transcript().contains("Stopped."), "{}", tui.transcript());
    tui.hold = None;
    tui.line("? 2");
    assert!(tui.transcript().contains("Evaluate expression: 2 = "));
}

#[test]
fn a_selection_made_while_a_command_runs_stays() {
    let mut tui = x64();
    tui.hold = Some(Default::default());
    tui.line("? 1");
    tui.keys(&["alt+9", "down", "enter"]);
    while tui.release(false) {}
    assert_eq!(tui.state.prompt(), "0:001> ");
}

#[test]
fn broken_work_is_a_message_and_the_program_goes_on() {
    let mut tui = x64();
    tui.hold = Some(Default::default());
    tui.line("k");
    tui.keys(&["alt+4", "R"]);
    for job in tui.hold.take().unwrap() {
        let event = JobEvent::Failed("index out of bounds".into());
        tui.send(Msg::Job { dump: job.dump, slot: job.slot, generation: job.generation, event });
    }
    assert!(tui.transcript().contains("failed inside dumpscope: index out of bounds"));
    assert!(pane(&tui, PaneKind::Registers).contains("failed inside dumpscope"));
    assert!(!tui.state.is_busy());
    tui.line("? 3");
    assert!(tui.transcript().contains("Evaluate expression: 3 = "));
}

#[test]
fn a_dump_that_cannot_be_opened_says_why() {
    let mut tui = Tui::new(100, 30, "");
    tui.open("bad.dmp", From::Broken("not a minidump: \u{1b}[2J".into()));
    assert!(matches!(&tui.state.dumps[0].phase, Phase::Failed(w) if w.contains("not a minidump")));
    let screen = tui.screen();
    assert!(screen.contains("not a minidump: \\x1b[2J"), "{screen}");
    tui.line("k");
    tui.line("q");
    assert!(tui.quit);
}

#[test]
fn links_open_in_their_panes() {
    let mut tui = x64();
    // The block of the thread is an address: memory.
    tui.line("!teb");
    tui.keys(&["shift+tab", "enter"]);
    assert_eq!(tui.state.focus, PaneKind::Memory);
    assert!(tui.state.dumps[0].panes[&PaneKind::Memory].expr.starts_with("0x"));
    // A module's line leads to its details, and back to the list.
    tui.keys(&["alt+8", "down", "enter"]);
    let detail = tui.state.dumps[0].panes[&PaneKind::Modules].detail.clone();
    assert!(detail.unwrap().starts_with("lmvm "));
    tui.keys(&["backspace"]);
    assert_eq!(tui.state.dumps[0].panes[&PaneKind::Modules].detail, None);
    // The menu runs commands.
    tui.keys(&["alt+9", "tab", "o", "down", "down", "enter"]);
    assert!(tui.transcript().contains("~0k"), "{}", tui.transcript());
}

#[test]
fn the_mouse_selects_scrolls_and_opens() {
    let mut tui = x64();
    let threads = tui.state.places().into_iter().find(|p| p.active == PaneKind::Threads).unwrap().area;
    // The second line's number, behind frame, mark and status columns.
    tui.send(Msg::Mouse { what: Mouse::Click, x: threads.x + 2 + 3, y: threads.y + 2 });
    assert_eq!(tui.state.focus, PaneKind::Threads);
    assert_eq!(tui.state.prompt(), "0:001> ");
    let top = tui.state.places()[0].area;
    tui.send(Msg::Mouse { what: Mouse::Click, x: top.x + 14, y: top.y });
    assert_eq!(tui.state.focus, PaneKind::Graph);
    tui.line(".help");
    let before = tui.state.transcript.top;
    tui.send(Msg::Mouse { what: Mouse::WheelUp, x: top.x + 2, y: 40 });
    assert_eq!(tui.state.transcript.top, before - 3);
    // The border between the columns.
    let x = top.right();
    tui.send(Msg::Mouse { what: Mouse::Click, x, y: top.y + 5 });
    tui.send(Msg::Mouse { what: Mouse::Drag, x: x - 20, y: top.y + 9 });
    assert_eq!(tui.state.places()[0].area.width, top.width - 20);
    tui.send(Msg::Mouse { what: Mouse::Click, x: 20, y: top.y + 5 });
    tui.send(Msg::Mouse { what: Mouse::Drag, x: 40, y: top.y + 5 });
    assert_eq!(tui.state.places()[0].area.width, top.width - 20, "nothing is held");
    for (x, y) in [(0, 0), (149, 43), (u16::MAX, u16::MAX)] {
        tui.send(Msg::Mouse { what: Mouse::Click, x, y });
    }
}

#[test]
fn memory_and_code_go_on_page_by_page() {
    let mut tui = x64();
    tui.keys(&["alt+5"]);
    let first = pane(&tui, PaneKind::Memory);
    tui.keys(&["pgdn"]);
    let next = pane(&tui, PaneKind::Memory);
    assert_ne!(first, next);
    tui.keys(&["pgup"]);
    assert_eq!(pane(&tui, PaneKind::Memory), first);
    tui.keys(&["home", "up"]);
    assert_eq!(tui.state.dumps[0].panes[&PaneKind::Memory].offset, -16);
    // Another thread: the expression is evaluated there.
    tui.line("~1s");
    assert_ne!(pane(&tui, PaneKind::Memory), first);
    // A typed address replaces the one that was shown.
    tui.keys(&["alt+5", "a"]);
    tui.text("@$ip");
    tui.keys(&["enter"]);
    assert_eq!(tui.state.dumps[0].panes[&PaneKind::Memory].expr, "@$ip");
}

#[test]
fn completion_of_commands_modules_and_symbols() {
    let mut tui = x64();
    tui.text("!runa");
    tui.keys(&["tab"]);
    assert_eq!(tui.state.input.text(), "!runaway");
    tui.keys(&["esc"]);
    tui.text("u ntd");
    tui.keys(&["tab"]);
    assert_eq!(tui.state.input.text(), "u ntdll!");
    tui.text("NtWaitForS");
    tui.keys(&["tab"]);
    assert_eq!(tui.state.input.text(), "u ntdll!NtWaitForSingleObject");
    tui.keys(&["esc"]);
    tui.text("!t");
    tui.keys(&["tab"]);
    assert!(tui.state.candidates.as_ref().is_some_and(|(c, _)| c.items.len() > 1));
    tui.keys(&["down", "enter"]);
    assert!(tui.state.input.text().starts_with("!t") && tui.state.candidates.is_none());
}

#[test]
fn history_empty_lines_and_several_lines_at_once() {
    let mut tui = x64();
    tui.line("? 5");
    tui.keys(&["enter"]);
    assert_eq!(tui.transcript().matches("Evaluate expression: 5").count(), 2);
    tui.send(Msg::Paste("? 6\n? 7\n".into()));
    assert_eq!(tui.state.input.text(), "? 6;? 7");
    tui.keys(&["enter", "up", "up"]);
    assert_eq!(tui.state.input.text(), "? 5");
    tui.keys(&["down", "down"]);
    assert_eq!(tui.state.input.text(), "");
    assert!(tui.transcript().contains("Evaluate expression: 7"));
}

#[test]
fn search_and_filter() {
    let mut tui = x64();
    tui.keys(&["alt+8", "/"]);
    tui.text("NTDLL");
    tui.keys(&["enter"]);
    let doc = tui.state.doc(PaneKind::Modules).unwrap();
    assert!(doc.row(doc.cursor).unwrap().folded.contains("ntdll"));
    tui.keys(&["&"]);
    tui.text("ntdll");
    tui.keys(&["enter"]);
    assert_eq!(tui.state.doc(PaneKind::Modules).unwrap().len(), 1);
    // What the filter hides is there again afterwards.
    tui.keys(&["esc", "esc"]);
    assert!(tui.state.doc(PaneKind::Modules).unwrap().len() > 2);
    tui.keys(&["/"]);
    tui.text("no such thing");
    assert!(tui.state.notice.is_some());
    tui.keys(&["esc"]);
    assert!(tui.state.doc(PaneKind::Modules).unwrap().search.is_empty());
}

#[test]
fn copies_and_files() {
    let mut tui = x64();
    tui.keys(&["alt+8", "down", "y", "Y", "S"]);
    tui.text("out.txt");
    tui.keys(&["enter"]);
    assert_eq!(tui.copied.len(), 2);
    assert!(tui.copied[1].contains(&tui.copied[0]));
    assert_eq!(tui.saved, [("out.txt".to_owned(), tui.copied[1].clone())]);
}

#[test]
fn panes_close_zoom_and_come_back() {
    let mut tui = x64();
    tui.keys(&["alt+6", "f11"]);
    assert_eq!(tui.state.places().len(), 1);
    tui.keys(&["f11", "alt+x"]);
    assert!(!tui.state.layout().holds(PaneKind::Stack));
    assert_eq!(tui.state.focus, PaneKind::Command);
    let memory = tui.state.memory();
    tui.keys(&["alt+6"]);
    assert!(tui.state.layout().holds(PaneKind::Stack));
    // The layout without it is what was to be remembered then.
    assert!(!memory.wide.unwrap().holds(PaneKind::Stack));
    // Every pane can be reached by going on.
    let mut seen = Vec::new();
    for _ in 0..tui.state.places().len() {
        tui.keys(&["f6"]);
        seen.push(tui.state.focus);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), tui.state.places().len());
}

#[test]
fn one_key_switches_between_32_and_64_bits() {
    let mut tui = Tui::with(150, 44, "", article::ruby_wow64());
    let machine = |t: &Tui| t.state.dumps[0].session.as_ref().unwrap().sel.machine;
    let before = pane(&tui, PaneKind::Registers);
    let first = machine(&tui);
    tui.keys(&["f8"]);
    assert_ne!(machine(&tui), first);
    tui.keys(&["alt+4"]);
    assert_ne!(pane(&tui, PaneKind::Registers), before);
    tui.keys(&["f8"]);
    assert_eq!(machine(&tui), first);
    // Elsewhere it says that there is nothing to switch.
    let mut tui = x64();
    tui.keys(&["f8"]);
    assert!(tui.state.notice.is_some() && machine(&tui) == Machine::Amd64);
}

#[test]
fn several_dumps_and_their_numbers() {
    let mut tui = x64();
    tui.open("second.dmp", From::Bytes(small::x64_crash().0.bytes()));
    assert_eq!((tui.state.current, tui.state.prompt().as_str()), (1, "||1:0:001> "));
    tui.line("||");
    assert!(tui.transcript().contains(". 1  second.dmp"), "{}", tui.transcript());
    tui.line("||0s");
    assert_eq!(tui.state.current, 0);
    tui.line("||7s");
    assert!(tui.transcript().contains("There is no dump 7."));
    tui.keys(&["f4"]);
    assert_eq!(tui.state.current, 1);
    assert!(tui.state.dumps.iter().all(|d| d.row.is_some()));
}

#[test]
fn the_start_screen_opens_dumps() {
    let mut tui = Tui::new(90, 26, "");
    tui.text("/tmp/x");
    tui.keys(&["tab"]);
    assert_eq!(tui.state.start.paths.len(), 2);
    // A path that leads nowhere is told here; the next try may be better.
    tui.keys(&["enter"]);
    assert!(tui.state.dumps.is_empty());
    assert!(tui.screen().contains("no such file"), "{}", tui.screen());
    tui.text("y");
    assert_eq!(tui.state.start.path.text(), "/tmp/xy");
    let mut tui = Tui::new(90, 26, "");
    tui.keys(&["esc"]);
    assert!(tui.quit);
}

#[test]
fn the_prompt_stands_at_the_thread_of_the_verdict() {
    let all = dumpscope_fixtures::scenarios::all();
    let deadlock = all.iter().find(|s| s.truth.kind == "deadlock").unwrap();
    let tui = Tui::with(150, 44, "", (deadlock.dump.clone(), deadlock.symbols.clone()));
    let dump = &tui.state.dumps[0];
    let tid = dump.row.as_ref().unwrap().verdict.as_ref().unwrap().tid;
    let session = dump.session.as_ref().unwrap();
    let selected = session.dump().threads().iter().find(|t| Some(t.index) == session.sel.thread).unwrap();
    assert_eq!(Some(selected.tid.0), tid);
    assert_ne!(session.event_thread(), session.sel.thread);
}

#[test]
fn the_palette_finds_by_letters() {
    let mut tui = x64();
    tui.keys(&["ctrl+p"]);
    tui.text("wait graph");
    tui.keys(&["enter"]);
    assert_eq!(tui.state.focus, PaneKind::Graph);
    tui.keys(&["ctrl+p"]);
    tui.text("!runaway");
    tui.keys(&["enter"]);
    assert_eq!((tui.state.focus, tui.state.input.text().as_str()), (PaneKind::Command, "!runaway "));
}

#[test]
fn the_stack_is_shown_before_its_symbols_are_there() {
    let mut tui = Tui::new(150, 44, "");
    tui.symbols.symbol_path = "/nowhere".into();
    tui.hold = Some(Default::default());
    tui.open("a.dmp", From::Bytes(small::x64().0.bytes()));
    let held = tui.hold.take().unwrap();
    let quick = held.iter().find(|j| j.slot == Slot::QuickStack).unwrap().clone();
    tui.hold = Some(held);
    let (dump, generation) = (quick.dump, quick.generation);
    let mut events = Vec::new();
    dumpscope_tui::work::run(quick, &[], &mut |e| events.push(e));
    for event in events {
        tui.send(Msg::Job { dump, slot: Slot::QuickStack, generation, event });
    }
    assert!(!pane(&tui, PaneKind::Stack).is_empty());
    assert!(tui.state.dumps[0].panes[&PaneKind::Stack].early);
    while tui.release(false) {}
    assert!(!tui.state.dumps[0].panes[&PaneKind::Stack].early);
}
