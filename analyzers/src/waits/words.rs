//! What a thread does, in one sentence: its wait, the call that it serves, and within what.

use crate::Target;
use crate::model::ThreadFacts;
use crate::text::thread_words;
use dumpscope_core::base::text::escape;

/// Writes the sentence. `ends`: the thread ends the process; `loads`: what it does with the loader.
pub(crate) fn say(target: &Target, t: &mut ThreadFacts, ends: bool, loads: Option<String>) {
    if let (Some(wait), Some(activity)) = (&t.wait, &mut t.activity) {
        activity.text = escape(&wait.sentence).into_owned();
    }
    let serves = serving_words(target, t);
    if let (Some(serves), Some(activity)) = (serves, t.activity.as_mut().filter(|a| !a.idle)) {
        let text = format!("{}, and serves {serves}", activity.text);
        activity.text = escape(&text).into_owned();
    }
    within(t, ends, loads);
}

/// Says in the thread's sentence within what it does it: the end of the process, an entry point, the loader.
fn within(t: &mut ThreadFacts, ends: bool, loads: Option<String>) {
    let Some(activity) = &mut t.activity else { return };
    let runs = t.dll_main.as_ref().map(|d| format!("runs {}", d.words()));
    let within = match (ends, runs.or(loads).filter(|_| !t.is_writer)) {
        (true, Some(runs)) => format!("ends the process, {runs}"),
        (true, None) => "ends the process".into(),
        (false, Some(runs)) => runs,
        (false, None) => return,
    };
    activity.text = format!("{} and {}", escape(&within), activity.text);
    // Such a thread keeps others waiting, whatever it waits for.
    activity.idle = false;
}

/// The call that a thread serves, as in `serves ...`.
fn serving_words(target: &Target, t: &ThreadFacts) -> Option<String> {
    if let Some(call) = &t.serves {
        return Some(format!("an RPC call ({})", call.words()));
    }
    let call = t.com.as_ref()?.incoming.as_ref()?;
    let name = call.interface.as_deref().map(|n| format!(" ({n})")).unwrap_or_default();
    let own = target.dump.pid() == Some(call.pid);
    Some(match call.tid {
        Some(tid) if own => format!("a COM call{name} of {}", thread_words(target, tid)),
        Some(tid) => format!("a COM call{name} of thread {:x} of process {:x}", tid.0, call.pid.0),
        None if own => format!("a COM call{name} of its own process"),
        None => format!("a COM call{name} of process {:x}", call.pid.0),
    })
}
