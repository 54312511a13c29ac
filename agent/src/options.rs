//! The agent's options: `key=value`, separated by commas; `\,` stands for a comma, `\\` for a backslash.

use hotfork_abi::{load, options};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What an option list says. `Default` is what no option says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub image: Option<PathBuf>,
    /// Without it: `warm` where an image is named, else `manual`.
    pub when: Option<When>,
    /// With `when=warm` and `when=ready`: how long after VMInit to capture at the latest.
    pub deadline: Option<Duration>,
    pub restore: Restore,
    /// Mode bits of the image, 0 for the default.
    pub mode: u32,
    pub helper: Option<PathBuf>,
    /// At the JVM's start: where the agent listens for `hotfork snapshot`. By attach: where that waits for the agent.
    pub control: Option<PathBuf>,
    pub max_stop: Duration,
    pub trust_owner: Option<u32>,
    pub quiet: bool,
    /// What to ask the application for until the image is taken: one shell command, or addresses.
    pub load: Vec<String>,
    /// The port that the load waits for.
    pub load_port: Option<u16>,
    /// Addresses that a first instance is to answer.
    pub trial: Vec<String>,
    /// Bring the JVM to rest before a capture.
    pub quiesce: bool,
    /// By attach: show the detector's ticks at `control`, instead of capturing.
    pub watch: bool,
    /// Take a better image when the JVM has changed and is warm again.
    pub resnapshot: bool,
    /// Halt the JVM once the image is in place.
    pub exit: bool,
    /// The process these options are for; others, such as children that inherit JAVA_TOOL_OPTIONS, ignore them.
    pub pid: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When `hotfork snapshot` says so.
    Manual,
    /// This long after VMInit.
    After(Duration),
    /// When the application says so (`dev.hotfork.Hotfork.ready()`).
    Ready,
    /// When the detector says so.
    Warm,
    /// When both say so.
    WarmAndReady,
}

/// As the option says it.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual => f.write_str("manual"),
            Self::After(delay) => write!(f, "after={}ms", delay.as_millis()),
            Self::Ready => f.write_str("ready"),
            Self::Warm => f.write_str("warm"),
            Self::WarmAndReady => f.write_str("warm+ready"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    Never,
    Auto,
    Always,
}

impl When {
    /// The application's word is part of it.
    pub fn needs_ready(self) -> bool {
        matches!(self, Self::Ready | Self::WarmAndReady)
    }

    /// The detector's word is part of it.
    pub fn waits_for_warmth(self) -> bool {
        matches!(self, Self::Warm | Self::WarmAndReady)
    }

    pub fn waits_for_a_verdict(self) -> bool {
        matches!(self, Self::Ready | Self::Warm | Self::WarmAndReady)
    }
}

impl Restore {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Auto => "auto",
            Self::Always => "always",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            image: None,
            when: None,
            deadline: None,
            restore: Restore::Never,
            mode: 0,
            helper: None,
            control: None,
            max_stop: Duration::from_millis(200),
            trust_owner: None,
            quiet: false,
            load: Vec::new(),
            load_port: None,
            trial: Vec::new(),
            quiesce: true,
            watch: false,
            resnapshot: false,
            exit: false,
            pid: None,
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error(
        "unknown agent option \"{0}\": known are image, when, deadline, restore, mode, helper, control, max-stop, trust-owner, quiet, load, load-port, trial, quiesce, watch, resnapshot, exit, pid"
    )]
    Unknown(String),
    #[error("agent option {key}={value}: {expected}")]
    Malformed { key: String, value: String, expected: &'static str },
    #[error(
        "agent option deadline bounds the wait of when=warm, ready and warm+ready: add one of them, or leave deadline out"
    )]
    NoDeadline,
    #[error("agent option load: {0}")]
    Load(&'static str),
    #[error("agent option load-port names the port that a load waits for: add load=, or leave load-port out")]
    NoLoad,
    #[error(
        "agent option resnapshot takes a better image after that of when=warm or warm+ready: add one of them, or leave resnapshot out"
    )]
    NotWarm,
    #[error(
        "agent options resnapshot and exit do not go together: exit ends the JVM with its first image; leave one of them out"
    )]
    EndsFirst,
}

