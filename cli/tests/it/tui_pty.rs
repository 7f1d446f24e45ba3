//! The TUI from outside: the program in a pseudo-terminal, keys in, screen out.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest time that something may take to be on screen: test builds on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the screen is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A size as the terminal's parser wants it.
fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

/// The program in a terminal.
struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    _home: tempfile::TempDir,
}

impl Terminal {
    fn start(args: &[&str], rows: u16, cols: u16) -> Terminal {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_dumpscope"));
        command.args(args);
        for name in ["_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home.path());
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(cols), 0)));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let mut out = pair.master.try_clone_reader().unwrap();
        let (parser, bytes) = (screen.clone(), raw.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n) = out.read(&mut buffer) {
                if n == 0 {
                    return;
                }
                parser.lock().unwrap().process(&buffer[..n]);
                bytes.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Terminal { screen, raw, keys, child, master: pair.master, _home: home }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen shows something.
    fn wait(&self, what: impl Fn(&str) -> bool, name: &str) -> String {
        let began = Instant::now();
        loop {
            let text = self.text();
            if what(&text) {
                return text;
            }
            assert!(began.elapsed() < PATIENCE, "{name} is not on screen:\n{text}");
            std::thread::sleep(LOOK);
        }
    }

    fn shows(&self, what: &str) -> String {
        self.wait(|t| t.contains(what), what)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn line(&mut self, line: &str) {
        self.press(line);
        self.press("\r");
    }

    fn size(&self, rows: u16, cols: u16) {
        let before = self.raw.lock().unwrap().len();
        self.screen.lock().unwrap().screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        // crossterm loses sight of keys that come together with a new size, until the next key.
        let began = Instant::now();
        while self.raw.lock().unwrap().len() == before {
            assert!(began.elapsed() < PATIENCE, "the new size changes nothing:\n{}", self.text());
            std::thread::sleep(LOOK);
        }
    }

    /// Leaves; gives the exit code.
    fn leave(mut self) -> u32 {
        self.press("\x11");
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end:\n{}", self.text());
            std::thread::sleep(LOOK);
        };
        // The terminal is given back: other screen, cursor, no mouse, no bracketed paste.
        let began = Instant::now();
        loop {
            let raw = String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned();
            let back = ["\x1b[?1049l", "\x1b[?25h", "\x1b[?1000l", "\x1b[?2004l"];
            if back.iter().all(|b| raw.contains(b)) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "the terminal is not given back");
            std::thread::sleep(LOOK);
        }
        status.exit_code()
    }
}

fn demo(rows: u16, cols: u16) -> Terminal {
    Terminal::start(&["--demo"], rows, cols)
}

#[test]
fn the_articles_commands_typed_at_the_prompt() {
    let mut tui = demo(48, 160);
    tui.shows("0:000>");
    let first = tui.shows("ruby.exe, pid 90c");
    for pane in ["[Summary]", "[Threads]", "[Stack]", "[Locals]", "[Command]"] {
        assert!(first.contains(pane), "{pane}:\n{first}");
    }
    tui.line("!runaway 7");
    tui.shows("User Mode Time");
    tui.line("~*kb 3");
    tui.shows("MsgWaitForMultipleObjectsEx");
    tui.line(".effmach");
    tui.shows("Effective machine:");
    tui.line("!handle");
    tui.shows("5 Handles");
    tui.line("!teb");
    tui.shows("Count Owned Locks:");
    tui.line(".cls");
    tui.wait(|t| !t.contains("Count Owned Locks:"), "an empty command window");
    tui.line("~1s");
    tui.shows("0:001>");
    // The wait graph, full screen, then back.
    tui.press("\x1bw\x1b[23~");
    tui.wait(|t| t.contains("[Wait graph]") && !t.contains("[Stack]"), "the wait graph alone");
    tui.press("\x1b[23~");
    tui.shows("[Stack]");
    // Smaller, larger.
    tui.size(24, 80);
    tui.shows(" Sum ");
    tui.size(48, 160);
    tui.shows("[Stack]");
    assert_eq!(tui.leave(), 0);
}

#[test]
fn the_start_screen_and_a_file() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo.dmp");
    let mut tui = Terminal::start(&[], 30, 100);
    tui.shows("Open a dump");
    let text = demo.display().to_string();
    // The last letters by completion.
    tui.press(text.strip_suffix("o.dmp").unwrap());
    tui.press("\t");
    tui.shows("demo.dmp");
    tui.press("\r");
    tui.shows("0:000>");
    tui.shows("ruby.exe");
    assert_eq!(tui.leave(), 0);
}

