//! `.sympath .symfix .reload !sym ld lm !lmi` against a store client whose network is a table.

use crate::lang_session::run;
use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::Session;
use dumpscope_fixtures::small;
use dumpscope_fixtures::symfile::SymFile;
use dumpscope_symbols::SymbolConfig;
use dumpscope_symbols::store::{
    Auth, Client, Head, Policy, Receiver, Request, SystemClock, Transport, TransportError, Unwatched, Watch,
};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

/// A server with the files that it is given.
#[derive(Debug, Default)]
struct Table {
    files: Mutex<Vec<(String, Vec<u8>)>>,
    asked: Mutex<Vec<String>>,
}

impl Table {
    fn add(&self, file: &SymFile) {
        let name = file.debug_file.trim_end_matches(".pdb");
        let path = format!("/{}/{}/{name}.sym", file.debug_file, file.id);
        self.files.lock().unwrap().push((path, file.text.clone().into_bytes()));
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Transport for Table {
    fn get(&self, r: &Request, _: &dyn Watch, to: &mut dyn Receiver) -> Result<(), TransportError> {
        self.asked.lock().unwrap().push(r.url.secret().to_string());
        let files = self.files.lock().unwrap();
        let found = files.iter().find(|(path, _)| r.url.secret().path().eq_ignore_ascii_case(path));
        let status = if found.is_some() { 200 } else { 404 };
        if to.head(&Head { status, ..Head::default() }) == ControlFlow::Continue(())
            && let Some((_, bytes)) = found
        {
            let _ = to.data(bytes);
        }
        Ok(())
    }
}

struct Rig {
    server: Arc<Table>,
    symbols: Vec<SymFile>,
    session: Session,
    cache: tempfile::TempDir,
}

impl Rig {
    fn new(offline: bool) -> Rig {
        let cache = tempfile::tempdir().unwrap();
        let server = Arc::new(Table::default());
        let client = Client::new(
            server.clone(),
            Arc::new(SystemClock),
            Policy::default(),
            Auth::default(),
            Arc::new(Unwatched),
        );
        let config = SymbolConfig {
            cache: Some(cache.path().to_owned()),
            offline,
            store: Some(Arc::new(client)),
            ..SymbolConfig::default()
        };
        let (dump, symbols) = small::x64();
        let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), config);
        Rig { server, symbols, session: Session::new("small.dmp".into(), Arc::new(target)), cache }
    }

    fn say(&mut self, line: &str) -> String {
        run(&mut self.session, line).0
    }

    fn demo(&self) -> &SymFile {
        self.symbols.iter().find(|s| s.debug_file == "demo.pdb").unwrap()
    }
}

#[test]
fn reload_asks_a_server_again_that_has_got_the_file() {
    let mut rig = Rig::new(false);
    assert!(rig.say(".sympath").starts_with("Symbol search path is: *** Invalid ***\n****"));
    assert!(rig.say("lmm demo").contains("demo       (deferred)\n"));
    let said = rig.say("ld demo");
    assert!(said.starts_with("*** ERROR: "), "{said}");
    assert!(said.contains("no symbol path is set (-y PATH or .sympath PATH)"), "{said}");
    assert_eq!(rig.server.asked(), 0, "nothing is asked without a URL");

    // A path with a server: asked at once, and not again while the answer is remembered.
    let said = rig.say(".sympath srv**https://sym.example/");
    assert!(said.starts_with("Symbol search path is: srv**https://sym.example/\nExpanded Symbol "), "{said}");
    let said = rig.say("ld demo");
    assert!(said.contains("no symbols for demo.exe: looked for demo.pdb "), "{said}");
    assert!(said.contains("https://sym.example/"), "{said}");
    let asked = rig.server.asked();
    assert!(asked > 0);
    rig.say(".sympath srv**https://sym.example/; ld demo");
    rig.say("ld demo");
    assert_eq!(rig.server.asked(), asked, "what was missing a moment ago is remembered");

    // Now it is there; only `.reload` looks again.
    rig.server.add(&rig.demo().clone());
    rig.say(".sympath srv**https://sym.example/");
    let said = rig.say(".reload /f demo.exe");
    assert_eq!(said, "", "{said}");
    let lm = rig.say("lmm demo");
    assert!(lm.contains("demo       (breakpad symbols)     /") && lm.ends_with("demo.sym\n"), "{lm}");
    assert!(rig.say("x demo!wait_for_worker").contains("demo!wait_for_worker"));
    assert_eq!(rig.say("ld demo"), "Symbols already loaded for demo\n");
    let lmi = rig.say("!lmi demo");
    assert!(lmi.contains("Symbol Type: BREAKPAD - Symbols loaded successfully."), "{lmi}");
    assert!(lmi.contains("demo.sym\n"), "{lmi}");
    // The file lies in the cache: another session needs no server.
    assert!(rig.cache.path().join("demo.pdb").is_dir());

    assert_eq!(rig.say(".reload /u demo"), "Unloaded demo\n");
    assert!(rig.say("lmm demo").contains("(deferred)"));
    assert!(rig.say(".reload /f nothing").starts_with("\"nothing\" was not found in the image list.\n"));
}

