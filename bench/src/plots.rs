//! The plots of docs/benchmarks.md, drawn from the rounds as `./x bench --json` keeps them.

use crate::failure::{During, Failure, Outcome};
use crate::statistics::summary;
use crate::times::{STEPS, Times};
use clap::Args;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
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
    draw(&serde_json::from_str(&text).during(what)?, &args.out)
}

/// One setting: its name, and nanoseconds of each round.
struct Setting {
    name: String,
    normal: Vec<f64>,
    restore: Vec<f64>,
    /// Nanoseconds of each step up to running threads, medians.
    steps: Vec<f64>,
}

const WIDTH: u32 = 900;
const ROW: u32 = 34;
const NAMES: i32 = 250;
const BEFORE: RGBColor = RGBColor(0xc0, 0x6c, 0x3c);
const AFTER: RGBColor = RGBColor(0x2f, 0x7d, 0x6b);
/// Up to the last, the first response, which is another plot's.
const RUNNING_STEPS: usize = STEPS.len() - 1;

pub fn draw(report: &Value, directory: &Path) -> Outcome<()> {
    let startups = report["startups"].as_array().ok_or_else(|| Failure("there are no startups in it".into()))?;
    let settings: Vec<Setting> =
        startups.iter().map(setting).collect::<Option<_>>().ok_or_else(|| Failure("a startup has no rounds".into()))?;
    if settings.is_empty() {
        return Err(Failure("it has no startups to plot".into()));
    }
    let drawn = |name: &str, result: Result<(), Box<dyn std::error::Error>>| {
        result.map_err(|error| Failure(format!("draw {}: {error}", directory.join(name).display())))
    };
    let path = |name: &str| directory.join(name);
    drawn("first-response.svg", first_response(&settings, &path("first-response.svg")))?;
    drawn("exec-to-running.svg", exec_to_running(&settings, &path("exec-to-running.svg")))
}

fn setting(startup: &Value) -> Option<Setting> {
    let text = |key: &str| startup[key].as_str();
    let rounds = startup["rounds"].as_array()?;
    let since_exec =
        |side: &str| rounds.iter().map(|round| round[side]["since_exec"].as_f64()).collect::<Option<Vec<f64>>>();
    let steps: Vec<_> = rounds.iter().map(steps).collect::<Option<_>>()?;
    let median = |step: usize| Some(summary(steps.iter().map(|steps| steps[step] as f64))?.median);
    Some(Setting {
        name: format!("{}, {}, {}", text("sample")?, text("jdk")?, text("collector")?),
        normal: since_exec("normal")?,
        restore: since_exec("restore")?,
        steps: (0..RUNNING_STEPS).map(median).collect::<Option<_>>()?,
    })
}

fn steps(round: &Value) -> Option<[i64; STEPS.len()]> {
    let times: Times = serde_json::from_value(round["times"].clone()).ok()?;
    Some(times.steps(round["spawned"].as_u64()?, times.running))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn page<'a>(path: &'a Path, rows: usize, title: &str) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, (WIDTH, ROW * rows as u32 + 110)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(title.to_owned(), (20, 14), ("sans-serif", 17)))?;
    Ok(area)
}

/// The name before a row, and where the row lies.
fn row(area: &Area<'_>, index: usize, name: &str) -> Result<i32, Box<dyn std::error::Error>> {
    let top = 50 + ROW as i32 * index as i32;
    let style = ("sans-serif", 13).into_text_style(area).pos(Pos::new(HPos::Right, VPos::Center));
    area.draw(&Text::new(name.to_owned(), (NAMES - 10, top + ROW as i32 / 2 - 3), style))?;
    Ok(top)
}

fn axis(
    area: &Area<'_>,
    rows: usize,
    ticks: &[(f64, String)],
    place: &dyn Fn(f64) -> i32,
) -> Result<(), Box<dyn std::error::Error>> {
    let bottom = 50 + ROW as i32 * rows as i32;
    for (value, label) in ticks {
        let x = place(*value);
        area.draw(&PathElement::new([(x, 44), (x, bottom)], BLACK.mix(0.15)))?;
        let style = ("sans-serif", 12).into_text_style(area).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(label.clone(), (x, bottom + 6), style))?;
    }
    Ok(())
}

/// What each colour means, below the axis.
fn legend(area: &Area<'_>, rows: usize, entries: &[(&str, RGBColor)]) -> Result<(), Box<dyn std::error::Error>> {
    let y = 50 + ROW as i32 * rows as i32 + 34;
    let mut x = 20;
    for (name, colour) in entries {
        area.draw(&Rectangle::new([(x, y), (x + 12, y + 12)], colour.filled()))?;
        area.draw(&Text::new((*name).to_owned(), (x + 17, y), ("sans-serif", 12)))?;
        x += 32 + 7 * name.len() as i32;
    }
    Ok(())
}

