//! The Web program (tests/programs), which listens when it is told to.

use hotfork_tests::http::Client;
use hotfork_tests::matrix::Cell;
use hotfork_tests::ports::{self, Port};
use hotfork_tests::scratch::Scratch;
use hotfork_tests::{During, Outcome};
use std::path::PathBuf;

pub struct Web {
    pub cell: Cell,
    pub scratch: Scratch,
    pub port: Port,
}

impl Web {
    pub fn new(cell: &Cell) -> Outcome<Self> {
        Ok(Self { cell: cell.clone(), scratch: Scratch::new()?, port: ports::claim()? })
    }

    pub fn image(&self) -> PathBuf {
        self.scratch.join("image")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port.number)
    }

    /// How many requests it has answered, this one included.
    pub fn asked(&self) -> Outcome<u64> {
        let answer = Client::connect(self.port.number)?.get("/")?;
        answer.parse().during(format_args!("number of requests {answer:?}"))
    }
}
