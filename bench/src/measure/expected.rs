//! An image that the agent is to take when its time has come, and the report beside it.

use crate::failure::{During, Failure, Outcome};
use crate::product::Saved;
use std::path::{Path, PathBuf};

pub struct Expected {
    pub path: PathBuf,
}

impl Expected {
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    fn report(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".report.json");
        name.into()
    }

    /// None: not yet, or a better one may follow.
    pub fn saved(&self) -> Outcome<Option<Saved>> {
        let path = self.report();
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).during(format!("read {}", path.display())),
            Ok(text) => match serde_json::from_str(&text) {
                Ok(saved) => Ok(Some(saved).filter(|saved: &Saved| !saved.taken_again)),
                Err(error) => {
                    Err(Failure(format!("the capture has failed, says {} ({error}): {text}", path.display())))
                }
            },
        }
    }

    pub fn remove(&self) -> Outcome<()> {
        for path in [self.path.as_path(), &self.report()] {
            remove(path)?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Outcome<()> {
    match std::fs::remove_file(path) {
        // There was no verdict.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.during(format!("remove {}", path.display())),
    }
}