#[test]
fn the_summary_of_reload_says_what_to_do() {
    let mut rig = Rig::new(false);
    let modules = rig.session.dump().modules().len();
    assert_eq!(rig.say(".reload"), format!("{}\n", ".".repeat(modules)));
    let said = rig.say(".reload /f");
    assert!(said.contains(
        "************* Symbol Loading Error Summary **************\nModule name            Error\n"
    ));
    let row = "demo                   The system cannot find the file specified";
    assert!(said.lines().any(|l| l.starts_with(row)), "{said}");
    assert!(said.contains("no symbols for ") && said.contains(".sympath PATH"), "{said}");
    assert!(said.contains("(!sym noisy)") && said.contains("search path (.sympath) is correct."), "{said}");
    // One reason as an example, or each with /v.
    let reasons = |said: &str| said.matches("no symbols for ").count();
    let all = reasons(&rig.say(".reload /f /v"));
    assert!(all >= modules - 1 && reasons(&said) == if all > 3 { 1 } else { all }, "{said}");
}

#[test]
fn noisy_tells_every_place_once() {
    let mut rig = Rig::new(false);
    rig.server.add(&rig.demo().clone());
    assert_eq!(
        rig.say("!sym"),
        "!sym <noisy/quiet - prompts/prompts off> - quiet mode - symbol prompts on\n"
    );
    assert_eq!(rig.say("!sym noisy"), "noisy mode - symbol prompts on\n");
    rig.say(".sympath srv**https://sym.example/");
    let said = rig.say("ld demo");
    assert!(said.starts_with("Symbols loaded for demo\nDBGHELP: "), "{said}");
    assert!(said.contains("https://sym.example/: downloaded, "), "{said}");
    assert!(said.contains("DBGHELP: demo - Breakpad symbols & lines\n        "), "{said}");
    assert_eq!(rig.say("ld demo"), "Symbols already loaded for demo\n");
    // A block's commands and the block itself tell it once.
    let said = rig.say(".reload; .if (1) { ld demo }");
    assert_eq!(said.matches("DBGHELP: demo - ").count(), 1, "{said}");
    let said = rig.say(".reload /f demo");
    assert_eq!(said.matches("DBGHELP: demo - ").count(), 1, "{said}");
    assert_eq!(rig.say("!sym quiet"), "quiet mode - symbol prompts on\n");
    assert_eq!(rig.say(".reload /f demo"), "");
}

#[test]
fn symfix_names_microsofts_server_and_offline_stays_offline() {
    let mut rig = Rig::new(true);
    let said = rig.say(".symfix /tmp/x");
    assert!(
        said.starts_with("Symbol search path is: srv*/tmp/x*https://msdl.microsoft.com/download/symbols\n")
    );
    assert!(said.ends_with("is not asked: this session is --offline.\n"), "{said}");
    let said = rig.say(".symfix+");
    assert!(said.lines().next().unwrap().ends_with(";srv**https://msdl.microsoft.com/download/symbols"));
    let said = rig.say("ld demo");
    assert!(said.contains("was not asked (--offline)"), "{said}");
    assert_eq!(rig.server.asked(), 0);
    assert!(rig.say(".symfix a*b").contains("one folder"));
    // The path is all that follows; quotes around all of it are no part of it.
    assert!(rig.say(".sympath /a;/b c").starts_with("Symbol search path is: /a;/b c\n"));
    assert!(rig.say(".sympath+ /d").starts_with("Symbol search path is: /a;/b c;/d\n"));
    assert!(rig.say(".sympath \"\"").starts_with("Symbol search path is: *** Invalid ***\n"));
    assert_eq!(rig.say(".exepath /e").lines().next(), Some("Executable image search path is: /e"));
    assert!(rig.say(".exepath+ /f").starts_with("Executable image search path is: /e;/f\n"));
}
