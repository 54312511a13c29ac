//! What the figures were measured on.

use crate::failure::{During, Outcome};
use nix::sys::utsname::uname;
use serde::Serialize;

#[derive(Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cpus: usize,
    pub memory: String,
    pub kernel: String,
}

impl Machine {
    pub fn look() -> Outcome<Self> {
        let kernel = uname().during("ask for the kernel's name")?.release().to_string_lossy().into_owned();
        let cpus = std::thread::available_parallelism().during("count the CPUs")?.get();
        Ok(Self {
            cpu: value("/proc/cpuinfo", "model name")?,
            cpus,
            memory: value("/proc/meminfo", "MemTotal")?,
            kernel,
        })
    }

    pub fn line(&self) -> String {
        format!("{} x {}, {} of memory, Linux {}", self.cpus, self.cpu, self.memory, self.kernel)
    }
}

fn value(path: &str, name: &str) -> Outcome<String> {
    let text = std::fs::read_to_string(path).during(format!("read {path}"))?;
    Ok(parse_value(&text, name).unwrap_or("unknown").into())
}

fn parse_value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_follows_its_name_and_a_colon() {
        assert_eq!(
            parse_value("model\t\t: 7\nmodel name\t: Some CPU @ 2 GHz\n", "model name"),
            Some("Some CPU @ 2 GHz")
        );
        assert_eq!(parse_value("MemTotal:       16 kB\n", "MemTotal"), Some("16 kB"));
        assert_eq!(parse_value("", "MemTotal"), None);
    }
}
