//! Whether this process may try an image: an instance has the rights of this process, and the addresses come from the JVM.

use crate::proc::Process;
use nix::unistd::Uid;
use std::fs;

/// Another one of these is another view of the system, or of who may do what there.
const NAMESPACES: [&str; 4] = ["user", "pid", "mnt", "net"];

/// `Err` says why not, and what to do. To be asked while the JVM is known to live: its pid is its own.
pub fn check(jvm: Process, uid: u32) -> Result<(), String> {
    let own = Uid::effective().as_raw();
    if uid != own {
        return Err(format!(
            "the JVM belongs to uid {uid} and hotfork runs as uid {own}, with whose rights an instance would run: \
             take the image as uid {uid}"
        ));
    }
    let link = |process: &str, name: &str| {
        let path = format!("/proc/{process}/ns/{name}");
        fs::read_link(&path).map_err(|error| format!("cannot read {path}: {error}; take the image as the JVM's user"))
    };
    let jvm = jvm.0.to_string();
    for name in NAMESPACES {
        if link(&jvm, name)? != link("self", name)? {
            return Err(format!(
                "the JVM lives in another {name} namespace, in which hotfork would not start an instance: \
                 take the image with a hotfork in the JVM's container"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn only_who_could_start_it_anyway() {
        let own = Uid::effective().as_raw();
        let this = Process(std::process::id() as i32);
        assert_eq!(check(this, own), Ok(()));
        let why = check(this, own + 1).unwrap_err();
        assert!(why.contains(&format!("belongs to uid {}", own + 1)) && why.contains("take the image as uid"), "{why}");
        // Without rights of its own unshare gets them in a user namespace: that too is another one.
        let mut elsewhere = Command::new("unshare");
        elsewhere.args(["--user", "--map-root-user", "--net", "sh", "-c", "echo there; read line"]);
        let mut child = elsewhere.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare of util-linux");
        let mut line = String::new();
        let told = std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line);
        let checked = check(Process(child.id() as i32), own);
        drop(child.stdin.take());
        child.wait().unwrap();
        // Some systems allow no namespaces to anybody; then nothing of them can be checked here.
        if told.is_ok() && line == "there\n" {
            assert!(checked.unwrap_err().contains("lives in another user namespace"));
        } else {
            eprintln!("not checked: this system allows no namespaces");
        }
    }
}
