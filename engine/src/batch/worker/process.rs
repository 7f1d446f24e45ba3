//! The side that asks: one child, its pipes, and how it ended.

use super::limit::NO_MEMORY;
use super::wire::{Ask, Said, Setup, whole};
use super::{Workers, grace};
use crate::batch::TriageOptions;
use crate::document::DumpRow;
use serde::Serialize;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest answer, bytes: rows have limits of their own far below.
const MAX_ANSWER: u64 = 1 << 30;
/// How much of what a worker wrote to stderr is kept.
const MAX_WORDS: usize = 4096;
/// How often it is asked whether somebody stopped the batch.
const TICK: Duration = Duration::from_millis(40);
/// How long a child may take to begin, beyond the budget.
const TO_BEGIN: Duration = Duration::from_secs(10);
/// How long a child whose pipe closed may take to end.
const TO_END: Duration = Duration::from_secs(2);
/// How long a child that was killed is waited for.
const TO_DIE: Duration = Duration::from_millis(100);
/// How often it is looked whether something has ended.
const LOOK: Duration = Duration::from_millis(5);

/// A worker.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` while it is dropped.
    child: Option<Child>,
    /// `None` once it must end.
    to: Option<ChildStdin>,
    from: Receiver<Vec<u8>>,
    words: Arc<Mutex<VecDeque<u8>>>,
    /// Reads the words until the child's end.
    reader: Option<JoinHandle<()>>,
}

/// Why there is no row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRow {
    /// The batch was stopped.
    Stopped,
    /// It took longer than the budget and the grace.
    Late,
    /// It had no memory left.
    Memory,
    /// It ended, or talked nonsense: how.
    Lost(String),
}

impl Process {
    /// Starts a worker and tells it the options.
    pub(super) fn start(options: &TriageOptions, workers: &Workers) -> std::io::Result<Process> {
        let mut command = Command::new(&workers.program);
        command.args(&workers.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        apart(&mut command);
        let mut child = command.spawn()?;
        let (to, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (send, from) = channel();
        let words = Arc::new(Mutex::new(VecDeque::new()));
        let mut process = Process { child: Some(child), to, from, words: words.clone(), reader: None };
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        if let Some(out) = out {
            named("answers").spawn(move || {
                let mut out = BufReader::with_capacity(1 << 16, out);
                while let Some(line) = line(&mut out, MAX_ANSWER) {
                    if send.send(line).is_err() {
                        return;
                    }
                }
            })?;
        }
        if let Some(err) = err {
            process.reader = Some(named("words").spawn(move || keep_last(err, &words))?);
        }
        // One that ends at once is seen when its answer is waited for.
        let _ = process.tell(&Setup::of(options, workers));
        Ok(process)
    }

    /// Has a dump analyzed.
    pub(super) fn ask(
        &mut self,
        path: &Path,
        options: &TriageOptions,
        observe: &dyn Fn(&Said),
    ) -> Result<DumpRow, NoRow> {
        let limit = options.budget.map(|b| b.saturating_add(grace(b)));
        let from_now = |limit: Duration| Instant::now().checked_add(limit);
        // One that never begins is given up without a budget, too: it may be no worker at all.
        let mut until = from_now(limit.unwrap_or(TO_BEGIN).saturating_add(TO_BEGIN));
        // What it said of the dumps before is not why this one fails.
        self.words().clear();
        if self.tell(&Ask { path: path.as_os_str().to_owned() }).is_err() {
            return Err(self.ended());
        }
        loop {
            match self.from.recv_timeout(TICK) {
                Ok(line) => match serde_json::from_slice::<Said>(&line) {
                    Ok(Said::Row { row, digest }) => return Ok(whole(*row, digest)),
                    Ok(Said::Begun) => until = limit.and_then(from_now),
                    Ok(said) => observe(&said),
                    Err(_) => return Err(NoRow::Lost("answered what is no row".into())),
                },
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if options.cancel.is_cancelled() {
                return Err(NoRow::Stopped);
            }
            if until.is_some_and(|u| Instant::now() >= u) {
                return Err(NoRow::Late);
            }
        }
    }

    fn tell(&mut self, what: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        let to = self.to.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        to.write_all(&line)?;
        to.flush()
    }

    fn words(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a child ended whose pipe closed.
    fn ended(&mut self) -> NoRow {
        self.to = None;
        let until = Instant::now().checked_add(TO_END);
        let status = self.child.as_mut().and_then(|child| end_of(child, until));
        // Its last words may still be in the pipe. One that left its pipe to another process keeps nobody waiting.
        while self.reader.as_ref().is_some_and(|r| !r.is_finished())
            && until.is_some_and(|u| Instant::now() < u)
        {
            std::thread::sleep(LOOK);
        }
        let words: Vec<u8> = self.words().iter().copied().collect();
        let words = String::from_utf8_lossy(&words).into_owned();
        if words.contains(NO_MEMORY) {
            return NoRow::Memory;
        }
        let how = status.map_or_else(|| "closed its pipe".to_owned(), words_of);
        match words.lines().map(str::trim).rfind(|l| !l.is_empty()) {
            Some(last) => NoRow::Lost(format!("{how}: {last}")),
            None => NoRow::Lost(how),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It holds nothing that must be put away: what it unpacks has no name, what it downloads a name for a while.
        self.to = None;
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        let (send, ended) = channel();
        let wait = move || {
            let _ = child.wait();
            let _ = send.send(());
        };
        // The system may not let it go (a drive that does not answer): the batch goes on without it.
        if std::thread::Builder::new().name("end".into()).spawn(wait).is_ok() {
            let _ = ended.recv_timeout(TO_DIE);
        }
    }
}

/// How a child ended; `None` when it did not until then.
fn end_of(child: &mut Child, until: Option<Instant>) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(None) if until.is_some_and(|u| Instant::now() < u) => std::thread::sleep(LOOK),
            ended => return ended.ok().flatten(),
        }
    }
}

/// A child of its own group does not get the terminal's Ctrl+C: who started it ends it.
#[cfg(unix)]
fn apart(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(windows)]
fn apart(command: &mut Command) {
    /// `CREATE_NEW_PROCESS_GROUP`, `winbase.h`.
    const NEW_GROUP: u32 = 0x200;
    std::os::windows::process::CommandExt::creation_flags(command, NEW_GROUP);
}

#[cfg(not(any(unix, windows)))]
fn apart(_: &mut Command) {}

fn words_of(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            4 => " (illegal instruction)",
            6 => " (abort)",
            7 if cfg!(target_os = "linux") => " (bus error: the file was cut while it was read)",
            10 if cfg!(target_os = "macos") => " (bus error: the file was cut while it was read)",
            9 => " (killed, perhaps for want of memory)",
            11 => " (segmentation fault)",
            _ => "",
        };
        return format!("was ended by signal {signal}{name}");
    }
    match status.code() {
        // Codes of Windows with the high bit are NTSTATUS.
        Some(code) if code < 0 => format!("ended with status {:#x}", code.cast_unsigned()),
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".into(),
    }
}

/// A line without its end; `None` at the end, or when it is longer than allowed.
pub(super) fn line(from: &mut impl BufRead, limit: u64) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    from.take(limit).read_until(b'\n', &mut line).ok()?;
    (line.pop()? == b'\n').then_some(line)
}

fn keep_last(mut from: impl Read, words: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 {
            return;
        }
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend(buffer.get(..n).unwrap_or_default());
        let over = words.len().saturating_sub(MAX_WORDS);
        words.drain(..over);
    }
}
