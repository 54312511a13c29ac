//! The two services of samples/, and how each is started, asked and driven.

use crate::failure::{During, Outcome, fail};
use crate::jdk::{Collector, Jdk};
use crate::process::output;
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Debug)]
pub struct Sample {
    pub name: &'static str,
    jar: &'static str,
    build: &'static str,
    /// The measured request.
    pub measured: &'static str,
    /// What load is made of.
    reads: &'static [&'static str],
    /// What it is made of at first, and for how long.
    at_first: Option<(Duration, &'static [&'static str])>,
    /// Whether load also places and cancels orders.
    pub writes: bool,
    /// Whether its jar holds other jars, as Spring Boot makes it.
    nested: bool,
    pub goals: Goals,
}

/// What a restore is to reach.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Goals {
    /// So often sooner than a normal start is the first response there.
    pub than_normal: f64,
    /// ... and than a start with an AOT cache.
    pub than_aot: f64,
    /// Milliseconds that the first request to a running instance takes beyond the steady median.
    pub beyond_steady: f64,
    /// The eighth instance costs the memory of a normal start divided by this.
    pub memory_part: f64,
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
    at_first: None,
    writes: true,
    nested: true,
    goals: Goals { than_normal: 400.0, than_aot: 150.0, beyond_steady: 4.0, memory_part: 40.0 },
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
    at_first: None,
    writes: false,
    nested: false,
    goals: Goals { than_normal: 60.0, than_aot: 40.0, beyond_steady: 2.0, memory_part: 20.0 },
};

/// Its load changes its kind before the service can be warm.
pub const CHANGING: Sample = Sample {
    name: "http-service, load that changes",
    reads: &["/crypto?order=4", "/statistics?order=6", "/mix?order=7"],
    at_first: Some((Duration::from_secs(3), &["/json?order=3", "/text?order=5"])),
    ..HTTP
};

impl Sample {
    /// Of the measured request.
    pub fn url(&self, port: u16) -> String {
        format!("http://localhost:{port}{}", self.measured)
    }

    /// What its load asks for, the measured request first.
    pub fn urls(&self, port: u16) -> Vec<String> {
        let others = self.reads.iter().filter(|&&path| path != self.measured);
        let others = others.map(|path| format!("http://localhost:{port}{path}"));
        std::iter::once(self.url(port)).chain(others).collect()
    }

    /// A request that is not the measured one.
    pub fn other(&self) -> &'static str {
        self.reads.iter().copied().find(|&path| path != self.measured).unwrap_or(self.measured)
    }

    pub fn load_changes_after(&self) -> Duration {
        self.at_first.map_or(Duration::ZERO, |(first, _)| first)
    }

    /// What the load asks for, so long after its start.
    pub fn reads_after(&self, time: Duration) -> &'static [&'static str] {
        match self.at_first {
            Some((first, reads)) if time < first => reads,
            _ => self.reads,
        }
    }

    pub fn jar(&self) -> Outcome<PathBuf> {
        let path = std::path::absolute(self.jar).during("find the current directory")?;
        if path.is_file() { Ok(path) } else { fail(format!("{} is missing: run {}", self.jar, self.build)) }
    }

    /// The normal start, on both sides of the comparison: `java -Xmx256m COLLECTOR -jar ...`.
    pub fn command(&self, jdk: &Jdk, collector: Collector, port: u16, work: &Path) -> Outcome<Command> {
        self.command_with(jdk, collector, &[], &self.jar()?, port, work)
    }

    /// The same with further options of the JVM, and perhaps another jar of the same program.
    pub fn command_with(
        &self,
        jdk: &Jdk,
        collector: Collector,
        options: &[OsString],
        jar: &Path,
        port: u16,
        work: &Path,
    ) -> Outcome<Command> {
        let mut java = Command::new(jdk.java());
        // Tomcat leaves its directories where a JVM is killed.
        let temporary = work.join("tmp");
        std::fs::create_dir_all(&temporary).during("make a temporary directory")?;
        java.args(["-Xmx256m", collector.flag()]).arg(format!("-Djava.io.tmpdir={}", temporary.display()));
        java.args(options).arg("-jar").arg(jar).stdin(Stdio::null());
        if self.writes {
            java.arg(format!("--server.port={port}")).arg(format!("--shop.log={}", work.join("shop.log").display()));
        } else {
            java.arg(port.to_string());
        }
        Ok(java)
    }

    /// The jar as JEP 483 wants it, without jars in it: its own, or what Spring Boot's tools make of it in `directory`.
    pub fn plain_jar(&self, jdk: &Jdk, directory: &Path) -> Outcome<PathBuf> {
        let jar = self.jar()?;
        if !self.nested {
            return Ok(jar);
        }
        let mut tools = Command::new(jdk.java());
        tools.arg("-Djarmode=tools").arg("-jar").arg(&jar).arg("extract").arg("--destination").arg(directory);
        output("the extraction of the Spring Boot jar", &mut tools)?;
        let name = jar.file_name().unwrap_or(jar.as_os_str());
        match directory.join(name) {
            path if path.is_file() => Ok(path),
            path => fail(format!("the extraction of {} has not made {}", jar.display(), path.display())),
        }
    }
}
