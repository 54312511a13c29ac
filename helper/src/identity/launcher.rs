//! The java launcher's command line, as far as it says where classes come from.

/// Options whose value is the next word.
const WITH_VALUE: [&str; 19] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--add-exports",
    "--add-opens",
    "--add-reads",
    "--patch-module",
    "--enable-native-access",
    "--illegal-native-access",
    "--source",
    "-d",
    "--describe-module",
    "--finalization",
    "--sun-misc-unsafe-memory-access",
];
/// Options whose value, the next word, is the main class, module or jar: the last option there is.
const MAIN: [&str; 3] = ["-jar", "-m", "--module"];

/// Where in a command line one stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    state: State,
    no_files: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Options,
    Value,
    MainValue,
    Application,
}

impl Position {
    /// Whether the next word is the launcher's own, be it an option or the value of one.
    pub fn in_options(&self) -> bool {
        self.state != State::Application
    }

    /// Whether @files are still expanded.
    pub fn files(&self) -> bool {
        !self.no_files
    }

    pub fn advance(&mut self, word: &str) {
        self.no_files |= word == "--disable-@files";
        self.state = match self.state {
            State::Options if MAIN.contains(&word) => State::MainValue,
            State::Options if WITH_VALUE.contains(&word) => State::Value,
            State::Options if word.starts_with("--module=") => State::Application,
            State::Options | State::Value if self.state == State::Value || word.starts_with('-') => State::Options,
            _ => State::Application,
        };
    }
}

/// Where a command's classes come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassSources {
    /// Paths as written: jars, directories, wildcards.
    pub class_path: Vec<String>,
    pub jar: Option<String>,
    pub module_path: Vec<String>,
    /// Java agents and additions to the boot class path.
    pub further: Vec<String>,
    /// A main class is named on the command line: without a class path, it comes from the current directory.
    pub has_main_class: bool,
    /// Value of -Djava.io.tmpdir, which HotSpot's temporary files do not follow but libraries' do.
    pub temporary: Option<String>,
}

/// Reads expanded arguments. `class_path_variable` is CLASSPATH.
pub fn class_sources(words: &[String], class_path_variable: Option<&str>) -> ClassSources {
    let mut sources = ClassSources::default();
    let mut position = Position::default();
    let mut class_path = class_path_variable.map(str::to_owned);
    let list = |text: &str| text.split(':').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut words = words.iter();
    while position.in_options() {
        let Some(word) = words.next() else { break };
        position.advance(word);
        let mut value = || {
            let value = words.next().cloned().unwrap_or_default();
            position.advance(&value);
            value
        };
        let (name, joined) = match word.split_once('=') {
            Some((name, joined)) if name.starts_with("--") => (name, Some(joined.to_owned())),
            _ => (word.as_str(), None),
        };
        match name {
            "-cp" | "-classpath" | "--class-path" => class_path = Some(joined.unwrap_or_else(value)),
            "-p" | "--module-path" | "--upgrade-module-path" => {
                sources.module_path.extend(list(&joined.unwrap_or_else(value)))
            }
            "--patch-module" => {
                let patch = joined.unwrap_or_else(value);
                sources.further.extend(patch.split_once('=').map(|(_, paths)| list(paths)).unwrap_or_default());
            }
            "-jar" => sources.jar = Some(value()),
            // A module comes from the module path.
            "-m" | "--module" => drop(joined.unwrap_or_else(value)),
            other => {
                if let Some(agent) = other.strip_prefix("-javaagent:") {
                    sources.further.push(agent.split('=').next().unwrap_or(agent).to_owned());
                } else if let Some(paths) = other.strip_prefix("-Xbootclasspath/a:") {
                    sources.further.extend(list(paths));
                } else if let Some(directory) = word.strip_prefix("-Djava.io.tmpdir=") {
                    sources.temporary = Some(directory.to_owned());
                } else if !position.in_options() {
                    sources.has_main_class = true;
                }
            }
        }
    }
    match (&sources.jar, class_path) {
        // -jar overrides every class path.
        (Some(_), _) => {}
        (None, Some(text)) => sources.class_path = list(&text),
        (None, None) if sources.has_main_class => sources.class_path.push(".".into()),
        (None, None) => {}
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(line: &str, variable: Option<&str>) -> ClassSources {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        class_sources(&words, variable)
    }

    #[test]
    fn the_last_class_path_counts() {
        let found = sources("-cp a.jar --class-path=b.jar:classes -Xmx1g Main -cp no.jar", Some("c.jar"));
        assert_eq!(found.class_path, ["b.jar", "classes"]);
        assert!(found.has_main_class);
        assert_eq!(sources("-classpath x/* Main", None).class_path, ["x/*"]);
    }

    #[test]
    fn without_one_the_variable_or_the_current_directory() {
        assert_eq!(sources("Main", Some("c.jar")).class_path, ["c.jar"]);
        assert_eq!(sources("Main", None).class_path, ["."]);
    }

    #[test]
    fn a_jar_overrides_the_class_path() {
        let found = sources("-cp a.jar -javaagent:otel.jar=x=y -jar app.jar -cp no.jar", Some("c.jar"));
        assert_eq!((found.jar.as_deref(), found.class_path.len()), (Some("app.jar"), 0));
        assert_eq!(found.further, ["otel.jar"]);
    }

    #[test]
    fn modules() {
        let found = sources("-p mods:more --patch-module m=patch.jar --add-opens a/b=c -m m/Main -p no", None);
        assert_eq!(found.module_path, ["mods", "more"]);
        assert_eq!(found.further, ["patch.jar"]);
        assert!(found.class_path.is_empty());
        assert_eq!(sources("--module-path=mods --module=m/Main -p no", None).module_path, ["mods"]);
    }

    #[test]
    fn the_temporary_directory_and_the_boot_class_path() {
        let found = sources("-Djava.io.tmpdir=/scratch -Xbootclasspath/a:boot.jar Main", None);
        assert_eq!(found.temporary.as_deref(), Some("/scratch"));
        assert_eq!(found.further, ["boot.jar"]);
    }
}
