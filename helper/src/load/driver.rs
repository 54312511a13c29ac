//! From the first look at the JVM to the end of the load, as the agent says.

use super::agent::{Agent, Word};
use super::command::LoadCommand;
use super::listening;
use super::target::Target;
use super::urls::Urls;
use crate::proc::Process;
use hotfork_abi::load::is_url;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const LOOKS_EVERY: Duration = Duration::from_millis(20);
/// A look reads all sockets of the machine and all descriptors of the JVM: one that may never listen is looked at rarely.
const LOOKS_AT_LEAST_EVERY: Duration = Duration::from_millis(500);
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

/// For 10 s as often as it may, after four minutes as rarely as it may.
fn looks_again_in(waited: Duration) -> Duration {
    (waited / 500).clamp(LOOKS_EVERY, LOOKS_AT_LEAST_EVERY)
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
    let mut tell = |when: &str, unseen: Option<&std::io::Error>| {
        if !std::mem::replace(&mut told, true) {
            let port = awaited.describe();
            let why = match unseen {
                Some(error) => format!(
                    "whether the application listens on {port} cannot be seen: {error}; let another program ask it"
                ),
                None => {
                    format!("the application does not listen on {port}; name the port that it opens by --load-port")
                }
            };
            agent.tell(&format!("no training load {when}: {why}"));
        }
    };
    loop {
        let unseen = match look() {
            Ok(ports) => {
                if let Some(port) = awaited.found(&ports).filter(|_| !paused) {
                    return Some(port);
                }
                None
            }
            Err(error) => Some(error),
        };
        if begun.elapsed() >= silently {
            tell(&format!("for {} s", silently.as_secs()), unseen.as_ref());
        }
        match agent.hears(looks_again_in(begun.elapsed())) {
            Some(Word::Pause) => {
                paused = true;
                agent.has_paused();
            }
            Some(Word::Resume) => paused = false,
            Some(Word::End) => {
                tell("was begun", unseen.as_ref());
                return None;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::load::{END, PAUSE, RESUME};
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
    use std::os::fd::AsRawFd;

    fn pair() -> (OwnedFd, Agent) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (own, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        (own, Agent::new(other))
    }

    fn heard(own: &OwnedFd) -> Option<String> {
        let mut bytes = [0; 512];
        let length = recv(own.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    #[test]
    fn any_port_or_all_of_them() {
        let all = Awaited::All([80, 81].into());
        assert_eq!(all.found(&[81, 9000].into()), None);
        assert_eq!(all.found(&[80, 81, 9000].into()), Some(80));
        assert_eq!(all.describe(), "port 80 and 81");
        assert_eq!(Awaited::Any.found(&BTreeSet::new()), None);
        assert_eq!(Awaited::Any.found(&[9000].into()), Some(9000));
        let kind = Kind::new(&["http://localhost:81/".into(), "http://localhost/".into()]).unwrap();
        assert_eq!(kind.awaited(), all);
    }

    #[test]
    fn a_wait_that_is_long_or_in_vain_is_told_once() {
        let (own, agent) = pair();
        let mut looks = 0;
        let port = await_listener(&agent, &Awaited::Any, Duration::from_millis(1), || {
            looks += 1;
            Ok(if looks < 5 { BTreeSet::new() } else { [7].into() })
        });
        assert_eq!(port, Some(7));
        let line = heard(&own).unwrap();
        assert_eq!(
            line,
            "no training load for 0 s: the application does not listen on a TCP port; name the port that it opens by --load-port"
        );
        assert_eq!(heard(&own), None);

        send(own.as_raw_fd(), END, MsgFlags::empty()).unwrap();
        let port = await_listener(&agent, &Awaited::All([9].into()), Duration::from_secs(60), || Ok([7].into()));
        assert_eq!(port, None);
        assert!(
            heard(&own).unwrap().starts_with("no training load was begun: the application does not listen on port 9;")
        );
        assert_eq!(heard(&own), None);
    }

    #[test]
    fn a_look_that_fails_is_the_reason_unless_a_later_one_does_not() {
        let said = |silently, fails: fn(u32) -> bool| {
            let (own, agent) = pair();
            let mut looks = 0;
            await_listener(&agent, &Awaited::All([9].into()), silently, || {
                looks += 1;
                if looks == 2 {
                    send(own.as_raw_fd(), END, MsgFlags::empty()).unwrap();
                }
                if fails(looks) { Err(std::io::Error::other("/proc/1/fd: shut")) } else { Ok([7].into()) }
            });
            let line = heard(&own).unwrap();
            assert_eq!(heard(&own), None);
            line
        };
        let unseen = "whether the application listens on port 9 cannot be seen: /proc/1/fd: shut; let another";
        let long = Duration::from_secs(60);
        let line = said(long, |_| true);
        assert!(line.starts_with(&format!("no training load was begun: {unseen}")), "{line}");
        let line = said(Duration::ZERO, |look| look == 1);
        assert!(line.starts_with(&format!("no training load for 0 s: {unseen}")), "{line}");
        let line = said(long, |look| look == 1);
        assert!(line.contains("does not listen on port 9"), "{line}");
    }

    #[test]
    fn looks_become_rare() {
        let after = |seconds| looks_again_in(Duration::from_secs(seconds)).as_millis();
        assert_eq!([0, 10, 100, 250, 86400].map(after), [20, 20, 200, 500, 500]);
    }

    #[test]
    fn a_load_does_not_begin_in_a_pause() {
        let (own, agent) = pair();
        send(own.as_raw_fd(), PAUSE, MsgFlags::empty()).unwrap();
        let mut looks = 0;
        let port = await_listener(&agent, &Awaited::Any, Duration::from_secs(60), || {
            looks += 1;
            if looks == 3 {
                send(own.as_raw_fd(), RESUME, MsgFlags::empty()).unwrap();
            }
            Ok(if looks < 2 { BTreeSet::new() } else { [7].into() })
        });
        assert_eq!((port, looks), (Some(7), 4));
        assert_eq!(heard(&own).as_deref(), Some("paused"));
    }
}
