//! The java launcher's @argument files and JDK_JAVA_OPTIONS, read as the launcher reads them.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[error("cannot read the argument file {}: {error}", path.display())]
pub struct ArgumentFileError {
    pub path: PathBuf,
    pub error: io::Error,
}

/// Replaces `@file` words by the file's words, up to the main class. `directory` is what relative names start from.
/// Files are not expanded within files.
pub fn expand(words: &[String], directory: &Path) -> Result<Vec<String>, ArgumentFileError> {
    let mut expanded = Vec::with_capacity(words.len());
    let mut position = super::launcher::Position::default();
    for word in words {
        if position.in_options() && position.files() {
            match word.strip_prefix('@') {
                Some(escaped) if escaped.starts_with('@') => {
                    position.advance(escaped);
                    expanded.push(escaped.to_owned());
                    continue;
                }
                Some(name) if !name.is_empty() => {
                    let path = directory.join(name);
                    let text = std::fs::read(&path).map_err(|error| ArgumentFileError { path, error })?;
                    for word in file_words(&String::from_utf8_lossy(&text)) {
                        position.advance(&word);
                        expanded.push(word);
                    }
                    continue;
                }
                _ => {}
            }
        }
        position.advance(word);
        expanded.push(word.clone());
    }
    Ok(expanded)
}

/// The words of an argument file: white space parts them, quotes keep it, a backslash escapes within quotes and
/// joins lines, `#` begins a comment.
fn file_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (_, '\\') if quote.is_some() || characters.peek() == Some(&'\n') => match characters.next() {
                Some('\n') => {
                    while characters.next_if(|next| *next == ' ' || *next == '\t' || *next == '\u{c}').is_some() {}
                }
                Some(escaped) => word.get_or_insert_default().push(unescape(escaped)),
                None => {}
            },
            // An unfinished quote ends with its line.
            (Some(_), '\n' | '\r') => {
                quote = None;
                words.extend(word.take());
            }
            (Some(_), other) => word.get_or_insert_default().push(other),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => {
                while characters.next_if(|next| *next != '\n' && *next != '\r').is_some() {}
            }
            (None, ' ' | '\t' | '\n' | '\r' | '\u{c}') => words.extend(word.take()),
            (None, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

fn unescape(character: char) -> char {
    match character {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'f' => '\u{c}',
        other => other,
    }
}

/// The words of JDK_JAVA_OPTIONS: quotes are dropped, nothing is escaped.
pub fn variable_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, space) if space.is_ascii_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Directory;

    #[test]
    fn words_of_a_file() {
        let text = "-cp  \"a b:c\"  # not this\n-Dx='1 \\t 2'\n\"C:\\\\x\" plain\\x \\\n  joined";
        assert_eq!(file_words(text), ["-cp", "a b:c", "-Dx=1 \t 2", "C:\\x", "plain\\x", "joined"]);
        assert_eq!(file_words("\"\" a#b"), ["", "a#b"]);
        assert_eq!(file_words("\"open\nnext"), ["open", "next"]);
    }

    #[test]
    fn words_of_the_variable() {
        assert_eq!(variable_words(" -Xmx1g \"-Da=b c\"\t-Dx='y\\' "), ["-Xmx1g", "-Da=b c", "-Dx=y\\"]);
    }

    #[test]
    fn files_are_expanded_before_the_main_class_only() {
        let directory = Directory::new("argfile");
        std::fs::write(directory.path().join("options"), "-Xmx64m\n-cp @nested").unwrap();
        let words = ["@options", "@@literal"].map(String::from);
        let expanded = expand(&words, directory.path()).unwrap();
        assert_eq!(expanded, ["-Xmx64m", "-cp", "@nested", "@literal"]);
        let words = ["-cp", "x", "Main", "@options"].map(String::from);
        assert_eq!(expand(&words, directory.path()).unwrap(), words);
        let words = ["--disable-@files", "@options"].map(String::from);
        assert_eq!(expand(&words, directory.path()).unwrap(), words);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = expand(&["@gone".into()], Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the argument file /nowhere/gone: No such file"), "{error}");
    }
}
