//! A record as SVG: the detector's signals over time, the verdict as a line through all of them.

use super::panel::{Area, Drawn, HEIGHT, LEFT, Panel, RIGHT, WIDTH, label};
use super::record::{Record, Span};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const FIRST: RGBColor = RGBColor(0x5b, 0x7f, 0xa6);
const SECOND: RGBColor = RGBColor(0xc0, 0x6c, 0x3c);
const VERDICT: RGBColor = RGBColor(0x2f, 0x7d, 0x6b);

const PANELS: i32 = 4;
/// Of the title, and of a reason below it.
const LINE: i32 = 17;
/// For the verdict's label, and for the seconds below.
const ABOVE: i32 = 20;
const BELOW: i32 = 30;

impl Record {
    /// Fails where nothing was seen.
    pub fn draw(&self, pid: i32) -> Drawn<String> {
        let end = self.spans.last().ok_or("no tick was seen; watch for longer")?.to as f64 / 1e9;
        let title = self.title(pid, end);
        let top = 20 + LINE * title.len() as i32 + ABOVE;
        let mut svg = String::new();
        {
            let height = (top + PANELS * HEIGHT + BELOW) as u32;
            let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            area.fill(&WHITE)?;
            for (number, line) in title.iter().enumerate() {
                let size = if number == 0 { 17 } else { 12 };
                let at = (20, 12 + LINE * number as i32 + if number == 0 { 0 } else { 4 });
                area.draw(&Text::new(line.clone(), at, ("sans-serif", size)))?;
            }
            self.panels(&area, top, end)?;
            area.present()?;
        }
        Ok(svg)
    }

    /// What it comes to; where the JVM was not warm at the end, each reason in a line.
    fn title(&self, pid: i32, end: f64) -> Vec<String> {
        let verdict = self.verdict.map(|verdict| verdict as f64 / 1e9);
        let first = match verdict {
            Some(verdict) if self.warm => format!("JVM {pid}: warm after {verdict:.2} s"),
            Some(verdict) => format!("JVM {pid}: warm after {verdict:.2} s, but no longer after {end:.2} s"),
            None => format!("JVM {pid}: not warm after {end:.2} s"),
        };
        let reasons = self.reasons.split("; ").filter(|_| !self.warm);
        std::iter::once(first).chain(reasons.map(str::to_owned)).collect()
    }

    fn panels(&self, area: &Area<'_>, top: i32, end: f64) -> Drawn {
        let seconds = |span: &Span| (span.to.saturating_sub(span.from).max(1)) as f64 / 1e9;
        let processors = |nanoseconds: u64, span: &Span| Some(nanoseconds as f64 / 1e9 / seconds(span));
        let app = self.series(|span| processors(span.app_cpu, span));
        let jit = self.series(|span| processors(span.jit_cpu, span));
        let queue = self.series(|span| span.queue.map(f64::from));
        let methods = self.series(|span| Some(f64::from(span.new_hot_methods) / seconds(span)));
        let classes = self.series(|span| Some(span.new_classes as f64 / seconds(span)));
        let cold = self.series(|span| {
            let samples = span.hot + span.cold;
            (samples > 0).then(|| f64::from(span.cold) * 100.0 / f64::from(samples))
        });
        let panels: [&[(&str, RGBColor, Series)]; PANELS as usize] = [
            &[("application, processors", FIRST, app), ("JIT", SECOND, jit)],
            &[("methods that wait for a compiler", FIRST, queue)],
            &[("methods compiled for good, per second", FIRST, methods), ("classes loaded", SECOND, classes)],
            &[("time in code that is not compiled for good, %", FIRST, cold)],
        ];
        for (number, lines) in panels.iter().enumerate() {
            let names: Vec<_> = lines.iter().map(|&(name, colour, _)| (name, colour)).collect();
            let values = lines.iter().flat_map(|(_, _, series)| series.iter().filter_map(|step| step.2));
            let panel = Panel::draw(area, top + HEIGHT * number as i32, &names, end, values.clone())?;
            for (_, colour, series) in *lines {
                panel.steps(series.iter().copied(), *colour)?;
            }
            if values.count() == 0 {
                panel.note("not seen")?;
            }
            self.mark(area, &panel, (number == 0).then_some(top))?;
            if number + 1 == panels.len() {
                panel.axis()?;
            }
        }
        Ok(())
    }

    fn series(&self, value: impl Fn(&Span) -> Option<f64>) -> Series {
        self.spans.iter().map(|span| (span.from as f64 / 1e9, span.to as f64 / 1e9, value(span))).collect()
    }

    /// The verdict, with its label above `labelled`.
    fn mark(&self, area: &Area<'_>, panel: &Panel<'_, '_>, labelled: Option<i32>) -> Drawn {
        let Some(verdict) = self.verdict.map(|verdict| verdict as f64 / 1e9) else { return Ok(()) };
        panel.mark(verdict, VERDICT)?;
        let Some(top) = labelled else { return Ok(()) };
        let x = panel.x(verdict);
        let side = if x > (LEFT + RIGHT) / 2 { HPos::Right } else { HPos::Left };
        label(area, &format!("warm: {verdict:.2} s"), (x, top), side, VPos::Bottom, VERDICT)
    }
}

/// From, to, and the value between them.
type Series = Vec<(f64, f64, Option<f64>)>;

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::super::record::tests::{line, record};
    use super::*;

    const VERDICT_COLOUR: &str = "#2F7D6B";

    #[test]
    fn the_verdict_is_a_line_through_all_panels_with_its_label() {
        let svg = record(40, 20).draw(7).unwrap();
        assert!(svg.contains("JVM 7: warm after 5.00 s") && svg.contains("warm: 5.00 s"), "{svg}");
        let middle = (LEFT + RIGHT) / 2;
        let marks = svg.matches(&format!("stroke=\"{VERDICT_COLOUR}\" stroke-width=\"2\" points=\"{middle},")).count();
        assert_eq!(marks, PANELS as usize, "at half of 10 s, in {svg}");
        for name in
            ["application, processors", "JIT", "wait for a compiler", "classes loaded", "not compiled for good, %"]
        {
            assert!(svg.contains(name), "{name}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn without_a_verdict_the_title_says_why() {
        let svg = record(8, 9).draw(7).unwrap();
        assert!(svg.contains("JVM 7: not warm after 2.00 s"), "{svg}");
        assert!(svg.contains("17 &amp; more wait") && svg.contains("&lt;cold&gt;"), "each reason, as text: {svg}");
        assert!(!svg.contains(VERDICT_COLOUR), "nothing is marked");
    }

    #[test]
    fn a_verdict_that_did_not_last_is_told() {
        let mut record = record(8, 4);
        record.add(&line(9, 10));
        let svg = record.draw(7).unwrap();
        assert!(svg.contains("JVM 7: warm after 1.00 s, but no longer after 2.25 s"), "{svg}");
        assert!(svg.contains("17 &amp; more wait") && svg.contains("warm: 1.00 s"), "{svg}");
    }

    #[test]
    fn what_cannot_be_seen_is_said() {
        let mut record = Record::default();
        record.add(&Line { compile_queue: None, ..line(1, 9) });
        assert_eq!(record.draw(7).unwrap().matches("not seen").count(), 1, "the queue");
        assert_eq!(self::record(1, 9).draw(7).unwrap().matches("not seen").count(), 0);
    }

    #[test]
    fn nothing_is_not_drawn() {
        assert_eq!(Record::default().draw(7).unwrap_err().to_string(), "no tick was seen; watch for longer");
    }
}
