//! The command line of `restore`, read without clap, which takes half a millisecond to be told of its options. Whatever is
//! not plainly right here is left to clap, and so are the texts.

use crate::cli::{DEFAULT_NAP, RestoreArgs, parse_nap, parse_ports, parse_variable};
use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::path::PathBuf;

impl RestoreArgs {
    /// `None` where clap must say what is wrong, or help.
    pub(crate) fn read(arguments: &[OsString]) -> Option<Self> {
        let mut parser = Parser::from_args(arguments);
        let mut file: Option<PathBuf> = None;
        let mut read = Self {
            file: PathBuf::new(),
            listen: Vec::new(),
            env: Vec::new(),
            nap: DEFAULT_NAP,
            verify: false,
            trust_owner: None,
            quiet: false,
            no_prefetch: false,
            discard_writes: false,
            times: None,
        };
        let mut naps = 0;
        while let Some(argument) = parser.next().ok()? {
            match argument {
                Arg::Value(value) if file.is_none() && !value.is_empty() => file = Some(value.into()),
                Arg::Long("listen") => read.listen.push(text(&mut parser, parse_ports)?),
                Arg::Long("env") => read.env.push(text(&mut parser, parse_variable)?),
                Arg::Long("nap") => {
                    read.nap = text(&mut parser, parse_nap)?;
                    naps += 1;
                }
                Arg::Long("trust-owner") if read.trust_owner.is_none() => {
                    read.trust_owner = Some(parser.value().ok()?.parse().ok()?);
                }
                Arg::Long("times") if read.times.is_none() => read.times = Some(value(&mut parser)?.into()),
                Arg::Long("verify") if !read.verify => read.verify = true,
                Arg::Long("quiet") if !read.quiet => read.quiet = true,
                Arg::Long("no-prefetch") if !read.no_prefetch => read.no_prefetch = true,
                Arg::Long("discard-writes") if !read.discard_writes => read.discard_writes = true,
                _ => return None,
            }
        }
        read.file = file.filter(|_| naps <= 1)?;
        Some(read)
    }
}

/// An option's value; one that looks like an option is for clap to judge.
fn value(parser: &mut Parser) -> Option<OsString> {
    parser.value().ok().filter(|value| !value.is_empty() && !value.as_encoded_bytes().starts_with(b"-"))
}

fn text<T>(parser: &mut Parser, read: fn(&str) -> Result<T, String>) -> Option<T> {
    read(value(parser)?.to_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Verb};
    use clap::Parser as _;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_is_read_here_clap_reads_alike() {
        let lines = [
            "image",
            "image --quiet --verify --no-prefetch --discard-writes",
            "--listen 8080=0 --listen=1=2 image --env A=b=c --env=B=",
            "--nap 0s image --trust-owner 7 --times t",
            "--quiet -- image",
            "--nap=2m ./-image",
        ];
        for line in lines {
            let read = RestoreArgs::read(&words(line)).expect(line);
            let whole = [words("hotfork restore"), words(line)].concat();
            let Verb::Restore(by_clap) = Cli::try_parse_from(whole).expect(line).verb else { panic!("{line}") };
            assert_eq!(format!("{read:?}"), format!("{by_clap:?}"), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_left_to_clap() {
        for line in [
            "",
            "--quiet",
            "one two",
            "image --listen 1",
            "image --nap soon",
            "image --nap 1s --nap 2s",
            "image --env --quiet",
            "image --trust-owner x",
            "image --times",
            "image --colour red",
            "image -q",
            "--help",
            "image --quiet --quiet",
            "image --quiet=yes",
        ] {
            assert!(RestoreArgs::read(&words(line)).is_none(), "{line}");
        }
    }
}
