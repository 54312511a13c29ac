use super::*;
use crate::scratch::Directory;
use std::fs;

fn executable(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn launcher_of(word: &Path) -> Result<PathBuf, Failure> {
    launcher(&[word.into()], Path::new("/images/a,b"), When::After(std::time::Duration::from_secs(10)))
}

#[test]
fn a_launcher_lies_in_a_jdk() {
    let directory = Directory::new("launcher");
    let home = directory.path().canonicalize().unwrap();
    executable(&home.join("bin/java"));
    assert!(launcher_of(&home.join("bin/java")).is_err());
    fs::create_dir_all(home.join("lib/server")).unwrap();
    fs::write(home.join("lib/server/libjvm.so"), b"").unwrap();
    assert_eq!(launcher_of(&home.join("bin/java")).unwrap(), home.join("bin/java"));
    std::os::unix::fs::symlink(home.join("bin/java"), home.join("alias")).unwrap();
    assert_eq!(launcher_of(&home.join("alias")).unwrap(), home.join("bin/java"));
}

#[test]
fn a_script_is_told_the_line_to_use() {
    let directory = Directory::new("script");
    let script = directory.path().join("start.sh");
    executable(&script);
    let failure = launcher_of(&script).unwrap_err();
    assert_eq!(failure.code, ExitCode::Usage);
    let start = format!("{} is no java launcher; start it with JAVA_TOOL_OPTIONS='-agentpath:", script.display());
    assert!(failure.message.starts_with(&start), "{failure}");
    assert!(
        failure.message.contains("=image=/images/a\\,b,when=after=10000ms,restore=auto' in its environment"),
        "{failure}"
    );
}

#[test]
fn a_missing_command_is_named() {
    let failure = launcher_of(Path::new("/nowhere/java")).unwrap_err();
    assert_eq!(failure.message, "cannot find /nowhere/java: no such executable file, nor one on PATH");
}

#[test]
fn the_contracts_table() {
    use RestoreChoice::{Always, Auto};
    let refusal = |reason| Refusal { reason, failure: Failure::new(ExitCode::DoesNotFit, "why") };
    let decided = |choice, reason| decide(choice, refusal(reason), true).ok();
    assert_eq!(decided(Auto, Reason::Missing), Some(true));
    assert_eq!(decided(Auto, Reason::Outdated), Some(true));
    assert_eq!(decided(Auto, Reason::HostLacks), Some(false));
    assert_eq!(decided(Auto, Reason::Untrusted), None);
    assert_eq!(decided(Auto, Reason::Error), None);
    for reason in [Reason::Missing, Reason::Outdated, Reason::HostLacks, Reason::Untrusted, Reason::Error] {
        assert_eq!(decided(Always, reason), None);
    }
}
