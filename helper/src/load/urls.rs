//! The built-in load: a closed loop over a few kept-alive connections, with rests for the compilers. It pauses without
//! connections: an image is taken of a service that nobody is connected to.

use super::http::{Answer, Connection};
use super::ports;
use super::target::{Manner, Target, Visitor};
use crate::proc::{Process, compilers};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 2;
/// Requests over one connection: an instance is asked over a new one first, so what serves a new one is to be compiled for good as well, and
/// that takes thousands. (With four in place of 32 the HTTP sample's first response came 0.6 to 1.5 ms sooner, and wrote 100 to 240 KB less.)
const CONNECTION_LASTS: usize = 4;
/// How long it asks before it looks whether the compilers keep up: a load without pauses keeps them from what it asks of them. C2's queue,
/// long under full load on few processors, is empty soon after the application pauses.
const STRETCH: Duration = Duration::from_secs(2);
/// They do if they need no more of it than a tenth.
const BUSY: Duration = Duration::from_millis(200);
/// Short: a Spring service that rested two seconds in three was slower after 20 s than one that never did, since it had done
/// less; what is left in the queue at the end is compiled in the pause before the capture.
const REST_AT_MOST: Duration = Duration::from_millis(500);
/// They have caught up when they have needed next to nothing for so long: a task waits 50 ms at most before it is taken
/// or dropped.
const WINDOW: Duration = Duration::from_millis(100);
const NOTHING: Duration = Duration::from_millis(5);
/// A service that nobody has asked for a while does what it does not do under load: a pool looks whether its connections live (HikariCP after half
/// a second). Instances begin so, and code compiled under load alone has traps there. Rare, and each time rarer: silence trains nothing else.
const SILENCE: Duration = Duration::from_millis(1100);
const FIRST_SILENCE_AFTER: Duration = Duration::from_secs(4);
/// An address that has had no good answer for so long is told.
const PATIENCE: Duration = Duration::from_secs(5);
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);
/// How long a pause waits for answers.
const PAUSES_WITHIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Asks,
    Rests,
    Paused,
}

/// Since when an address has had no good answer, and what it had in place of one.
struct Failing {
    since: Instant,
    why: String,
}

struct State {
    phase: Phase,
    /// Clients without connections, in a pause.
    quiet: usize,
    failing: Vec<Option<Failing>>,
    /// Addresses that have no good answer by another name of their host.
    as_written: Vec<bool>,
}

struct Shared {
    targets: Vec<Target>,
    /// How long a connection is used at least.
    connections_last: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

pub struct Urls {
    shared: Arc<Shared>,
    process: Process,
    told: bool,
    pace: Pace,
    /// When the next silence is due, and how long after its end the one after that.
    silence: (Instant, Duration),
}

/// When it was looked at the compilers last, and what CPU time they had used.
struct Pace {
    began: Instant,
    looked: Instant,
    used: Duration,
    /// How long it rests at least.
    at_least: Duration,
}

impl Urls {
    pub fn start(targets: Vec<Target>, process: Process) -> Self {
        let failing = targets.iter().map(|_| None).collect();
        let as_written = vec![false; targets.len()];
        let state = Mutex::new(State { phase: Phase::Asks, quiet: 0, failing, as_written });
        let connections_last = ports::connections_last(&targets);
        let shared = Arc::new(Shared { targets, connections_last, state, changed: Condvar::new() });
        for number in 0..CONNECTIONS {
            let shared = Arc::clone(&shared);
            // They end with the process.
            std::thread::spawn(move || ask(&shared, number));
        }
        let silence = (Instant::now() + FIRST_SILENCE_AFTER, 2 * FIRST_SILENCE_AFTER);
        Self { shared, process, told: false, pace: Pace::new(process), silence }
    }

    /// Lets the compilers catch up from time to time; to be called ten times a second or more.
    pub fn pace(&mut self) {
        let (now, phase) = (Instant::now(), self.shared.lock().phase);
        match phase {
            Phase::Asks if now >= self.silence.0 => {
                let (_, after) = self.silence;
                self.silence = (now + SILENCE + after, 2 * after);
                self.pace = Pace { at_least: SILENCE, ..Pace::new(self.process) };
                self.enter(Phase::Rests);
            }
            Phase::Asks if now - self.pace.began >= STRETCH => {
                let used = self.pace.used;
                self.pace = Pace::new(self.process);
                if self.pace.used.saturating_sub(used) > BUSY {
                    self.enter(Phase::Rests);
                }
            }
            Phase::Rests if now - self.pace.looked >= WINDOW => {
                let used = compilers::cpu(self.process);
                let more = used.saturating_sub(self.pace.used);
                (self.pace.looked, self.pace.used) = (now, used);
                let rested = now - self.pace.began;
                if rested >= self.pace.at_least && (more <= NOTHING || rested >= REST_AT_MOST) {
                    self.resume();
                }
            }
            _ => {}
        }
    }

