//! Work in the background: what is asked for, what comes back.

use crate::layout::Place;
use crate::msg::{Effect, Job, JobEvent, Look, Slot, Summary, Work};
use crate::panes::{PaneKind, Shape};
use crate::state::{DumpState, MAX_PANE, MAX_TRANSCRIPT, Pane, Phase, Running, State};
use crate::text::Row;
use crate::work::{bytes_per_line, pane_lines};
use dumpscope_analyzers::Cancel;
use dumpscope_engine::document::OwnerState;
use dumpscope_engine::{Line, LineStatus, Link, Role, Selection, Session, Span};

/// Brings everything up to date after a message: asks for panes that are on screen and stale, starts the next
/// command, keeps cursors on screen.
pub(super) fn settle(state: &mut State, effects: &mut Vec<Effect>) {
    next_command(state, effects);
    if !state.zoom && !state.dumps.is_empty() && state.places().iter().all(|p| p.active != state.focus) {
        // Another layout (the screen has another size): the pane with the keys must be in front there too.
        let focus = state.focus;
        state.layout_mut().show(focus, focus);
    }
    let places = state.places();
    verdicts(state, &places, effects);
    for place in &places {
        let height = usize::from(place.area.height.saturating_sub(2));
        refresh(state, place.active, height, effects);
        let lines = if place.active == PaneKind::Command { height.saturating_sub(2) } else { height };
        let columns = usize::from(place.area.width.saturating_sub(3));
        let following = place.active == PaneKind::Command && !state.in_output;
        let Some(doc) = state.doc_mut(place.active) else { continue };
        // Two columns of frame, one for the cursor's mark.
        let resized = std::mem::replace(&mut doc.columns, columns) != columns;
        if !following {
            doc.follow(lines.max(1));
        } else if resized && doc.wrap {
            to_end(state);
        }
    }
}

/// The height of a pane's text on screen; 0 when it is not there.
pub(super) fn height(state: &State, kind: PaneKind) -> usize {
    let less = if kind == PaneKind::Command { 4 } else { 2 };
    let place = state.places().into_iter().find(|p| p.active == kind);
    place.map_or(0, |p| usize::from(p.area.height.saturating_sub(less)))
}

/// Marks panes to be asked for anew: those that follow the selection, or all.
pub(super) fn stale(dump: &mut DumpState, all: bool) {
    for (kind, pane) in &mut dump.panes {
        if all || kind.info().follows {
            pane.stale = true;
        }
    }
}

fn request(session: &Session) -> (Session, Cancel) {
    let mut session = session.clone();
    session.cancel = Cancel::default();
    let cancel = session.cancel.clone();
    (session, cancel)
}

fn running(generation: u64, cancel: Cancel, what: &str) -> Running {
    Running { cancel, generation, what: what.to_owned(), progress: (0, 0), ticks: 0, before: None }
}

/// Asks for a pane on screen when it is stale or has another size than it was asked for.
fn refresh(state: &mut State, kind: PaneKind, height: usize, effects: &mut Vec<Effect>) {
    let current = state.current;
    let mut generation = state.generation;
    let Some(dump) = state.dumps.get_mut(current).filter(|d| d.phase == Phase::Ready) else { return };
    let Some(session) = dump.session.as_ref() else { return };
    let Some(pane) = dump.panes.get_mut(&kind) else { return };
    let mut push = |slot, session, work| {
        generation += 1;
        effects.push(Effect::Run(Box::new(Job { dump: current, slot, generation, session, work })));
        generation
    };
    match kind {
        PaneKind::Command => return,
        PaneKind::Summary | PaneKind::Graph => return,
        _ => {
            let sized = kind == PaneKind::Disassembly || bytes_per_line(kind, pane.form, true).is_some();
            let short = sized && pane.detail.is_none() && pane.asked < height;
            if !(pane.stale || short) {
                return;
            }
            pane.stale = false;
            pane.asked = height;
            let (lines, shape) = match &pane.detail {
                Some(line) => (vec![line.clone()], Shape::Plain),
                None => {
                    let shape = kind.info().forms.get(pane.form).map_or(Shape::Plain, |f| f.shape);
                    (pane_lines(kind, pane.form, &pane.expr, pane.offset, height.max(1)), shape)
                }
            };
            let what = lines.join("; ");
            if kind == PaneKind::Stack
                && pane.early
                && let Some(bare) = &dump.bare
                && !session.target.symbols.config().symbol_path.is_empty()
            {
                let (mut quick, _) = request(bare);
                quick.sel = session.sel.clone();
                let work = Work::Pane { lines: lines.clone(), shape };
                push(Slot::QuickStack, quick, work);
            }
            let (session, cancel) = request(session);
            let n = push(Slot::Pane(kind), session, Work::Pane { lines, shape });
            if let Some(old) = pane.running.replace(running(n, cancel, &what)) {
                effects.push(Effect::Cancel(old.cancel));
            }
        }
    }
    state.generation = generation;
}