#[test]
fn a_file_that_is_no_dump_and_a_command_that_leaves() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut tui = Terminal::start(&[manifest.to_str().unwrap()], 24, 80);
    tui.wait(|t| t.contains("minidump"), "why it cannot be opened");
    tui.line("q");
    let began = Instant::now();
    while tui.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(LOOK);
    }
}

/// The pictures in `docs`, from a real run: `DUMPSCOPE_UPDATE=1 cargo test -p dumpscope pictures` writes them.
#[test]
fn pictures_of_a_real_run() {
    let mut tui = demo(40, 130);
    tui.shows("ruby.exe, pid 90c");
    tui.wait(|t| t.contains("waits for the event"), "what threads do");
    tui.line("!runaway 7");
    tui.shows("Elapsed Time");
    tui.wait(|t| t.contains("0:000>") && !t.contains("BUSY"), "the prompt");
    let summary = svg(tui.screen.lock().unwrap().screen());
    tui.size(14, 90);
    tui.press("\x1bw\x1b[23~");
    tui.wait(|t| t.contains("[Wait graph]") && t.contains('┌'), "the wait graph");
    let graph = svg(tui.screen.lock().unwrap().screen());
    assert_eq!(tui.leave(), 0);
    for (name, picture) in [("tui-summary", &summary), ("tui-graph", &graph)] {
        assert!(picture.starts_with("<svg ") && picture.len() < 64 << 10, "{} bytes", picture.len());
        assert!(!picture.contains(|c: char| c.is_control() && c != '\n'));
        if std::env::var_os("DUMPSCOPE_UPDATE").is_some() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.svg")), picture).unwrap();
        }
    }
}

/// Width and height of a cell in a picture.
const CELL: (f32, u16) = (8.4, 17);

/// A screen as a picture: a run of cells of one look is one text.
fn svg(screen: &vt100::Screen) -> String {
    use std::fmt::Write as _;
    let (rows, cols) = screen.size();
    let (rows, cols) = (rows.get(), cols.get());
    let (width, height) = (f32::from(cols) * CELL.0 + 16.0, rows * CELL.1 + 16);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" \
         font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#15181e\"/>\n"
    );
    for y in 0..rows {
        let mut x = 0;
        while x < cols {
            let look = look(screen, y, x);
            let first = x;
            let mut text = String::new();
            while x < cols && self::look(screen, y, x) == look {
                let cell = screen.cell(y, x).unwrap();
                text.push_str(if cell.has_contents() { cell.contents() } else { " " });
                x += 1;
            }
            let (left, top) = (8.0 + f32::from(first) * CELL.0, 8 + y * CELL.1);
            let wide = f32::from(x - first) * CELL.0;
            if let Some(ground) = &look.1 {
                let h = CELL.1;
                writeln!(
                    out,
                    "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{wide:.1}\" height=\"{h}\" fill=\"{ground}\"/>"
                )
                .unwrap();
            }
            if text.trim().is_empty() {
                continue;
            }
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let bold = if look.2 { " font-weight=\"bold\"" } else { "" };
            writeln!(
                out,
                "<text x=\"{left:.1}\" y=\"{}\" fill=\"{}\"{bold} textLength=\"{wide:.1}\" xml:space=\"preserve\">{text}</text>",
                top + 13,
                look.0
            )
            .unwrap();
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Text colour, ground, bold.
fn look(screen: &vt100::Screen, y: u16, x: u16) -> (String, Option<String>, bool) {
    let Some(cell) = screen.cell(y, x) else { return (String::new(), None, false) };
    let text = color(cell.fgcolor()).unwrap_or("#d5d8de".into());
    let ground = color(cell.bgcolor());
    let (text, ground) = if cell.inverse() { ("#15181e".into(), Some(text)) } else { (text, ground) };
    (text, ground, cell.bold())
}

fn color(color: vt100::Color) -> Option<String> {
    const NAMED: [&str; 16] = [
        "#000000", "#c9504a", "#7fb05a", "#d0a03a", "#5a8fd0", "#b070c0", "#4fb0b8", "#b8bcc4", "#6a7080",
        "#f07068", "#a0d070", "#f0c860", "#80b0f0", "#d090e0", "#70d8e0", "#ffffff",
    ];
    match color {
        vt100::Color::Default => None,
        vt100::Color::Idx(n) => NAMED.get(usize::from(n)).map(|c| (*c).to_owned()),
        vt100::Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
    }
}
