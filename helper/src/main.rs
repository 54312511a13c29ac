//! The `hotfork` executable. It ends in one place: here.
#![deny(unsafe_code)]

use clap::Parser;
use hotfork_helper::cli::Cli;
use hotfork_helper::exit::ExitCode;
use hotfork_helper::restore::start::Start;
use hotfork_helper::{say, verbs};

fn main() {
    // First of all: what becomes a JVM must not die of a signal that the JVM would have handled.
    let start = Start::now(std::env::args_os().nth(1).is_some_and(|verb| verb == "restore" || verb == "run"));
    let status = match Cli::try_parse() {
        Ok(cli) => match verbs::run(cli.verb, start) {
            Ok(status) => status,
            Err(failure) => {
                say::line(&failure.message);
                failure.code as i32
            }
        },
        Err(usage) if usage.use_stderr() => {
            say::line(&usage.to_string());
            ExitCode::Usage as i32
        }
        Err(help) => {
            print!("{help}");
            0
        }
    };
    std::process::exit(status)
}