    pub fn pause(&mut self) {
        self.enter(Phase::Paused);
        let state = self.shared.lock();
        let all = |state: &mut State| state.quiet < CONNECTIONS;
        let (mut state, _) =
            self.shared.changed.wait_timeout_while(state, PAUSES_WITHIN, all).unwrap_or_else(PoisonError::into_inner);
        state.failing.iter_mut().for_each(|failing| *failing = None);
    }

    pub fn resume(&mut self) {
        self.pace = Pace::new(self.process);
        self.enter(Phase::Asks);
    }

    fn enter(&self, phase: Phase) {
        self.shared.lock().phase = phase;
        self.shared.changed.notify_all();
    }

    /// Once: what is wrong with addresses that have no good answers.
    pub fn failure(&mut self) -> Option<String> {
        let state = self.shared.lock();
        let late = state.failing.iter().flatten().any(|failing| failing.since.elapsed() >= PATIENCE);
        if self.told || !late {
            return None;
        }
        self.told = true;
        let failing = self.shared.targets.iter().zip(&state.failing);
        let each: Vec<String> = failing
            .filter_map(|(target, failing)| Some(format!("{}: {}", target.url, failing.as_ref()?.why)))
            .collect();
        Some(format!(
            "the training load has had no good answer for {} s ({}): correct --load; the JVM goes on, and is asked on",
            PATIENCE.as_secs(),
            each.join("; ")
        ))
    }
}

impl Pace {
    fn new(process: Process) -> Self {
        let now = Instant::now();
        Self { began: now, looked: now, used: compilers::cpu(process), at_least: Duration::ZERO }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it may ask; in a pause without connections.
    fn may_ask(&self, connections: &mut HashMap<String, Connection>) {
        let mut state = self.lock();
        let mut quiet = false;
        while state.phase != Phase::Asks {
            if state.phase == Phase::Paused && !quiet {
                connections.clear();
                quiet = true;
                state.quiet += 1;
                self.changed.notify_all();
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.quiet -= usize::from(quiet);
    }

    fn note(&self, index: usize, outcome: Result<(), String>) {
        let failing = &mut self.lock().failing[index];
        match (outcome, failing) {
            (Ok(()), failing) => *failing = None,
            (Err(why), Some(failing)) => failing.why = why,
            (Err(why), failing) => *failing = Some(Failing { since: Instant::now(), why }),
        }
    }
}

/// One client: all addresses in turn, for ever.
fn ask(shared: &Shared, first: usize) {
    let mut connections: HashMap<String, Connection> = HashMap::new();
    let (mut visit, mut asked, mut begun) = (first, 0, Instant::now());
    for turn in first.. {
        shared.may_ask(&mut connections);
        let index = turn % shared.targets.len();
        if asked >= CONNECTION_LASTS && begun.elapsed() >= shared.connections_last {
            connections.clear();
            (visit, asked, begun) = (visit + 1, 0, Instant::now());
        }
        asked += 1;
        let manner = shared.targets[index].manner(visit);
        let outcome = ask_in_manner(shared, index, manner, &mut connections);
        let failed = outcome.is_err();
        shared.note(index, outcome);
        if failed {
            std::thread::sleep(AFTER_A_FAILURE);
        }
        if manner.visitor == Visitor::Proxy {
            // That was a connection, and is to have taken as long as others last.
            std::thread::sleep(shared.connections_last);
        }
    }
}

/// By another name too, unless the service shows that it knows its own.
fn ask_in_manner(
    shared: &Shared,
    index: usize,
    manner: Manner,
    connections: &mut HashMap<String, Connection>,
) -> Result<(), String> {
    let target = &shared.targets[index];
    let by_other_name = !manner.is_as_written() && !shared.lock().as_written[index];
    // One that minds may as well close the connection.
    if by_other_name && ask_once(target, manner, connections).is_ok_and(|status| status < 300) {
        return Ok(());
    }
    let status = ask_once(target, Manner::as_written(manner.visitor), connections)?;
    if by_other_name && status < 300 {
        shared.lock().as_written[index] = true;
    }
    if status >= 400 { Err(format!("status {status}")) } else { Ok(()) }
}

/// The answer's status.
fn ask_once(target: &Target, manner: Manner, connections: &mut HashMap<String, Connection>) -> Result<u16, String> {
    let kept = connections.remove(&target.authority).and_then(|mut kept| Some((kept.get(target, manner).ok()?, kept)));
    let (answer, connection) = match kept {
        Some(answered) => answered,
        // There was none, or the server had closed it meanwhile.
        None => ask_anew(target, manner).map_err(|error| error.to_string())?,
    };
    if !answer.last {
        connections.insert(target.authority.clone(), connection);
    }
    Ok(answer.status)
}

fn ask_anew(target: &Target, manner: Manner) -> std::io::Result<(Answer, Connection)> {
    let mut connection = Connection::open(target)?;
    Ok((connection.get(target, manner)?, connection))
}

#[cfg(test)]
#[path = "urls_tests.rs"]
mod tests;
