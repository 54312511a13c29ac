//! Processes whose CLOCK_MONOTONIC is shifted, as on a host that booted long before or long after this one.

use crate::process::Process;
use crate::{Outcome, skip};
use std::process::{Command, Stdio};

/// How far a clock is shifted, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Shift(i64);

impl Shift {
    pub const MONTH_LATER: Self = Self(30 * 24 * 3600);

    /// As if the host had booted half a minute ago. A shift cannot lead to before the boot.
    pub fn to_just_after_boot() -> Outcome<Self> {
        let text = std::fs::read_to_string("/proc/uptime").map_err(|error| format!("/proc/uptime: {error}"))?;
        let seconds = text.split('.').next().and_then(|seconds| seconds.parse::<i64>().ok());
        seconds.map(|up| Self(30 - up)).ok_or_else(|| format!("/proc/uptime says {text:?}"))
    }

    fn unshare(self) -> Command {
        let mut unshare = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            unshare.args(["--user", "--map-current-user"]);
        }
        unshare.args(["--time", "--fork", "--kill-child"]);
        unshare.arg(format!("--monotonic={}", self.0)).arg(format!("--boottime={}", self.0));
        unshare
    }

    /// Starts `command` under the shifted clock; its pid too, which is not that of the `Process`. `None`, told as a skip,
    /// where the kernel or a sandbox does not let this be had.
    pub fn start(self, name: &str, command: &Command) -> Outcome<Option<(Process, u32)>> {
        let may = self.unshare().arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !may.is_ok_and(|status| status.success()) {
            let remedy = "a time namespace takes Linux 5.6, util-linux 2.36, and root or user namespaces";
            skip::skip(&format!("clock shifted by {} s", self.0), remedy);
            return Ok(None);
        }
        let mut shifted = self.unshare();
        shifted.args(["sh", "-c", r#"echo "PID $$" && exec "$@""#, "sh"]);
        shifted.arg(command.get_program()).args(command.get_args());
        let process = Process::start(name, shifted)?;
        let line = process.says_such("its pid", |line| line.starts_with("PID "))?;
        let pid = line["PID ".len()..].parse().map_err(|_| process.tell(&format!("has no pid in {line:?}")))?;
        Ok(Some((process, pid)))
    }
}
