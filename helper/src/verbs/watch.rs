//! `hotfork watch`: the warm-up detector at work.

use crate::agent::OptionList;
use crate::cli::WatchArgs;
use crate::exit::{ExitCode, Failure};
use crate::host::clocks;
use crate::interrupt::Interrupt;
use crate::reach;
use crate::restore::start::Start;
use crate::save::Packets;
use crate::save::packets::PacketError;
use crate::say;
use crate::trace::file::PlotFile;
use crate::trace::{Line, Record};
use hotfork_abi::capture::{ABANDONED, Refused};
use hotfork_abi::warm::{SEEN, Seen};
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// An idle JVM is looked at every two seconds; a large one takes its time.
const TICKS_WITHIN: Duration = Duration::from_secs(60);

pub fn run(args: &WatchArgs, start: Start) -> Result<i32, Failure> {
    let plot = args.plot.as_deref().map(PlotFile::new).transpose()?;
    let agent = reach::agent(args.pid, |control| {
        let mut options = OptionList::default();
        options.add("control", control);
        options.add("watch", "true");
        options.into_os_string()
    })?;
    // Without a plot there is nothing to finish.
    let interrupt = plot.is_some().then(|| Interrupt::catch(start.ignored_signals)).transpose().map_err(signals)?;
    let mut record = Record::default();
    let watched = watch(&agent, args, interrupt.as_ref(), &mut record);
    let plotted = plot.map_or(Ok(()), |plot| draw(&record, args.pid, &plot));
    watched.and(plotted)?;
    if let Some(interrupt) = interrupt
        && let Some(signal) = interrupt.take().map_err(signals)?
    {
        return interrupt.pass_on(signal).map_err(signals);
    }
    // As of `check`: "no".
    Ok(i32::from(args.until_warm && !record.warm))
}

/// Prints and records ticks until one of its ends comes.
fn watch(agent: &Packets, args: &WatchArgs, interrupt: Option<&Interrupt>, record: &mut Record) -> Result<(), Failure> {
    let end = args.duration.map(|duration| Instant::now() + duration);
    while end.is_none_or(|end| Instant::now() < end) {
        let Some(seen) = next(agent, args.pid, interrupt)? else { break };
        let line = Line::new(&seen, clocks::monotonic());
        let text = if args.json { json(&line)? } else { line.words() };
        record.add(&line);
        match writeln!(std::io::stdout(), "{text}") {
            Ok(()) if !(args.until_warm && line.warm) => {}
            Ok(()) => break,
            // Whoever reads has had enough (`| head`).
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            Err(error) => {
                let message = format!("cannot write to stdout: {error}; make room there");
                return Err(Failure::new(ExitCode::Usage, message));
            }
        }
    }
    Ok(())
}

/// The next tick; `None` when the JVM has ended, or a signal came.
fn next(agent: &Packets, pid: i32, interrupt: Option<&Interrupt>) -> Result<Option<Seen>, Failure> {
    let failed = |why: String| Failure::new(ExitCode::CaptureFailed, format!("cannot watch JVM {pid}: {why}"));
    let packet = match agent.receive_unless(interrupt.map(AsFd::as_fd), TICKS_WITHIN) {
        Ok(Some(packet)) => packet,
        Ok(None) | Err(PacketError::Closed { .. }) => return Ok(None),
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

fn draw(record: &Record, pid: i32, plot: &PlotFile) -> Result<(), Failure> {
    let svg = record.draw(pid).map_err(|error| {
        Failure::new(ExitCode::SaveFailed, format!("cannot draw the plot {}: {error}", plot.path().display()))
    })?;
    plot.write(&svg)?;
    say::line(&format!("plot {}", plot.path().display()));
    Ok(())
}

fn signals(errno: nix::errno::Errno) -> Failure {
    let message = format!("cannot wait for signals: {}; watch without --plot", errno.desc());
    Failure::new(ExitCode::HostResource, message)
}
