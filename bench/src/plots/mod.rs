//! The plots of docs/benchmarks.md, drawn from the rounds as `./x bench --json` keeps them.

mod detector;
mod panel;
mod requests;
mod starts;

use crate::failure::{During, Failure, Outcome};
use clap::Args;
use plotters::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct PlotArgs {
    /// The rounds of `./x bench`
    #[arg(value_name = "FILE")]
    json: PathBuf,
    /// The directory for the plots
    #[arg(long, value_name = "DIRECTORY", default_value = "docs")]
    out: PathBuf,
}

pub fn run(args: &PlotArgs) -> Outcome<()> {
    let what = format!("read {}", args.json.display());
    let text = std::fs::read_to_string(&args.json).during(&what)?;
    let report: Value = serde_json::from_str(&text).during(what)?;
    if links(&report).is_empty() {
        return Err(Failure(format!(
            "{} holds no startups and no runs of the detector, of which plots are made: measure them (--only startup, --only detector)",
            args.json.display()
        )));
    }
    draw(&report, &args.out)
}

const WIDTH: u32 = 900;
const NORMAL: RGBColor = RGBColor(0xc0, 0x6c, 0x3c);
const AOT: RGBColor = RGBColor(0x5b, 0x7f, 0xa6);
const CRIU: RGBColor = RGBColor(0x9b, 0x5d, 0x8a);
const RESTORE: RGBColor = RGBColor(0x2f, 0x7d, 0x6b);

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Each with what Markdown says of it.
const OF_STARTUPS: [(&str, &str); 3] = [
    ("first-response.svg", "Exec to the first whole response, for each setting"),
    ("exec-to-running.svg", "Exec to threads running, by steps, for each setting"),
    ("requests.svg", "Latency of requests 1 to 20, for each sample"),
];
const OF_DETECTOR: [(&str, &str); 1] = [("detector.svg", "Latency over time, with the detector's verdict")];

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn measured(report: &Value) -> (&[Value], &[Value]) {
    (list(&report["startups"]), list(&report["detector"]["runs"]))
}

/// Markdown that shows what `draw` draws.
pub fn links(report: &Value) -> String {
    let (startups, runs) = measured(report);
    let startups = OF_STARTUPS.iter().filter(|_| !startups.is_empty());
    let plots = startups.chain(OF_DETECTOR.iter().filter(|_| !runs.is_empty()));
    plots.map(|(name, says)| format!("\n![{says}]({name})\n")).collect()
}

/// Plots of what was measured, which may be nothing that is plotted.
pub fn draw(report: &Value, directory: &Path) -> Outcome<()> {
    let (startups, runs) = measured(report);
    let save = |(name, _): (&str, &str), plot: &dyn Fn(&Path) -> Drawn| {
        let path = directory.join(name);
        plot(&path).map_err(|error| Failure(format!("draw {}: {error}", path.display())))
    };
    if !startups.is_empty() {
        let settings = starts::settings(startups)?;
        let [first_response, exec_to_running, of_requests] = OF_STARTUPS;
        save(first_response, &|path| starts::first_response(&settings, path))?;
        save(exec_to_running, &|path| starts::exec_to_running(&settings, path))?;
        save(of_requests, &|path| requests::draw(startups, path))?;
    }
    if !runs.is_empty() {
        save(OF_DETECTOR[0], &|path| detector::draw(runs, path))?;
    }
    Ok(())
}

fn page<'a>(path: &'a Path, height: u32, title: &str) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(title.to_owned(), (20, 14), ("sans-serif", 17)))?;
    Ok(area)
}

/// What each colour means.
fn legend(area: &Area<'_>, y: i32, entries: &[(&str, RGBColor)]) -> Drawn {
    let mut x = 20;
    for (name, colour) in entries {
        area.draw(&Rectangle::new([(x, y), (x + 12, y + 12)], colour.filled()))?;
        area.draw(&Text::new((*name).to_owned(), (x + 17, y), ("sans-serif", 12)))?;
        x += 32 + 7 * name.len() as i32;
    }
    Ok(())
}

