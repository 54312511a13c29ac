//! The command line, as `--help` explains it.

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 `check` says no; 2 usage; 110 image damaged; \
111 it does not fit this host or application; 112 untrusted owner or mode; 113 this host lacks a resource; \
114 refused (cannot be carried, or busy); 115 capture failed; 116 save failed; 119 died after the point of no return. \
Once Java code runs, its own status.";

/// Keeps a warmed Java service as an image file and starts from it in milliseconds.
#[derive(Debug, Parser)]
#[command(name = "hotfork", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

impl Cli {
    /// Reads a command line, the program's name first. That of `restore`, whose start counts in microseconds, is read
    /// without clap where nothing is wrong with it.
    pub fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        if arguments.get(1).is_some_and(|verb| verb == "restore")
            && let Some(restore) = RestoreArgs::read(&arguments[2..])
        {
            return Ok(Self { verb: Verb::Restore(restore) });
        }
        Self::try_parse_from(arguments)
    }
}

/// What is wrong with a command line. Where it is a value, the one line that says so is enough.
pub fn told(usage: &clap::Error) -> String {
    let text = usage.to_string();
    match usage.kind() {
        ErrorKind::ValueValidation => text.lines().next().unwrap_or_default().to_owned(),
        _ => text,
    }
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Restore the image of this java command, or start the command and take one
    Run(RunArgs),
    /// Take an image of a running JVM, which goes on running
    Snapshot(SnapshotArgs),
    /// Show the warm-up detector at work on a running JVM
    Watch(WatchArgs),
    /// Become the JVM of an image: same pid, stdin, stdout, stderr as this command
    Restore(RestoreArgs),
    /// Show what an image holds
    Inspect(InspectArgs),
    /// Say whether this host can capture and restore, and whether it can restore FILE
    Check(CheckArgs),
    /// The agent's other half during a capture; started by the agent only
    #[command(hide = true)]
    ServeCapture(ServeCaptureArgs),
    /// Drives the load of `run --load`; started by the agent only
    #[command(hide = true)]
    DriveLoad(DriveLoadArgs),
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The image: restored if it is there and fits, written otherwise
    #[arg(long, value_name = "FILE")]
    pub image: PathBuf,
    /// When to capture: `warm` (when the JVM's code is compiled and its work has settled; an idle JVM never is), `ready`
    /// (when the application calls dev.hotfork.Hotfork.ready()), `warm+ready`, `after=DURATION`, counted from VM start, or
    /// `manual` (on `hotfork snapshot`)
    #[arg(long, value_name = "WHEN", default_value = "warm", value_parser = parse_when)]
    pub when: When,
    /// With `warm` and `ready`: wait no longer than this, counted from VM start, and then capture
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub deadline: Option<Duration>,
    /// Whether to restore FILE
    #[arg(long, value_enum, default_value_t = RestoreChoice::Auto)]
    pub restore: RestoreChoice,
    /// How far System.nanoTime of the restored JVM has gone on since the capture, whatever the age of the image
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_nap, allow_hyphen_values = true)]
    pub nap: Duration,
    /// Train the JVM until the image is taken: http://... is asked for again and again, over a few connections, as soon as
    /// the application listens (may be given several times); anything else is a shell command, which finds the
    /// application's port in HOTFORK_PORT
    #[arg(long, value_name = "URL|COMMAND")]
    pub load: Vec<String>,
    /// With `--load`: the port to wait for [default: that of the URLs; for a command the first TCP port that the
    /// application opens]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), requires = "load")]
    pub load_port: Option<u16>,
    /// With `warm` and `warm+ready`: go on watching the JVM, and when it has changed since its image was taken (new classes,
    /// code that is not compiled) and is warm again, replace the image by a better one
    #[arg(long)]
    pub resnapshot: bool,
    /// Halt the JVM, without its shutdown hooks, once the image is in place
    #[arg(long)]
    pub exit: bool,
    #[command(flatten)]
    pub capture: CaptureOptions,
    /// Also restore images that belong to this user
    #[arg(long, value_name = "UID")]
    pub trust_owner: Option<u32>,
    /// The command: a java launcher and its arguments
    #[arg(last = true, required = true, value_name = "java ARGS")]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// Pid of the JVM
    pub pid: i32,
    /// The image to write; default: the one named when the JVM was started
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Halt the JVM, without its shutdown hooks, once the image is in place
    #[arg(long)]
    pub exit: bool,
    #[command(flatten)]
    pub capture: CaptureOptions,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Pid of the JVM
    pub pid: i32,
    /// Look for so long; default: until interrupted, or until the JVM ends
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Stop as soon as the JVM is warm; the exit status is 1 if it was not by the end
    #[arg(long)]
    pub until_warm: bool,
    /// At the end, however it comes, draw what was seen: the signals over time, and when the JVM was warm
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Print a line of JSON for each tick
    #[arg(long)]
    pub json: bool,
}

/// How to take an image.
#[derive(Debug, Args)]
pub struct CaptureOptions {
    /// Permissions of the image file, octal; it holds all secrets of the JVM [default: 600]
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    pub mode: Option<u32>,
    /// How long the capture may stop the JVM; past it the capture is given up (the collection that comes before is not
    /// part of it) [default: 200ms]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub max_stop: Option<Duration>,
    /// Take the moment as it is: do not bring the JVM to rest before (no collection, no wait for compilers or for what
    /// threads have in hand, nothing given back)
    #[arg(long)]
    pub no_quiesce: bool,
    /// Try the image before it gets its name: an instance answers this address (may be given several times) and is killed;
    /// the pages that it wrote are brought in ahead at each restore [default: the URLs of `--load`]
    #[arg(long, value_name = "URL")]
    pub trial: Vec<String>,
    /// Print errors only
    #[arg(long)]
    pub quiet: bool,
}

