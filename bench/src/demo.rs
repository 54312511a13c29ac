//! `hotfork-bench demo`: the Spring service, started the normal way and restored, in one table.

use crate::failure::{During, Outcome, fail};
use crate::figures::over;
use crate::first_response::{FURTHER_REQUESTS, FirstResponse};
use crate::jdk::{self, Collector, Jdk};
use crate::page_cache;
use crate::ports::{Ports, is_free};
use crate::process::Process;
use crate::product::{Product, Saved};
use crate::progress::Progress;
use crate::sample::SPRING;
use crate::service::{self, Setting};
use crate::statistics::{Summary, summary};
use crate::table::{Table, megabytes, milliseconds, ratio};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

const WARM_WITHIN: Duration = Duration::from_secs(120);
/// After each answer, while the capture is made.
const PAUSE: Duration = Duration::from_millis(2);
const INSTANCES: usize = 5;
const PORT: u16 = 8080;

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// A major version or the home of a JDK [default: that of JAVA_HOME, or the newest found]
    #[arg(long, value_name = "JDK")]
    jdk: Option<String>,
    /// Seconds of load before the capture, at least
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    warm_up: u64,
    /// An empty directory for images and logs
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    work: PathBuf,
}

struct Demo {
    product: Product,
    work: PathBuf,
    ports: Ports,
    progress: Progress,
}

pub fn run(args: &DemoArgs) -> Outcome<()> {
    let jdk = choose_jdk(args)?;
    let work = args.work.canonicalize().during(format!("find {}", args.work.display()))?;
    let mut demo = Demo { product: Product::find()?, work, ports: Ports::new(), progress: Progress::new() };
    let setting = Setting { jdk: &jdk, sample: &SPRING, collector: Collector::G1 };
    let image = demo.work.join("spring-service.image");
    let port = if is_free(PORT) { PORT } else { demo.ports.free()? };

    demo.progress.step(&format!("1. Starting the Spring service the normal way, JDK {}, on port {port}", jdk.version));
    page_cache::read_anew(jdk.files()?.iter().chain([&SPRING.jar()?]).map(PathBuf::as_path))?;
    let start = || setting.start(port, &demo.work);
    let (mut original, normal) = FirstResponse::of(start, port, SPRING.measured, FURTHER_REQUESTS)?;
    demo.progress.step(&format!("   first response {} ms after exec", milliseconds(normal.since_exec as f64)));

    let saved = capture_under_load(&mut demo, &mut original, port, &image, Duration::from_secs(args.warm_up))?;

    let restores = side_by_side(&mut demo, &image, port, &normal.body)?;
    // All the while the original was there, and it still is.
    service::must_answer(&SPRING, port, &normal.body)?;
    original.kill()?;
    print!("{}", table(&normal, &restores, &saved).render());
    println!(
        "\nAll {} restored instances and the original, which went on all the while, answered GET {} with the same {} bytes.",
        restores.len(),
        SPRING.measured,
        normal.body.len()
    );
    Ok(())
}

fn choose_jdk(args: &DemoArgs) -> Outcome<Jdk> {
    let from_environment = || std::env::var("JAVA_HOME").ok().filter(|home| !home.is_empty());
    let named: Vec<String> = args.jdk.clone().or_else(from_environment).into_iter().collect();
    match jdk::find(&named)?.pop() {
        Some(newest) => Ok(newest),
        None => fail("there is no JDK 17, 21 or 25 here: set JAVA_HOME"),
    }
}