impl Options {
    pub fn parse(text: &str) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for item in split(text) {
            let (key, value) = item.split_once('=').unwrap_or((&item, ""));
            options.set(key, value)?;
        }
        if options.deadline.is_some() && !options.when().waits_for_a_verdict() {
            return Err(OptionError::NoDeadline);
        }
        load::check(options.load.iter().map(String::as_str)).map_err(OptionError::Load)?;
        if options.load_port.is_some() && options.load.is_empty() {
            return Err(OptionError::NoLoad);
        }
        if options.resnapshot && !options.when().waits_for_warmth() {
            return Err(OptionError::NotWarm);
        }
        if options.resnapshot && options.exit {
            return Err(OptionError::EndsFirst);
        }
        Ok(options)
    }

    pub fn when(&self) -> When {
        self.when.unwrap_or(if self.image.is_some() { When::Warm } else { When::Manual })
    }

    /// Addresses of a trial: those that were named for it, else those of the load.
    pub fn trials(&self) -> Vec<&str> {
        let named = if self.trial.is_empty() { &self.load } else { &self.trial };
        named.iter().map(String::as_str).filter(|load| load::is_url(load)).collect()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), OptionError> {
        let malformed = |expected| OptionError::Malformed { key: key.into(), value: value.into(), expected };
        let path = || if value.is_empty() { Err(malformed("a path is missing")) } else { Ok(PathBuf::from(value)) };
        match key {
            "image" => self.image = Some(path()?),
            "helper" => self.helper = Some(path()?),
            "control" => self.control = Some(path()?),
            "when" => {
                let when = when(value).ok_or_else(|| {
                    malformed("it takes warm, ready, warm+ready, manual or after=DURATION, such as after=10s")
                })?;
                self.when = Some(when);
            }
            "deadline" => {
                self.deadline = Some(duration(value).ok_or_else(|| malformed("it takes a duration such as 60s"))?)
            }
            "restore" => {
                self.restore = match value {
                    "never" => Restore::Never,
                    "auto" => Restore::Auto,
                    "always" => Restore::Always,
                    _ => return Err(malformed("it takes never, auto or always")),
                }
            }
            "mode" => {
                self.mode = u32::from_str_radix(value, 8)
                    .ok()
                    .filter(|mode| (1..=0o777).contains(mode))
                    .ok_or_else(|| malformed("it takes an octal file mode such as 0640"))?;
            }
            "max-stop" => {
                self.max_stop = duration(value).ok_or_else(|| malformed("it takes a duration such as 200ms"))?
            }
            "trust-owner" => {
                self.trust_owner = Some(value.parse().map_err(|_| malformed("it takes a numeric user id"))?)
            }
            "load" => self.load.push(value.into()),
            "load-port" => {
                let port = value.parse().ok().filter(|&port| port != 0);
                self.load_port = Some(port.ok_or_else(|| malformed("it takes a port number"))?);
            }
            "pid" => self.pid = Some(value.parse().map_err(|_| malformed("it takes a process id"))?),
            "quiet" => self.quiet = flag(value).ok_or_else(|| malformed("it takes true or false"))?,
            "quiesce" => self.quiesce = flag(value).ok_or_else(|| malformed("it takes true or false"))?,
            "trial" if load::is_url(value) => self.trial.push(value.into()),
            "trial" => return Err(malformed("it takes an address such as http://localhost:8080/")),
            "watch" => self.watch = flag(value).ok_or_else(|| malformed("it takes true or false"))?,
            "resnapshot" => self.resnapshot = flag(value).ok_or_else(|| malformed("it takes true or false"))?,
            "exit" => self.exit = flag(value).ok_or_else(|| malformed("it takes true or false"))?,
            _ => return Err(OptionError::Unknown(key.into())),
        }
        Ok(())
    }
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "" | "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn when(value: &str) -> Option<When> {
    match value {
        "manual" => Some(When::Manual),
        "ready" => Some(When::Ready),
        "warm" => Some(When::Warm),
        "warm+ready" => Some(When::WarmAndReady),
        _ => duration(value.strip_prefix("after=")?).map(When::After),
    }
}

/// `500ms`, `10s`, `2m`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

