//! A confined session reaches nothing but its dump: what a command's row says (`outside`) is what it does.

use dumpscope_engine::{COMMANDS, Host, HostError, JsonSink, Session, run_line};
use dumpscope_symbols::SymbolConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts how often a command wanted a file.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn count<T>(&self) -> Result<T, HostError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(HostError { win32: 5, text: "no".into() })
    }
}

impl Host for Counting {
    fn open_log(&self, _: &str, _: bool) -> Result<(), HostError> {
        self.count()
    }
    fn close_log(&self) -> Option<String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
    fn log_file(&self) -> Option<String> {
        None
    }
    fn log(&self, _: &str) {}
    fn read_script(&self, _: &str) -> Result<String, HostError> {
        self.count()
    }
}

fn session(dir: &tempfile::TempDir) -> Session {
    let path = dir.path().join("a.dmp");
    std::fs::write(&path, dumpscope_fixtures::small::x86().0.bytes()).unwrap();
    let mut session =
        Session::open(&path, SymbolConfig { offline: true, ..SymbolConfig::default() }).unwrap();
    session.confined = true;
    session
}

fn answer(session: &mut Session, line: &str) -> String {
    let mut sink = JsonSink::new(true);
    run_line(session, line, &mut sink);
    sink.into_value().to_string()
}

#[test]
fn rows_say_which_commands_reach_out_of_the_dump() {
    let dir = tempfile::tempdir().unwrap();
    let start = session(&dir);
    let before = format!("{:?}", start.target.symbols.config());
    let here = std::fs::read_dir(".").unwrap().count();
    for command in COMMANDS {
        for (line, _) in command.examples {
            let host = Arc::new(Counting::default());
            let mut session = start.clone();
            session.host = Some(host.clone());
            let told = answer(&mut session, line);
            assert!(!command.outside || told.contains("is refused here"), "{line}: {told}");
            assert_eq!(host.0.load(Ordering::Relaxed), 0, "{line} asked for a file");
        }
    }
    assert_eq!(format!("{:?}", start.target.symbols.config()), before, "a command changed where symbols are");
    assert_eq!(std::fs::read_dir(".").unwrap().count(), here, "a command wrote a file");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a command wrote a file");
    assert!(COMMANDS.iter().filter(|c| c.outside).count() > 10);
}

#[test]
fn a_refused_command_is_refused_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    for line in [
        ".sympath /etc",
        ".sympath+ /etc",
        "~*e .sympath /etc",
        ".if (1) { .logopen /tmp/x }",
        ".for (r $t0=0; @$t0<1; r $t0=@$t0+1) { .dump /ma /tmp/x }",
        "aS x .nvload /etc/passwd; .block { ${x} }",
        ".foreach (w { .echo /etc/passwd }) { $$><${w} }",
        "!for_each_frame .symfix",
        "z (0); .exepath /etc",
        ".layout modern; .sympath /etc",
    ] {
        let mut session = session(&dir);
        let told = answer(&mut session, line);
        assert!(told.contains("is refused here"), "{line}: {told}");
        assert!(session.target.symbols.config().symbol_path.is_empty(), "{line}");
    }
}
