//! Captures at random moments of a JVM under full load, while clients ask it without pause.

use hotfork_tests::Outcome;
use hotfork_tests::hotfork::take;
use hotfork_tests::http::Drivers;
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::subject::{How, listening};
use hotfork_tests::{During, ensure};
use libtest_mimic::Trial;
use std::sync::Arc;

const CAPTURES_OF_A_JDK: usize = 10;
const CAPTURES_OF_A_JDK_IN_THE_LONG_RUN: usize = 100;
const CLIENTS: u64 = 8;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    cells(world, "load", 17, Extent::Whole, captured_at_random_moments)
}

fn captured_at_random_moments(cell: &Cell) -> Outcome {
    let total = if cell.world.long { CAPTURES_OF_A_JDK_IN_THE_LONG_RUN } else { CAPTURES_OF_A_JDK };
    let captures = total.div_ceil(cell.jdk.collectors.len());
    let mut stage = cell.stage("Load")?;
    // In the long run the original is asked after some minutes only.
    stage.options.push("-Dhotfork.patience=1800".into());
    let port = stage.port().ok_or("the Load subject has a port")?;
    let mut original = stage.start(How::ALL[captures % How::ALL.len()])?;
    let clients = Drivers::start(port, CLIENTS)?;
    let mut moments = Moments::new()?;
    for number in 0..captures {
        let round = || -> Outcome {
            clients.answer_more(moments.next()).map_err(|why| original.tell(&why))?;
            take(original.pid(), &stage.image())?;
            // The clients have hung or lost a request now, or go on.
            clients.answer_more(CLIENTS * 20).map_err(|why| original.tell(&why))?;
            let mut instance = stage.restore()?;
            let moved = listening(&instance, port)?;
            let its_clients = Drivers::start(moved, CLIENTS)?;
            its_clients.answer_more(CLIENTS * 20).map_err(|why| instance.tell(&why))?;
            stage.ask(&instance)?;
            // It checks itself under load; its clients end first, since it ends right after.
            instance_says_pass(&mut instance, its_clients)?;
            instance.ends_with(0)
        };
        let mut round = round;
        round().during(format_args!("capture {number} of {captures}"))?;
    }
    clients.finish().map_err(|why| original.tell(&why))?;
    stage.check(&mut original)
}

/// The process ends when it has passed, under the eyes of its clients: what they see then is no failure.
fn instance_says_pass(instance: &mut hotfork_tests::process::Process, clients: Drivers) -> Outcome {
    clients.check()?;
    let before = clients.answered();
    instance.says_such("PASS", |line| line == "PASS")?;
    ensure!(clients.answered() > before, "no client was served while the instance checked itself");
    clients.abandon();
    Ok(())
}

/// How many requests to let pass before the next capture.
struct Moments {
    state: u64,
}

impl Moments {
    fn new() -> Outcome<Self> {
        let mut seed = [0; 8];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut seed))
            .during("read /dev/urandom")?;
        Ok(Self { state: u64::from_le_bytes(seed) | 1 })
    }

    /// Xorshift: any even spread does.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        1 + self.state % 2_000
    }
}
