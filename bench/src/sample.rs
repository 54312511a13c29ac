//! The two services of samples/, and how each is started, asked and driven.

use crate::failure::{During, Outcome, fail};
use crate::jdk::{Collector, Jdk};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug)]
pub struct Sample {
    pub name: &'static str,
    jar: &'static str,
    build: &'static str,
    /// The measured request.
    pub measured: &'static str,
    /// What load is made of.
    pub reads: &'static [&'static str],
    /// Whether load also places and cancels orders.
    pub writes: bool,
    /// How often sooner than a normal start the first response after a restore is to be.
    pub goal: f64,
}

pub const SPRING: Sample = Sample {
    name: "spring-service",
    jar: "samples/spring-service/target/spring-service.jar",
    build: "mvn -q -B -f samples/spring-service/pom.xml package",
    measured: "/products?page=0",
    reads: &[
        "/products?page=0",
        "/products/5",
        "/api/products?page=0",
        "/products?page=0&category=KITCHEN",
        "/api/orders/7",
        "/orders",
        "/products?page=0",
        "/api/products/5",
        "/orders/7",
        "/api/customers",
    ],
    writes: true,
    goal: 100.0,
};

pub const HTTP: Sample = Sample {
    name: "http-service",
    jar: "samples/http-service/target/http-service.jar",
    build: "samples/http-service/build",
    measured: "/mix?order=7",
    reads: &[
        "/mix?order=7",
        "/json?order=3",
        "/crypto?order=4",
        "/text?order=5",
        "/statistics?order=6",
        "/mix?order=8",
    ],
    writes: false,
    goal: 30.0,
};

impl Sample {
    pub fn jar(&self) -> Outcome<PathBuf> {
        let path = std::path::absolute(self.jar).during("find the current directory")?;
        if path.is_file() { Ok(path) } else { fail(format!("{} is missing: run {}", self.jar, self.build)) }
    }

    /// The normal start, on both sides of the comparison: `java -Xmx256m COLLECTOR -jar ...`.
    pub fn command(&self, jdk: &Jdk, collector: Collector, port: u16, work: &Path) -> Outcome<Command> {
        let mut java = Command::new(jdk.java());
        // Tomcat leaves its directories where a JVM is killed.
        let temporary = work.join("tmp");
        std::fs::create_dir_all(&temporary).during("make a temporary directory")?;
        java.args(["-Xmx256m", collector.flag()]).arg(format!("-Djava.io.tmpdir={}", temporary.display()));
        java.arg("-jar").arg(self.jar()?).stdin(Stdio::null());
        if self.writes {
            java.arg(format!("--server.port={port}")).arg(format!("--shop.log={}", work.join("shop.log").display()));
        } else {
            java.arg(port.to_string());
        }
        Ok(java)
    }
}
