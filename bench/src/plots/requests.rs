//! Latency of requests 1 to 20: a panel for each sample, of the newest JDK that it was measured on.

use super::panel::{HEIGHT, Panel};
use super::{AOT, Drawn, NORMAL, RESTORE, legend, page};
use crate::first_response::FURTHER_REQUESTS;
use crate::statistics::summary;
use plotters::prelude::*;
use serde_json::Value;
use std::path::Path;

const WAYS: [(&str, &str, RGBColor); 3] =
    [("normal", "normal start", NORMAL), ("aot", "AOT cache", AOT), ("restore", "restore", RESTORE)];

pub fn draw(startups: &[Value], path: &Path) -> Drawn {
    let chosen = of_newest_jdk(startups);
    let area = page(path, HEIGHT * chosen.len() as u32 + 90, "Requests 1 to 20 of a process, medians of all rounds")?;
    for (number, startup) in chosen.iter().enumerate() {
        let text = |key: &str| startup[key].as_str().unwrap_or_default();
        let title = format!("{}, {}, {}", text("sample"), text("jdk"), text("collector"));
        let lines: Vec<(Vec<f64>, RGBColor)> =
            WAYS.iter().filter_map(|(side, _, colour)| Some((medians(startup, side)?, *colour))).collect();
        let milliseconds = lines.iter().flat_map(|(medians, _)| medians).copied();
        let last = (FURTHER_REQUESTS + 1) as f64;
        let panel = Panel::draw(&area, number, &title, (0.5, last + 0.5), milliseconds)?;
        for request in [1, 5, 10, 15, 20] {
            panel.tick(f64::from(request), &request.to_string())?;
        }
        for (medians, colour) in &lines {
            panel.line((1..).map(f64::from).zip(medians.iter().copied()), *colour)?;
        }
    }
    legend(&area, (HEIGHT * chosen.len() as u32 + 60) as i32, &WAYS.map(|(_, name, colour)| (name, colour)))?;
    area.present()?;
    Ok(())
}

/// One for each sample. They come in the order of their JDKs, each JDK's first collector first.
fn of_newest_jdk(startups: &[Value]) -> Vec<&Value> {
    let mut chosen: Vec<&Value> = Vec::new();
    for startup in startups {
        match chosen.iter_mut().find(|other| other["sample"] == startup["sample"]) {
            Some(other) if other["jdk"] != startup["jdk"] => *other = startup,
            Some(_) => {}
            None => chosen.push(startup),
        }
    }
    chosen
}

/// Milliseconds of each request.
fn medians(startup: &Value, side: &str) -> Option<Vec<f64>> {
    let rounds = startup["rounds"].as_array()?;
    let request = |number: usize| {
        let of_round = |round: &Value| {
            let first = &round[side];
            let nanoseconds = if number == 0 { &first["first_request"] } else { &first["later_requests"][number - 1] };
            Some(nanoseconds.as_f64()? / 1e6)
        };
        Some(summary(rounds.iter().map(of_round).collect::<Option<Vec<f64>>>()?)?.median)
    };
    (0..=FURTHER_REQUESTS).map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::tests::report;
    use serde_json::json;

    #[test]
    fn the_first_request_and_those_after_it() {
        let medians = medians(&report()["startups"][0], "restore").unwrap();
        assert_eq!((medians.len(), medians[0], medians[19]), (20, 3.0, 0.3));
    }

    #[test]
    fn the_newest_jdk_of_each_sample() {
        let startup =
            |sample: &str, jdk: &str, collector: &str| json!({"sample": sample, "jdk": jdk, "collector": collector});
        let all = [
            startup("a", "17", "G1"),
            startup("b", "17", "G1"),
            startup("a", "25", "G1"),
            startup("a", "25", "Serial"),
        ];
        assert_eq!(of_newest_jdk(&all), [&all[2], &all[1]]);
    }
}