/// Asks for verdicts: of all dumps, for chains across processes; and for their lines where they are on screen with
/// another width.
fn verdicts(state: &mut State, places: &[Place], effects: &mut Vec<Effect>) {
    let width = |kind| {
        let place = places.iter().find(|p| p.active == kind);
        place.map(|p| usize::from(p.area.width.saturating_sub(3)))
    };
    let (summary, graph) = (width(PaneKind::Summary), width(PaneKind::Graph));
    let rows: Vec<_> = state.dumps.iter().filter_map(|d| d.row.clone()).collect();
    let (current, ascii) = (state.current, state.settings.ascii);
    let mut generation = state.generation;
    for (index, dump) in state.dumps.iter_mut().enumerate() {
        let (Phase::Ready, Some(session)) = (&dump.phase, &dump.session) else { continue };
        // Panes that are not on screen keep the width that they had.
        let mut asked = |kind, width: Option<usize>| {
            let pane = dump.panes.entry(kind).or_default();
            let old = pane.asked;
            if let Some(width) = width.filter(|_| index == current) {
                pane.asked = width;
            }
            (if pane.asked == 0 { 76 } else { pane.asked }, old != pane.asked)
        };
        let ((width, other), (graph_width, other_graph)) =
            (asked(PaneKind::Summary, summary), asked(PaneKind::Graph, graph));
        let look = Look { width, graph_width, ascii, early: false };
        let Some(pane) = dump.panes.get_mut(&PaneKind::Summary) else { continue };
        let mut push = |slot, session, work| {
            generation += 1;
            effects.push(Effect::Run(Box::new(Job { dump: index, slot, generation, session, work })));
            generation
        };
        if std::mem::take(&mut pane.stale) {
            let symbols = session.target.symbols.config();
            if let Some(bare) =
                dump.bare.as_ref().filter(|_| dump.row.is_none() && !symbols.symbol_path.is_empty())
            {
                push(Slot::QuickSummary, request(bare).0, Work::Triage(Look { early: true, ..look }));
            }
            let (session, cancel) = request(session);
            let n = push(Slot::Pane(PaneKind::Summary), session, Work::Triage(look));
            let old = pane.running.replace(running(n, cancel, "analyzing"));
            effects.extend(old.map(|r| Effect::Cancel(r.cancel)));
        } else if let Some(row) =
            dump.row.clone().filter(|_| other || other_graph || dump.incidents != rows.len())
        {
            dump.incidents = rows.len();
            push(Slot::QuickSummary, request(session).0, Work::Render(row, rows.clone(), look));
        }
    }
    state.generation = generation;
}

/// Puts a line behind those that wait to be run.
pub(super) fn submit(state: &mut State, line: &str) {
    if let Some(dump) = state.dump_mut() {
        dump.queue.push_back(line.to_owned());
    }
}

/// Starts the next line of each dump when none is running.
fn next_command(state: &mut State, effects: &mut Vec<Effect>) {
    for index in 0..state.dumps.len() {
        let several = state.dumps.len() > 1;
        let Some(dump) = state.dumps.get_mut(index) else { return };
        if dump.command.is_some() || dump.phase != Phase::Ready {
            continue;
        }
        let Some(session) = dump.session.as_ref() else { continue };
        let Some(line) = dump.queue.pop_front() else { continue };
        dump.chosen = true;
        let prompt = session.prompt();
        let prompt = if several { format!("||{index}:{prompt}") } else { prompt };
        let (session, cancel) = request(session);
        state.generation += 1;
        let mut run = running(state.generation, cancel, &line);
        run.before = Some(session.sel.clone());
        dump.command = Some(run);
        let job = Job {
            dump: index,
            slot: Slot::Command,
            generation: state.generation,
            session,
            work: Work::Line(line.clone()),
        };
        effects.push(Effect::Run(Box::new(job)));
        let link = Span::untrusted(Role::Plain, &line).link(Link::Run(line.clone()));
        let mut row = Row::new(Line(vec![Span::new(Role::Prompt, prompt), link]));
        row.echo = true;
        print(state, vec![row]);
    }
}

/// Appends to the command window. Who is not reading further up sees the end.
pub(super) fn print(state: &mut State, rows: Vec<Row>) {
    state.transcript.append(rows, MAX_TRANSCRIPT);
    if !state.in_output {
        to_end(state);
    }
}