/// 0.1, 1, 10, ... milliseconds, as far as they lie within.
fn decades(least: f64, most: f64) -> Vec<(f64, String)> {
    let within = (-2..7).map(|power| 10f64.powi(power)).filter(|ms| (least..most).contains(ms));
    within.map(|ms| (ms, if ms < 1000.0 { format!("{ms} ms") } else { format!("{} s", ms / 1000.0) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub fn report() -> Value {
        let side = |ms: u64| {
            json!({"since_exec": ms * 1_000_000, "first_request": ms * 100_000,
            "later_requests": vec![ms * 10_000; 99]})
        };
        let round = json!({
            "spawned": 1_000_000u64,
            "normal": side(20_000),
            "aot": side(4_000),
            "criu": side(200),
            "restore": side(30),
            "times": {"main": 2_000_000u64, "checked": 3_000_000u64, "descriptors": 3_500_000u64, "jump": 3_600_000u64,
                "mapped": 4_000_000u64, "threads": 5_000_000u64, "renewed": 5_500_000u64, "running": 6_000_000u64},
        });
        let windows: Vec<Value> = (0..80)
            .map(|number| json!({"begin": number * 250_000_000u64, "median": if number < 20 { 9e6 } else { 1e6 }, "requests": 5}))
            .collect();
        let run = json!({"subject": "shop", "jdk": "21", "load_began": 0, "windows": windows,
            "verdict": 6_000_000_000u64, "steady": 5_000_000_000u64});
        json!({"startups": [{"sample": "shop", "jdk": "21", "collector": "G1", "rounds": [round]}],
            "detector": {"runs": [run]}})
    }

    #[test]
    fn each_plot_names_its_setting() {
        let directory = std::env::temp_dir().join(format!("hotfork-plots-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let result = draw(&report(), &directory);
        let names = ["first-response.svg", "exec-to-running.svg", "requests.svg", "detector.svg"];
        let texts = names.map(|name| std::fs::read_to_string(directory.join(name)).unwrap_or_default());
        std::fs::remove_dir_all(&directory).unwrap();
        result.unwrap();
        assert!(names.iter().all(|name| links(&report()).contains(name)));
        for (text, word) in texts.iter().zip(["10 s", "renewal", "AOT cache", "verdict"]) {
            assert!(text.contains("shop, 21") && text.contains(word) && text.contains("</svg>"), "{word}: {text}");
        }
        assert!(texts[0].contains("CRIU"), "{}", texts[0]);
    }

    #[test]
    fn what_was_not_measured_is_not_plotted() {
        let directory = std::env::temp_dir().join(format!("hotfork-no-plots-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let mut report = report();
        report["startups"] = json!([]);
        let result = draw(&report, &directory);
        let files = std::fs::read_dir(&directory).unwrap().count();
        std::fs::remove_dir_all(&directory).unwrap();
        result.unwrap();
        assert_eq!(files, 1);
        assert_eq!(links(&report), "\n![Latency over time, with the detector's verdict](detector.svg)\n");
    }

    #[test]
    fn nothing_to_plot_is_a_failure_only_where_plots_are_asked_for() {
        let directory = std::env::temp_dir().join(format!("hotfork-nothing-to-plot-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let (json, gaps) = (directory.join("bench.json"), json!({"gaps": [{}]}));
        std::fs::write(&json, gaps.to_string()).unwrap();
        // `./x bench --only gap --docs FILE`
        let beside_tables = draw(&gaps, &directory);
        let asked_for = run(&PlotArgs { json: json.clone(), out: directory.clone() });
        let files = std::fs::read_dir(&directory).unwrap().count();
        std::fs::remove_dir_all(&directory).unwrap();
        beside_tables.unwrap();
        assert_eq!(files, 1, "the rounds alone");
        let failure = asked_for.unwrap_err().to_string();
        let words = format!("{} holds no startups and no runs of the detector", json.display());
        assert!(failure.contains(&words), "{failure}");
    }
}