/// `--nap`, as the definitions above say it for clap.
pub const DEFAULT_NAP: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The image
    pub file: PathBuf,
    /// Move every TCP listener on port OLD to port NEW; 0 lets the kernel choose
    #[arg(long, value_name = "OLD=NEW", value_parser = parse_ports)]
    pub listen: Vec<(u16, u16)>,
    /// Set an environment variable of the restored JVM, besides those of this command
    #[arg(long, value_name = "K=V", value_parser = parse_variable)]
    pub env: Vec<(OsString, OsString)>,
    /// How far System.nanoTime of the restored JVM has gone on since the capture, whatever the age of the image
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_nap, allow_hyphen_values = true)]
    pub nap: Duration,
    /// Compare every page with what was written first
    #[arg(long)]
    pub verify: bool,
    /// Also restore an image that belongs to this user
    #[arg(long, value_name = "UID")]
    pub trust_owner: Option<u32>,
    /// Print errors only
    #[arg(long)]
    pub quiet: bool,
    /// Do not bring in ahead what the image's trial wrote
    #[arg(long)]
    pub no_prefetch: bool,
    /// Throw away what the application appends to files (a trial)
    #[arg(long, hide = true)]
    pub discard_writes: bool,
    /// Append one line of JSON that says when each step of the restore was done
    #[arg(long, value_name = "FILE")]
    pub times: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The image
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Also look at an image that belongs to this user
    #[arg(long, value_name = "UID")]
    pub trust_owner: Option<u32>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The image; without it only the host is looked at
    pub file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Also accept an image that belongs to this user
    #[arg(long, value_name = "UID")]
    pub trust_owner: Option<u32>,
}

#[derive(Debug, Args)]
pub struct ServeCaptureArgs {
    /// Descriptor of the socket to the agent
    #[arg(long, value_name = "FD", default_value_t = 3)]
    pub socket: i32,
    /// Print errors only
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct DriveLoadArgs {
    /// Descriptor of the socket to the agent
    #[arg(long, value_name = "FD", default_value_t = 3)]
    pub socket: i32,
    /// Pid of the JVM
    #[arg(long)]
    pub pid: i32,
    /// The port to wait for
    #[arg(long)]
    pub port: Option<u16>,
    /// URLs, or one command
    #[arg(last = true, required = true)]
    pub load: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Manual,
    After(Duration),
    Ready,
    Warm,
    WarmAndReady,
}

impl When {
    /// Whether what it waits for may never come.
    pub fn takes_a_deadline(self) -> bool {
        matches!(self, Self::Ready | Self::Warm | Self::WarmAndReady)
    }

    /// Whether evidence decides.
    pub fn waits_for_warmth(self) -> bool {
        matches!(self, Self::Warm | Self::WarmAndReady)
    }

    /// As the agent's option says it.
    pub fn option(self) -> String {
        match self {
            Self::Manual => "manual".into(),
            Self::After(delay) => format!("after={}ms", delay.as_millis()),
            Self::Ready => "ready".into(),
            Self::Warm => "warm".into(),
            Self::WarmAndReady => "warm+ready".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RestoreChoice {
    /// Restore an image that fits, else start and capture
    Auto,
    /// Start and capture, whatever is there
    Never,
    /// Restore or fail
    Always,
}

pub fn parse_when(text: &str) -> Result<When, String> {
    match text.split_once('=') {
        None if text == "manual" => Ok(When::Manual),
        None if text == "ready" => Ok(When::Ready),
        None if text == "warm" => Ok(When::Warm),
        None if text == "warm+ready" => Ok(When::WarmAndReady),
        Some(("after", duration)) => parse_duration(duration).map(When::After),
        _ => Err("write `warm`, `ready`, `warm+ready`, `manual` or `after=DURATION`, such as after=10s".into()),
    }
}

pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => 0,
    };
    match text[..digits].parse::<u64>().ok().and_then(|count| count.checked_mul(milliseconds)) {
        Some(total) if milliseconds > 0 => Ok(Duration::from_millis(total)),
        _ => Err("write a whole number with its unit: 500ms, 10s or 2m".into()),
    }
}

/// More than a year is a slip of the pen, and far below what would overflow a nanoTime.
const LONGEST_NAP: Duration = Duration::from_secs(366 * 24 * 3600);

pub fn parse_nap(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        nap if nap <= LONGEST_NAP => Ok(nap),
        _ => Err(format!("a nap lasts a year at most: {}m", LONGEST_NAP.as_secs() / 60)),
    }
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o777 == 0 && mode & 0o400 != 0 && mode & 0o022 == 0 => Ok(mode),
        Ok(mode) if mode & 0o022 != 0 => Err("an image that others may write is never restored".into()),
        _ => Err("write octal permissions that let the owner read, such as 640".into()),
    }
}

pub fn parse_ports(text: &str) -> Result<(u16, u16), String> {
    text.split_once('=')
        .and_then(|(old, new)| Some((old.parse().ok().filter(|&port| port != 0)?, new.parse().ok()?)))
        .ok_or_else(|| "write OLD=NEW with port numbers, such as 8080=9090, or 8080=0".into())
}

pub fn parse_variable(text: &str) -> Result<(OsString, OsString), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
