//! The terminal: taken over at the start, given back at the end, whatever the end is.

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;

/// The terminal in our hands; dropping it gives it back.
pub(super) struct Guard {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

static HOOK: Once = Once::new();

impl Guard {
    pub(super) fn enter(mouse: bool) -> io::Result<Guard> {
        hook();
        enable_raw_mode()?;
        // From here on an error must give the terminal back too.
        let guard = Guard::open(mouse);
        if guard.is_err() {
            restore();
        }
        guard
    }

    fn open(mouse: bool) -> io::Result<Guard> {
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
        execute!(out, EnterAlternateScreen)?;
        // Old consoles of Windows have neither: all else works without them.
        let _ = execute!(out, EnableBracketedPaste);
        if mouse {
            let _ = execute!(out, EnableMouseCapture);
        }
        let terminal = Terminal::new(CrosstermBackend::new(out))?;
        Ok(Guard { terminal })
    }

    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        size()
    }

    /// Draws one screen, at once where the terminal can do that.
    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(view)?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// Forgets what is on screen: the next drawing is a whole one.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal where its cursor is and wait for the answer, which the thread
        // that reads keys takes away.
        let (width, height) = size()?;
        self.terminal.resize(Rect::new(0, 0, width, height))
    }

    /// Sends bytes that are no cells (the clipboard's).
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let out = self.terminal.backend_mut();
        out.write_all(bytes)?;
        Write::flush(out)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back. Errors are of no use here: there is nobody left to tell.
fn restore() {
    // Each on its own: on Windows the mouse cannot be given back when it was never taken, and that is no reason to keep
    // the screen.
    let mut out = io::stdout();
    let _ = execute!(out, EndSynchronizedUpdate);
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, DisableBracketedPaste);
    let _ = execute!(out, LeaveAlternateScreen);
    let _ = execute!(out, cursor::Show);
    let _ = disable_raw_mode();
}

/// A panic of the main thread gives the terminal back before it is told. Panics of workers and of panes are caught
/// and told on screen; their text must not be written over it.
fn hook() {
    HOOK.call_once(|| {
        let main = std::thread::current().id();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == main && !crate::view::in_pane() {
                restore();
                before(info);
            }
        }));
    });
}
