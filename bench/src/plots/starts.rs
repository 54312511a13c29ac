//! How soon each way to start answers, and where the time of a restore goes: a row for each setting.

use super::{AOT, Area, CRIU, Drawn, NORMAL, RESTORE, WIDTH, decades, legend, page};
use crate::failure::{Failure, Outcome};
use crate::statistics::summary;
use crate::times::{STEPS, Times};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;
use std::path::Path;

const ROW: u32 = 46;
const NAMES: i32 = 250;
/// Up to the last, the first response, which is another plot's.
const RUNNING_STEPS: usize = STEPS.len() - 1;

/// One setting: its name, and nanoseconds of each round.
pub struct Setting {
    name: String,
    normal: Vec<f64>,
    /// Empty for a JDK without.
    aot: Vec<f64>,
    /// Empty where no criu works.
    criu: Vec<f64>,
    restore: Vec<f64>,
    /// Nanoseconds of each step up to running threads, medians.
    steps: Vec<f64>,
}

impl Setting {
    fn ways(&self) -> [(&Vec<f64>, RGBColor); 4] {
        [(&self.normal, NORMAL), (&self.aot, AOT), (&self.criu, CRIU), (&self.restore, RESTORE)]
    }
}

pub fn settings(startups: &[Value]) -> Outcome<Vec<Setting>> {
    startups.iter().map(setting).collect::<Option<_>>().ok_or_else(|| Failure("a startup has no rounds".into()))
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
        aot: since_exec("aot").unwrap_or_default(),
        criu: since_exec("criu").unwrap_or_default(),
        restore: since_exec("restore")?,
        steps: (0..RUNNING_STEPS).map(median).collect::<Option<_>>()?,
    })
}

fn steps(round: &Value) -> Option<[i64; STEPS.len()]> {
    let times: Times = serde_json::from_value(round["times"].clone()).ok()?;
    Some(times.steps(round["spawned"].as_u64()?, times.running))
}

fn height(rows: usize) -> u32 {
    ROW * rows as u32 + 110
}

fn legend_of_rows(area: &Area<'_>, rows: usize, entries: &[(&str, RGBColor)]) -> Drawn {
    legend(area, 50 + ROW as i32 * rows as i32 + 34, entries)
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

/// A line from the fastest to the slowest round, a box at the median; a logarithmic axis.
pub fn first_response(settings: &[Setting], path: &Path) -> Drawn {
    let rows = settings.len();
    let area = page(path, height(rows), "Exec to the first whole response: median, fastest and slowest of all rounds")?;
    let all = || {
        settings.iter().flat_map(|setting| setting.ways().into_iter().flat_map(|(rounds, _)| rounds)).map(|ns| ns / 1e6)
    };
    let (least, most) = (all().fold(f64::MAX, f64::min) * 0.7, all().fold(0.0, f64::max) * 1.5);
    let span = f64::from(WIDTH as i32 - NAMES - 30);
    let place = |ms: f64| NAMES + (span * (ms / least).ln() / (most / least).ln()) as i32;
    axis(&area, rows, &decades(least, most), &place)?;
    for (index, setting) in settings.iter().enumerate() {
        let top = row(&area, index, &setting.name)?;
        for ((rounds, colour), shift) in setting.ways().into_iter().zip([2, 12, 22, 32]) {
            let Some(range) = summary(rounds.iter().map(|ns| ns / 1e6)) else { continue };
            let middle = top + shift + 5;
            let line = [(place(range.min), middle), (place(range.max), middle)];
            area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
            let median = place(range.median);
            area.draw(&Rectangle::new([(median - 4, middle - 5), (median + 4, middle + 5)], colour.filled()))?;
        }
    }
    let measured = |(index, _): &(usize, _)| settings.iter().any(|setting| !setting.ways()[*index].0.is_empty());
    let names = ["normal start", "AOT cache", "CRIU", "restore"].into_iter().zip([NORMAL, AOT, CRIU, RESTORE]);
    let entries: Vec<_> = names.enumerate().filter(measured).map(|(_, entry)| entry).collect();
    legend_of_rows(&area, rows, &entries)?;
    area.present()?;
    Ok(())
}

/// The steps side by side, medians each.
pub fn exec_to_running(settings: &[Setting], path: &Path) -> Drawn {
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
    let area = page(path, height(rows), "Exec to threads running: medians of each step")?;
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
    legend_of_rows(&area, rows, &entries)?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::tests::report;

    #[test]
    fn steps_are_differences() {
        let steps = setting(&report()["startups"][0]).unwrap().steps;
        assert_eq!(steps, [1e6, 1e6, 5e5, 1e5, 4e5, 1e6, 5e5, 5e5]);
    }
}