/// Shows the end of the command window's output.
pub(super) fn to_end(state: &mut State) {
    let lines = height(state, PaneKind::Command).max(1);
    let doc = &mut state.transcript;
    doc.go(doc.len().saturating_sub(1));
    doc.top = doc.last_top(lines);
}

/// Takes what work tells.
pub(super) fn event(
    state: &mut State,
    dump: usize,
    slot: Slot,
    generation: u64,
    event: JobEvent,
    effects: &mut Vec<Effect>,
) {
    match slot {
        Slot::Command => command(state, dump, generation, event, effects),
        Slot::Completion => {
            if let JobEvent::Candidates(text, found) = event {
                super::prompt::candidates(state, &text, found);
            }
        }
        Slot::QuickStack => {
            let Some(pane) = pane(state, dump, PaneKind::Stack) else { return };
            // Only while the real answer is not there.
            if let JobEvent::Lines(rows) = event
                && pane.early
                && pane.shown < generation
            {
                pane.doc.replace(rows);
                pane.shown = generation;
            }
        }
        Slot::QuickSummary => {
            if let JobEvent::Summary(summary) = event {
                let Some(d) = state.dumps.get_mut(dump) else { return };
                let render = d.row.as_ref().is_some_and(|r| std::sync::Arc::ptr_eq(r, &summary.row));
                if d.row.is_none() || render {
                    show(d, *summary, !render);
                }
            }
        }
        Slot::Pane(PaneKind::Summary) => match event {
            JobEvent::Summary(summary) => {
                let Some(d) = state.dumps.get_mut(dump) else { return };
                let newest = d.panes.get(&PaneKind::Summary).and_then(|p| p.running.as_ref());
                if newest.is_some_and(|r| r.generation == generation) {
                    show(d, *summary, false);
                }
            }
            other => finish(state, dump, PaneKind::Summary, generation, other),
        },
        Slot::Pane(kind) => finish(state, dump, kind, generation, event),
    }
}

fn pane(state: &mut State, dump: usize, kind: PaneKind) -> Option<&mut Pane> {
    state.dumps.get_mut(dump)?.panes.get_mut(&kind)
}

/// Puts a verdict on screen.
fn show(dump: &mut DumpState, summary: Summary, early: bool) {
    let threads = summary.row.threads.iter().flatten();
    dump.activity = threads
        .filter_map(|t| {
            let text = t.activity.as_deref()?;
            Some((t.index, dumpscope_core::base::text::escape(text).into_owned()))
        })
        .collect();
    let locks = summary.row.locks.iter().flatten().filter(|l| l.owner == OwnerState::Missing);
    dump.gone = locks.filter_map(|l| l.owner_tid).collect();
    for (kind, rows) in [(PaneKind::Summary, summary.text), (PaneKind::Graph, summary.graph)] {
        if let Some(pane) = dump.panes.get_mut(&kind) {
            pane.doc.replace(rows);
            pane.early = early;
        }
    }
    // The prompt stands at the thread that the verdict is about, unless somebody has chosen another one.
    let tid = summary.row.verdict.as_ref().and_then(|v| v.tid);
    if let (false, Some(tid), Some(session)) = (dump.chosen, tid, &mut dump.session) {
        let thread = session.dump().thread_by_tid(dumpscope_core::Tid(tid)).map(|t| t.index);
        if let Some(thread) = thread.filter(|t| session.sel.thread != Some(*t)) {
            session.sel.select_thread(thread);
            stale(dump, false);
        }
    }
    // A verdict of the dump without symbols is not kept: the real one is to come.
    dump.row = Some(summary.row).filter(|_| !early);
}

/// What a pane's command tells.
fn finish(state: &mut State, dump: usize, kind: PaneKind, generation: u64, event: JobEvent) {
    let Some(pane) = pane(state, dump, kind) else { return };
    if pane.running.as_ref().is_none_or(|r| r.generation != generation) {
        return;
    }
    match event {
        JobEvent::Lines(rows) => {
            lines(pane, generation, rows);
        }
        // Of several commands only code has a line to look at first: that of the instruction pointer.
        JobEvent::Mark if kind == PaneKind::Disassembly => {
            lines(pane, generation, Vec::new());
            let at = pane.doc.len();
            pane.doc.cursor = at;
            // Some lines of what stands before are on screen.
            pane.doc.top = at.saturating_sub(9);
        }
        JobEvent::Progress(what, done, total) => {
            if let Some(r) = &mut pane.running {
                (r.what, r.progress) = (what, (done, total));
            }
        }
        JobEvent::Failed(what) => {
            pane.running = None;
            let text = format!("This pane failed inside dumpscope: {what}");
            lines(pane, generation, vec![Row::note(Role::Error, &text)]);
        }
        JobEvent::Done(_, status) => {
            pane.running = None;
            pane.early = false;
            if kind != PaneKind::Summary {
                // A command without output leaves an empty pane.
                lines(pane, generation, Vec::new());
            }
            if status == LineStatus::Stopped {
                pane.doc.append(vec![Row::note(Role::Warning, "Stopped: this is not all.")], MAX_PANE);
            }
            if std::mem::take(&mut pane.to_end) {
                pane.doc.go(usize::MAX);
            }
        }
        JobEvent::Mark | JobEvent::Summary(_) | JobEvent::Candidates(..) => {}
    }
}