fn split(text: &str) -> Vec<String> {
    let items = options::items(text.as_bytes()).filter(|item| !item.is_empty());
    // Escapes are ASCII: what is left of text is text.
    items.map(|item| String::from_utf8_lossy(&options::unescaped(item).collect::<Vec<_>>()).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read() {
        let options = Options::parse(
            "image=/a\\,b,when=after=2m,restore=auto,mode=0640,helper=/h,control=/c,max-stop=50ms,trust-owner=7,quiet,quiesce=false,exit=true,pid=12",
        )
        .unwrap();
        assert_eq!(options.image, Some("/a,b".into()));
        assert_eq!(options.when, Some(When::After(Duration::from_secs(120))));
        assert_eq!(options.restore, Restore::Auto);
        assert_eq!(options.mode, 0o640);
        assert_eq!((options.max_stop, options.quiesce), (Duration::from_millis(50), false));
        assert_eq!((options.trust_owner, options.quiet, options.exit, options.pid), (Some(7), true, true, Some(12)));
    }

    #[test]
    fn a_deadline_goes_with_what_may_never_come() {
        let options = Options::parse("deadline=60s,when=ready").unwrap();
        assert_eq!((options.when(), options.deadline), (When::Ready, Some(Duration::from_secs(60))));
        assert_eq!(Options::parse("deadline=60s,image=/i").unwrap().when(), When::Warm);
        assert_eq!(Options::parse("when=warm+ready").unwrap().when(), When::WarmAndReady);
        assert_eq!(Options::parse("quiet").unwrap().when(), When::Manual);
    }

    #[test]
    fn a_better_image_follows_one_of_a_warm_jvm() {
        assert!(Options::parse("image=/i,resnapshot").unwrap().resnapshot);
        assert!(Options::parse("when=warm+ready,resnapshot=true").unwrap().resnapshot);
        let text = |options: &str| Options::parse(options).unwrap_err().to_string();
        for when in ["manual", "ready", "after=1s"] {
            assert_eq!(
                text(&format!("image=/i,when={when},resnapshot")),
                "agent option resnapshot takes a better image after that of when=warm or warm+ready: add one of them, or leave resnapshot out"
            );
        }
        assert!(text("image=/i,resnapshot,exit").starts_with("agent options resnapshot and exit do not go together"));
        assert_eq!(text("resnapshot=often"), "agent option resnapshot=often: it takes true or false");
    }

    #[test]
    fn loads_are_addresses_or_one_command() {
        let options = Options::parse("load=http://localhost:1/a\\,b,load=http://localhost:1/c,load-port=1").unwrap();
        assert_eq!(options.load, ["http://localhost:1/a,b", "http://localhost:1/c"]);
        assert_eq!(options.load_port, Some(1));
        let text = |options| Options::parse(options).unwrap_err().to_string();
        assert!(text("load=a,load=b").starts_with("agent option load: there can be one command only"));
        assert!(text("load=").starts_with("agent option load: a load is a command"));
        assert!(text("load-port=80").contains("add load="));
        assert_eq!(text("load=a,load-port=0"), "agent option load-port=0: it takes a port number");
    }

    #[test]
    fn nothing_means_the_defaults() {
        assert_eq!(Options::parse("").unwrap(), Options::default());
    }

    #[test]
    fn errors_name_option_and_remedy() {
        let text = |options| Options::parse(options).unwrap_err().to_string();
        assert_eq!(
            text("when=soon"),
            "agent option when=soon: it takes warm, ready, warm+ready, manual or after=DURATION, such as after=10s"
        );
        assert_eq!(text("deadline=5"), "agent option deadline=5: it takes a duration such as 60s");
        assert_eq!(
            text("deadline=5s"),
            "agent option deadline bounds the wait of when=warm, ready and warm+ready: add one of them, or leave deadline out"
        );
        assert!(text("colour=red").starts_with("unknown agent option \"colour\": known are image, when"));
        assert_eq!(text("mode=9"), "agent option mode=9: it takes an octal file mode such as 0640");
        assert_eq!(text("image="), "agent option image=: a path is missing");
        assert_eq!(text("max-stop=5"), "agent option max-stop=5: it takes a duration such as 200ms");
    }
}
