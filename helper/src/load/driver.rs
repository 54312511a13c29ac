//! From the first look at the JVM to the end of the load, as the agent says.

use super::agent::{Agent, Word};
use super::command::LoadCommand;
use super::http::Target;
use super::listening;
use super::urls::Urls;
use crate::proc::Process;
use hotfork_abi::load::is_url;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const LOOKS_EVERY: Duration = Duration::from_millis(20);
/// A load that has not begun after so long is told.
const WAITS_SILENTLY: Duration = Duration::from_secs(60);

/// Drives the load until the agent ends it or is gone.
pub fn drive(socket: OwnedFd, process: Process, port: Option<u16>, loads: &[String]) {
    let agent = Agent::new(socket);
    let kind = match Kind::new(loads) {
        Ok(kind) => kind,
        Err(why) => {
            agent.tell(&format!("--load: {why}; the JVM goes on without a load"));
            return idle(&agent);
        }
    };
    let awaited = match port {
        Some(port) => Awaited::All([port].into()),
        None => kind.awaited(),
    };
    let Some(port) = await_listener(&agent, &awaited, WAITS_SILENTLY, || listening::ports(process)) else { return };
    match kind.start(process, port) {
        Ok(load) => run(&agent, load),
        Err(error) => {
            agent.tell(&format!("the training load cannot be started: sh: {error}; the JVM goes on without a load"));
            idle(&agent);
        }
    }
}

enum Kind {
    Urls(Vec<Target>),
    Command(String),
}

impl Kind {
    fn new(loads: &[String]) -> Result<Self, String> {
        super::check(loads)?;
        match loads {
            [command] if !is_url(command) => Ok(Self::Command(command.clone())),
            urls => Ok(Self::Urls(urls.iter().map(|url| Target::parse(url)).collect::<Result<_, _>>()?)),
        }
    }

    fn awaited(&self) -> Awaited {
        match self {
            Self::Urls(targets) => Awaited::All(targets.iter().map(|target| target.port).collect()),
            Self::Command(_) => Awaited::Any,
        }
    }

    fn start(self, process: Process, port: u16) -> std::io::Result<Load> {
        match self {
            Self::Urls(targets) => Ok(Load::Urls(Urls::start(targets, process))),
            Self::Command(text) => LoadCommand::start(&text, port).map(Load::Command),
        }
    }
}

enum Load {
    Urls(Urls),
    Command(LoadCommand),
}

fn run(agent: &Agent, mut load: Load) {
    loop {
        match (agent.hears(LOOKS_EVERY), &mut load) {
            (Some(Word::Pause), load) => {
                match load {
                    Load::Urls(urls) => urls.pause(),
                    Load::Command(command) => command.pause(),
                }
                agent.has_paused();
            }
            (Some(Word::Resume), Load::Urls(urls)) => urls.resume(),
            (Some(Word::Resume), Load::Command(command)) => command.resume(),
            (Some(Word::End), _) => break,
            (None, Load::Urls(urls)) => {
                urls.pace();
                urls.failure().iter().for_each(|failure| agent.tell(failure));
            }
            (None, Load::Command(command)) => command.failure().iter().for_each(|failure| agent.tell(failure)),
        }
    }
    if let Load::Command(command) = load {
        command.end();
    }
}

/// A load that will not begin: the agent is answered.
fn idle(agent: &Agent) {
    loop {
        match agent.hears(Duration::from_secs(60)) {
            Some(Word::Pause) => agent.has_paused(),
            Some(Word::End) => return,
            Some(Word::Resume) | None => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Awaited {
    /// The first port that is opened.
    Any,
    All(BTreeSet<u16>),
}

impl Awaited {
    /// A port of those that the application listens on, if it is time to begin.
    fn found(&self, ports: &BTreeSet<u16>) -> Option<u16> {
        match self {
            Self::Any => ports.first().copied(),
            Self::All(awaited) => awaited.first().copied().filter(|_| awaited.is_subset(ports)),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Any => "a TCP port".into(),
            Self::All(ports) => format!("port {}", ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" and ")),
        }
    }
}

/// Waits until the application listens; `None` if the agent ends the load first. Nobody is told twice.
fn await_listener(
    agent: &Agent,
    awaited: &Awaited,
    silently: Duration,
    mut look: impl FnMut() -> std::io::Result<BTreeSet<u16>>,
) -> Option<u16> {
    let begun = Instant::now();
    let (mut told, mut paused) = (false, false);
    let mut tell = |why: &str| {
        if !std::mem::replace(&mut told, true) {
            let remedy = "name the port that it opens by --load-port";
            agent.tell(&format!(
                "no training load {why}: the application does not listen on {}; {remedy}",
                awaited.describe()
            ));
        }
    };
    loop {
        match look() {
            Ok(ports) => {
                if let Some(port) = awaited.found(&ports).filter(|_| !paused) {
                    return Some(port);
                }
            }
            Err(error) => log::debug!("{error}"),
        }
        if begun.elapsed() >= silently {
            tell(&format!("for {} s", silently.as_secs()));
        }
        match agent.hears(LOOKS_EVERY) {
            Some(Word::Pause) => {
                paused = true;
                agent.has_paused();
            }
            Some(Word::Resume) => paused = false,
            Some(Word::End) => {
                tell("was begun");
                return None;
            }
            None => {}
        }
    }
}