/// A line from the fastest to the slowest round, a box at the median; a logarithmic axis.
fn first_response(settings: &[Setting], path: &Path) -> Drawn {
    let rows = settings.len();
    let area = page(path, rows, "Exec to the first whole response: median, fastest and slowest of all rounds")?;
    let all = || settings.iter().flat_map(|setting| setting.normal.iter().chain(&setting.restore)).map(|ns| ns / 1e6);
    let (least, most) = (all().fold(f64::MAX, f64::min) * 0.7, all().fold(0.0, f64::max) * 1.5);
    let span = f64::from(WIDTH as i32 - NAMES - 30);
    let place = |ms: f64| NAMES + (span * (ms / least).ln() / (most / least).ln()) as i32;
    let ticks: Vec<(f64, String)> = (-1..7)
        .map(|power| 10f64.powi(power))
        .filter(|ms| (least..most).contains(ms))
        .map(|ms| (ms, if ms < 1000.0 { format!("{ms} ms") } else { format!("{} s", ms / 1000.0) }))
        .collect();
    axis(&area, rows, &ticks, &place)?;
    for (index, setting) in settings.iter().enumerate() {
        let top = row(&area, index, &setting.name)?;
        for (rounds, colour, shift) in [(&setting.normal, BEFORE, 4), (&setting.restore, AFTER, 16)] {
            let Some(range) = summary(rounds.iter().map(|ns| ns / 1e6)) else { continue };
            let middle = top + shift + 5;
            let line = [(place(range.min), middle), (place(range.max), middle)];
            area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
            let median = place(range.median);
            area.draw(&Rectangle::new([(median - 4, middle - 5), (median + 4, middle + 5)], colour.filled()))?;
        }
    }
    legend(&area, rows, &[("normal start", BEFORE), ("restore", AFTER)])?;
    area.present()?;
    Ok(())
}

/// The steps side by side, medians each.
fn exec_to_running(settings: &[Setting], path: &Path) -> Drawn {
    const COLOURS: [RGBColor; RUNNING_STEPS] = [
        RGBColor(0x5b, 0x7f, 0xa6),
        RGBColor(0x2f, 0x7d, 0x6b),
        RGBColor(0x8f, 0xb3, 0x6a),
        RGBColor(0x77, 0x77, 0x77),
        RGBColor(0xd9, 0xa4, 0x41),
        RGBColor(0xc0, 0x6c, 0x3c),
        RGBColor(0x9b, 0x5d, 0x8a),
        RGBColor(0x4a, 0x4a, 0x6a),
    ];
    let rows = settings.len();
    let area = page(path, rows, "Exec to threads running: medians of each step")?;
    let sum = |setting: &Setting| setting.steps.iter().map(|ns| ns.max(0.0)).sum::<f64>() / 1e6;
    let most = settings.iter().map(sum).fold(0.0, f64::max) * 1.1;
    let span = f64::from(WIDTH as i32 - NAMES - 30);
    let place = |ms: f64| NAMES + (span * ms / most) as i32;
    let ticks: Vec<(f64, String)> =
        (0..100).map(f64::from).take_while(|ms| *ms <= most).map(|ms| (ms, format!("{ms} ms"))).collect();
    axis(&area, rows, &ticks, &place)?;
    for (index, setting) in settings.iter().enumerate() {
        let top = row(&area, index, &setting.name)?;
        let mut from = 0.0;
        for (ns, colour) in setting.steps.iter().zip(COLOURS) {
            let to = from + ns.max(0.0) / 1e6;
            area.draw(&Rectangle::new([(place(from), top + 5), (place(to), top + 25)], colour.filled()))?;
            from = to;
        }
    }
    let entries: Vec<(&str, RGBColor)> = STEPS.into_iter().zip(COLOURS).collect();
    legend(&area, rows, &entries)?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        let round = json!({
            "spawned": 1_000_000u64,
            "normal": {"since_exec": 20_000_000_000u64},
            "restore": {"since_exec": 30_000_000u64},
            "times": {"main": 2_000_000u64, "checked": 3_000_000u64, "descriptors": 3_500_000u64, "jump": 3_600_000u64,
                "mapped": 4_000_000u64, "threads": 5_000_000u64, "renewed": 5_500_000u64, "running": 6_000_000u64},
        });
        json!({"startups": [{"sample": "shop", "jdk": "21", "collector": "G1", "rounds": [round]}]})
    }

    #[test]
    fn both_plots_name_the_setting() {
        let directory = std::env::temp_dir().join(format!("hotfork-plots-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let result = draw(&report(), &directory);
        let texts: Vec<_> = ["first-response.svg", "exec-to-running.svg"]
            .iter()
            .map(|name| std::fs::read_to_string(directory.join(name)).unwrap_or_default())
            .collect();
        std::fs::remove_dir_all(&directory).unwrap();
        result.unwrap();
        assert!(texts.iter().all(|text| text.contains("shop, 21, G1") && text.contains("</svg>")), "{texts:?}");
        assert!(texts[0].contains("10 s") && texts[1].contains("renewal"), "{texts:?}");
    }

    #[test]
    fn steps_are_differences() {
        let steps = setting(&report()["startups"][0]).unwrap().steps;
        assert_eq!(steps, [1e6, 1e6, 5e5, 1e5, 4e5, 1e6, 5e5, 5e5]);
    }

    #[test]
    fn what_is_no_report_is_told() {
        let failure = draw(&json!({}), Path::new("/")).unwrap_err().to_string();
        assert!(failure.contains("no startups"), "{failure}");
    }
}
