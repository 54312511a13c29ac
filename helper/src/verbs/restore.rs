//! `hotfork restore`

use crate::cli::RestoreArgs;
use crate::descriptors::PortMove;
use crate::exit::Failure;
use crate::restore::start::Start;
use crate::restore::{Options, Prepared};

/// Returns only if the restore fails before the point of no return.
pub fn run(args: RestoreArgs, start: Start) -> Result<i32, Failure> {
    let options = Options {
        moves: args.listen.iter().map(|&(old, new)| PortMove { old, new }).collect(),
        environment: args.env,
        verify: args.verify,
        trust_owner: args.trust_owner,
        quiet: args.quiet,
        times: args.times,
        discard_writes: args.discard_writes,
        no_prefetch: args.no_prefetch,
        nap: args.nap,
    };
    Err(Prepared::new(&args.file, options, start)?.become_instance())
}
