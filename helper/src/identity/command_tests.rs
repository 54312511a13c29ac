use super::*;
use crate::scratch::Directory;
use std::fs;

fn command(words: &[&str], cwd: &Path) -> Command {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let variable = |name: &str| {
        (name == "JAVA_TOOL_OPTIONS").then(|| OsString::from("-Xss1m -agentpath:/x/libhotfork.so=image=y"))
    };
    Command::new(fs::canonicalize("/proc/self/exe").unwrap(), &words, variable, cwd.to_path_buf(), "/".into()).unwrap()
}

#[test]
fn the_own_agent_is_no_part_of_a_command() {
    let directory = Directory::new("own-agent");
    let with = command(&["-agentpath:/opt/libhotfork.so=image=a", "-Xmx1g", "Main"], directory.path());
    assert_eq!(with.arguments, ["-Xmx1g", "Main"]);
    assert_eq!(with.environment, [("JAVA_TOOL_OPTIONS".to_owned(), "-Xss1m".to_owned())]);
    let other = command(&["-agentpath:/opt/libasync.so", "Main"], directory.path());
    assert_eq!(other.arguments[0], "-agentpath:/opt/libasync.so");
}

#[test]
fn the_first_difference_is_told() {
    let directory = Directory::new("difference");
    let jar = directory.path().join("a.jar");
    fs::write(&jar, b"x").unwrap();
    let base = command(&["-Xmx1g", "-cp", "a.jar", "Main"], directory.path());
    let image = base.identity().unwrap();
    assert_eq!(image.class_path.len(), 1);
    let told = |change: &dyn Fn(&mut Command)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed.difference(&image).unwrap()
    };
    assert_eq!(told(&|_| ()), None);
    assert_eq!(
        told(&|command| command.arguments[0] = "-Xmx2g".into()).unwrap(),
        "argument 1 was \"-Xmx1g\", is \"-Xmx2g\""
    );
    assert_eq!(told(&|command| command.arguments.push("x".into())).unwrap(), "argument 5 was absent, is \"x\"");
    assert_eq!(told(&|command| command.environment.clear()).unwrap(), "JAVA_TOOL_OPTIONS was \"-Xss1m\", is not set");
    assert!(told(&|command| command.cwd = "/".into()).unwrap().ends_with(", is /"));
    assert!(
        told(&|command| command.java = "/usr/bin/other".into()).unwrap().ends_with("this command is /usr/bin/other")
    );
    let mut rebuilt = image.clone();
    rebuilt.java_build_id = "00".into();
    assert!(base.difference(&rebuilt).unwrap().unwrap().ends_with("is another build now"));
    let mut fewer = image.clone();
    fewer.class_path.clear();
    assert_eq!(base.difference(&fewer).unwrap().unwrap(), "its class path had 0 entries, has 1");
    fs::write(&jar, b"longer").unwrap();
    assert!(told(&|_| ()).unwrap().ends_with("a.jar of the class path has 6 bytes now, had 1"));
}

#[test]
fn a_running_process_has_a_command() {
    let own = Command::of_process(Process(std::process::id() as i32), Path::new("/")).unwrap();
    assert_eq!(own.java, fs::canonicalize("/proc/self/exe").unwrap());
    assert_eq!(own.cwd, std::env::current_dir().unwrap());
}

#[test]
fn a_missing_process_is_named() {
    let error = Command::of_process(Process(0), Path::new("/")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /proc/0/stat: "), "{error}");
}
