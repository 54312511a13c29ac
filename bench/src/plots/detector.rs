//! Latency over time under the detector's eyes: a panel for the first run of each subject.

use super::panel::{HEIGHT, Panel};
use super::{Drawn, NORMAL, RESTORE, legend, page};
use plotters::prelude::*;
use serde_json::Value;
use std::path::Path;

const LATENCY: RGBColor = RGBColor(0x77, 0x77, 0x77);

pub fn draw(runs: &[Value], path: &Path) -> Drawn {
    let mut chosen: Vec<&Value> = Vec::new();
    for run in runs {
        if !chosen.iter().any(|other| other["subject"] == run["subject"]) {
            chosen.push(run);
        }
    }
    let height = HEIGHT * chosen.len() as u32;
    let area = page(path, height + 90, "Latency under load (medians of quarter seconds), first run of each subject")?;
    for (number, run) in chosen.iter().enumerate() {
        panel(&area, number, run)?;
    }
    let entries = [("latency", LATENCY), ("steady since (PELT)", NORMAL), ("verdict", RESTORE)];
    legend(&area, height as i32 + 60, &entries)?;
    area.present()?;
    Ok(())
}

fn panel(area: &super::Area<'_>, number: usize, run: &Value) -> Drawn {
    let began = run["load_began"].as_f64().ok_or("a run of the detector has no begin of its load")?;
    let seconds = |moment: &Value| moment.as_f64().map(|moment| (moment - began) / 1e9);
    let point = |window: &Value| Some((seconds(&window["begin"])?, window["median"].as_f64()? / 1e6));
    let windows = run["windows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let points: Vec<(f64, f64)> =
        windows.iter().map(point).collect::<Option<_>>().ok_or("a run of the detector has no windows")?;
    let end = points.last().ok_or("a run of the detector has no windows")?.0;
    let title = format!("{}, {}", run["subject"].as_str().unwrap_or_default(), run["jdk"].as_str().unwrap_or_default());
    let milliseconds = points.iter().map(|&(_, ms)| ms);
    let panel = Panel::draw(area, number, &title, (0.0, end), milliseconds)?;
    for tick in (0..=end as u32).step_by(10) {
        panel.tick(f64::from(tick), &format!("{tick} s"))?;
    }
    panel.line(points.iter().copied(), LATENCY)?;
    for (moment, colour) in [("steady", NORMAL), ("verdict", RESTORE)] {
        if let Some(moment) = seconds(&run[moment]) {
            panel.mark(moment, colour)?;
        }
    }
    Ok(())
}