fn capture_under_load(
    demo: &mut Demo,
    original: &mut Process,
    port: u16,
    image: &Path,
    time: Duration,
) -> Outcome<Saved> {
    demo.progress.step("2. Driving it with four clients that read pages and JSON and place and cancel orders");
    let load = service::warm_up(&SPRING, original, port, time, &mut demo.progress)?;
    // On a slow machine that time is too short: instances would go on compiling, one beside the other.
    let warm =
        demo.product.is_warm_within(original.pid(), WARM_WITHIN).map_err(|failure| original.failure(&failure.0))?;
    let within = WARM_WITHIN.as_secs();
    demo.progress.step(&if warm {
        "   hotfork watch --until-warm finds it warm".into()
    } else {
        format!("   hotfork watch does not find it warm within {within} s: it is captured as it is")
    });
    let before = load.requests();
    load.pause_between_requests(PAUSE);
    let pause = PAUSE.as_millis();
    demo.progress
        .step(&format!("3. Capturing it while it goes on serving; clients ask again {pause} ms after an answer"));
    load.slowest();
    let saved = demo.product.snapshot(original.pid(), image, &["--trial", &SPRING.url(port)]);
    let (slowest, meanwhile) = (load.slowest(), load.requests() - before);
    let answered = load.stop().map_err(|failure| original.failure(&failure.0))?.len();
    let saved = saved.map_err(|failure| original.failure(&failure.0))?;
    demo.progress.step(&format!(
        "   {} MB saved in {} ms; the service stood still for {} ms.\n   {meanwhile} requests were answered meanwhile, \
         the slowest in {} ms; {answered} in all, none lost",
        megabytes(saved.size as f64),
        milliseconds(saved.saving_ns as f64),
        milliseconds(saved.stopped_ns as f64),
        milliseconds(slowest as f64)
    ));
    Ok(saved)
}

fn side_by_side(demo: &mut Demo, image: &Path, port: u16, body: &[u8]) -> Outcome<Vec<FirstResponse>> {
    demo.progress.step(&format!("4. Restoring it {INSTANCES} times, side by side with the original"));
    page_cache::read_anew([image, &demo.product.hotfork, &demo.product.agent])?;
    let mut instances = Vec::new();
    let mut restores = Vec::new();
    for number in 1..=INSTANCES {
        let new_port = demo.ports.free()?;
        let times = demo.work.join(format!("times-{number}.json"));
        let mut command = demo.product.restore(image, &times, Some((port, new_port)))?;
        let start = || Process::spawn(&format!("instance {number}"), &mut command, &demo.work.join("restore.log"));
        let (instance, first) = service::first_response(&SPRING, start, new_port, FURTHER_REQUESTS, Some(body))?;
        demo.progress.step(&format!(
            "   instance {number}, pid {}, port {new_port}: first response {} ms after exec",
            instance.pid(),
            milliseconds(first.since_exec as f64)
        ));
        instances.push(instance);
        restores.push(first);
    }
    instances.into_iter().try_for_each(Process::kill)?;
    Ok(restores)
}

fn table(normal: &FirstResponse, restores: &[FirstResponse], saved: &Saved) -> Table {
    let range = |summary: Option<Summary>, show: fn(f64) -> String| match summary {
        Some(Summary { median, min, max }) => format!("{} ({} - {})", show(median), show(min), show(max)),
        None => String::new(),
    };
    let later = |first: &FirstResponse| summary(first.later_requests.iter().map(|&nanoseconds| nanoseconds as f64));
    let later_restored = summary(restores.iter().filter_map(|restore| Some(later(restore)?.median)));
    let mut table = Table::new(&["", "normal start", "restored (median of five, min - max)", "ratio"]);
    let mut row = |what: &str, normal: f64, restored: Option<Summary>, show: fn(f64) -> String| {
        let times = restored.map_or_else(String::new, |restored| ratio(normal / restored.median));
        table.row([what.to_owned(), show(normal), range(restored, show), times]);
    };
    row(
        "exec to first response, ms",
        normal.since_exec as f64,
        over(restores, |restore| restore.since_exec),
        milliseconds,
    );
    row("1st request, ms", normal.first_request as f64, over(restores, |restore| restore.first_request), milliseconds);
    row("2nd to 20th request, ms", later(normal).map_or(0.0, |later| later.median), later_restored, milliseconds);
    row(
        "private memory after the 1st request, MB",
        normal.private_memory as f64,
        over(restores, |restore| restore.private_memory),
        megabytes,
    );
    table.row(["the running service stood still for, ms".into(), String::new(), milliseconds(saved.stopped_ns as f64)]);
    table.row(["image, MB".into(), String::new(), megabytes(saved.size as f64)]);
    table
}