/// Lines of a pane: the first ones of an answer take the place of the old answer.
fn lines(pane: &mut Pane, generation: u64, rows: Vec<Row>) {
    if pane.shown == generation {
        pane.doc.append(rows, MAX_PANE);
    } else {
        pane.shown = generation;
        pane.doc.replace(rows);
    }
}

/// What a line typed at the prompt tells.
fn command(state: &mut State, dump: usize, generation: u64, event: JobEvent, effects: &mut Vec<Effect>) {
    let Some(d) = state.dumps.get_mut(dump) else { return };
    if d.command.as_ref().is_none_or(|r| r.generation != generation) {
        return;
    }
    match event {
        JobEvent::Lines(rows) => print(state, rows),
        JobEvent::Progress(what, done, total) => {
            if let Some(r) = &mut d.command {
                (r.what, r.progress) = (what, (done, total));
            }
        }
        JobEvent::Failed(what) => {
            d.command = None;
            let text = format!("The command failed inside dumpscope: {what}. The session goes on.");
            print(state, vec![Row::note(Role::Error, &text)]);
        }
        JobEvent::Done(session, status) => {
            let before = d.command.take().and_then(|r| r.before);
            finished(d, *session, before.as_ref());
            match status {
                LineStatus::Stopped => {
                    d.queue.clear();
                    print(state, vec![Row::note(Role::Warning, "Stopped.")]);
                }
                LineStatus::Quit => effects.push(Effect::Quit),
                LineStatus::Done | LineStatus::Failed => {}
            }
        }
        JobEvent::Mark | JobEvent::Summary(_) | JobEvent::Candidates(..) => {}
    }
}

/// True when two selections show different things.
fn moved(a: &Selection, b: &Selection) -> bool {
    let place = |s: &Selection| s.context.as_ref().map(|c| (c.ip(), c.sp()));
    (a.thread, a.frame, a.machine, place(a)) != (b.thread, b.frame, b.machine, place(b))
}

/// Takes over what a command changed in its own session.
fn finished(dump: &mut DumpState, done: Session, before: Option<&Selection>) {
    let Some(session) = &mut dump.session else { return };
    let changed = before.is_none_or(|b| moved(b, &done.sel));
    let look = (session.sel.layout, session.sel.radix, session.sel.max_frames)
        != (done.sel.layout, done.sel.radix, done.sel.max_frames);
    if changed {
        session.sel = done.sel;
    } else {
        // Somebody may have selected another thread meanwhile: that stays.
        session.sel.layout = done.sel.layout;
        session.sel.radix = done.sel.radix;
        session.sel.max_frames = done.sel.max_frames;
    }
    session.language = done.language;
    let symbols = session.target.symbols.generation();
    let reloaded = symbols != dump.symbols;
    dump.symbols = symbols;
    if reloaded {
        // All names may be others now; the verdict too.
        if let Some(p) = dump.panes.get_mut(&PaneKind::Stack) {
            p.early = true;
        }
        stale(dump, true);
    } else if changed || look {
        for (kind, pane) in &mut dump.panes {
            let verdict = matches!(kind, PaneKind::Summary | PaneKind::Graph);
            if kind.info().follows || (look && !verdict) {
                pane.stale = true;
            }
        }
    }
    // Commands load symbols as they need them.
    if let Some(p) = dump.panes.get_mut(&PaneKind::Modules).filter(|p| p.detail.is_none()) {
        p.stale = true;
    }
}

/// Asks everything of the shown dump to stop; says whether there was something.
pub(super) fn stop(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let mut any = !state.downloads.is_empty();
    if any {
        effects.push(Effect::StopDownloads);
    }
    let Some(dump) = state.dump_mut() else { return any };
    if matches!(dump.phase, Phase::Opening(..)) {
        effects.push(Effect::Cancel(dump.opening.clone()));
        any = true;
    }
    any |= !dump.queue.is_empty();
    dump.queue.clear();
    let running = dump.panes.values().filter_map(|p| p.running.as_ref()).chain(dump.command.as_ref());
    for r in running {
        any = true;
        effects.push(Effect::Cancel(r.cancel.clone()));
    }
    any
}
