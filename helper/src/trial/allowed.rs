//! Whether this process may try an image: an instance has the rights of this process, and the addresses come from the JVM.

use crate::proc::Process;
use nix::unistd::Uid;
use std::fs;
use std::path::PathBuf;

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
    same_namespaces(|name| link(&jvm, name), |name| link("self", name))
}

fn same_namespaces(
    of_jvm: impl Fn(&str) -> Result<PathBuf, String>,
    own: impl Fn(&str) -> Result<PathBuf, String>,
) -> Result<(), String> {
    for name in NAMESPACES {
        if of_jvm(name)? != own(name)? {
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

    #[test]
    fn only_who_could_start_it_anyway() {
        let own = Uid::effective().as_raw();
        let this = Process(std::process::id() as i32);
        assert_eq!(check(this, own), Ok(()));
        let why = check(this, own + 1).unwrap_err();
        assert!(why.contains(&format!("belongs to uid {}", own + 1)) && why.contains("take the image as uid"), "{why}");
    }

    #[test]
    fn each_namespace_counts() {
        for other in NAMESPACES {
            let of_jvm = |name: &str| Ok(PathBuf::from(if name == other { "1" } else { "0" }));
            let why = same_namespaces(of_jvm, |_| Ok("0".into())).unwrap_err();
            assert!(why.contains(&format!("in another {other} namespace")), "{why}");
        }
        assert_eq!(same_namespaces(|_| Err("lost".into()), |_| Ok("0".into())), Err("lost".into()));
    }
}
