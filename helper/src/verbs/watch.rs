//! `hotfork watch`: the warm-up detector at work.

use crate::agent::OptionList;
use crate::cli::WatchArgs;
use crate::exit::{ExitCode, Failure};
use crate::host::clocks;
use crate::reach;
use crate::save::Packets;
use crate::save::packets::PacketError;
use crate::trace::Line;
use hotfork_abi::capture::{ABANDONED, Refused};
use hotfork_abi::warm::{SEEN, Seen};
use std::io::Write;
use std::time::{Duration, Instant};

/// An idle JVM is looked at every two seconds; a large one takes its time.
const TICKS_WITHIN: Duration = Duration::from_secs(60);

pub fn run(args: &WatchArgs) -> Result<i32, Failure> {
    let agent = reach::agent(args.pid, |control| {
        let mut options = OptionList::default();
        options.add("control", control);
        options.add("watch", "true");
        options.into_os_string()
    })?;
    let mut warm = false;
    let end = args.duration.map(|duration| Instant::now() + duration);
    while end.is_none_or(|end| Instant::now() < end) {
        let Some(seen) = next(&agent, args.pid)? else { break };
        let line = Line::new(&seen, clocks::monotonic());
        let text = if args.json { json(&line)? } else { line.words() };
        warm = line.warm;
        match writeln!(std::io::stdout(), "{text}") {
            Ok(()) if !(args.until_warm && warm) => {}
            Ok(()) => break,
            // Whoever reads has had enough (`| head`).
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            Err(error) => {
                let message = format!("cannot write to stdout: {error}; make room there");
                return Err(Failure::new(ExitCode::Usage, message));
            }
        }
    }
    // As of `check`: "no".
    Ok(i32::from(args.until_warm && !warm))
}

/// The next tick; `None` when the JVM has ended.
fn next(agent: &Packets, pid: i32) -> Result<Option<Seen>, Failure> {
    let failed = |why: String| Failure::new(ExitCode::CaptureFailed, format!("cannot watch JVM {pid}: {why}"));
    let packet = match agent.receive(TICKS_WITHIN) {
        Ok(packet) => packet,
        Err(PacketError::Closed { .. }) => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    if packet.kind() == ABANDONED {
        let refused: Refused = agent.decode(&packet, ABANDONED).map_err(|error| failed(error.to_string()))?;
        return Err(failed(refused.reason.as_str().into()));
    }
    agent.decode(&packet, SEEN).map(Some).map_err(|error| failed(error.to_string()))
}

fn json(line: &Line) -> Result<String, Failure> {
    serde_json::to_string(line)
        .map_err(|error| Failure::new(ExitCode::CaptureFailed, format!("cannot write a tick as JSON: {error}")))
}
