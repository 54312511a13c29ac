//! A field with seconds to the right and something upwards, both linear and from 0.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub const WIDTH: u32 = 900;
/// Pixels of a panel, its title above included.
pub const HEIGHT: i32 = 120;
const TITLE: i32 = 24;
const GAP: i32 = 14;
pub const LEFT: i32 = 70;
pub const RIGHT: i32 = WIDTH as i32 - 20;

pub type Drawn<T = ()> = Result<T, Box<dyn std::error::Error>>;
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub struct Panel<'a, 'b> {
    area: &'a Area<'b>,
    top: i32,
    bottom: i32,
    /// The ends of both axes.
    seconds: f64,
    most: f64,
}

impl<'a, 'b> Panel<'a, 'b> {
    /// `names` are those of its lines, in their colours.
    pub fn draw(
        area: &'a Area<'b>,
        top: i32,
        names: &[(&str, RGBColor)],
        seconds: f64,
        values: impl Iterator<Item = f64>,
    ) -> Drawn<Self> {
        let most = round(values.fold(0.0, f64::max));
        let panel = Self { area, top: top + TITLE, bottom: top + HEIGHT - GAP, seconds, most };
        let mut x = LEFT;
        for &(name, colour) in names {
            let style = ("sans-serif", 13).into_text_style(area).color(&colour);
            area.draw(&Text::new(name.to_owned(), (x, top + 6), style))?;
            x += 20 + 7 * name.len() as i32;
        }
        for value in [0.0, most / 2.0, most] {
            let y = panel.y(value);
            area.draw(&PathElement::new([(LEFT, y), (RIGHT, y)], BLACK.mix(0.15)))?;
            label(area, &number(value), (LEFT - 6, y), HPos::Right, VPos::Center, BLACK)?;
        }
        area.draw(&Rectangle::new([(LEFT, panel.top), (RIGHT, panel.bottom)], BLACK.mix(0.4)))?;
        Ok(panel)
    }

    pub fn x(&self, seconds: f64) -> i32 {
        LEFT + (f64::from(RIGHT - LEFT) * seconds / self.seconds) as i32
    }

    fn y(&self, value: f64) -> i32 {
        self.bottom - (f64::from(self.bottom - self.top) * value / self.most) as i32
    }

    /// Steps, each from here to there at this height; a gap where there is none.
    pub fn steps(&self, steps: impl Iterator<Item = (f64, f64, Option<f64>)>, colour: RGBColor) -> Drawn {
        let mut points = Vec::new();
        for (from, to, value) in steps {
            match value {
                Some(value) => points.extend([(self.x(from), self.y(value)), (self.x(to), self.y(value))]),
                None => self.line(&mut points, colour)?,
            }
        }
        self.line(&mut points, colour)
    }

    fn line(&self, points: &mut Vec<(i32, i32)>, colour: RGBColor) -> Drawn {
        let points = std::mem::take(points);
        if points.is_empty() {
            return Ok(());
        }
        Ok(self.area.draw(&PathElement::new(points, colour.stroke_width(1)))?)
    }

    /// A moment, from top to bottom.
    pub fn mark(&self, seconds: f64, colour: RGBColor) -> Drawn {
        let x = self.x(seconds);
        Ok(self.area.draw(&PathElement::new([(x, self.top), (x, self.bottom)], colour.stroke_width(2)))?)
    }

    /// In its middle, where there is nothing to draw.
    pub fn note(&self, text: &str) -> Drawn {
        let middle = ((LEFT + RIGHT) / 2, (self.top + self.bottom) / 2);
        label(self.area, text, middle, HPos::Center, VPos::Center, BLACK)
    }

    /// Seconds below it.
    pub fn axis(&self) -> Drawn {
        let step = round(self.seconds / 10.0);
        let ticks = (0..).map(|count| f64::from(count) * step).take_while(|&tick| tick <= self.seconds);
        for tick in ticks {
            let at = (self.x(tick), self.bottom + 6);
            label(self.area, &format!("{} s", number(tick)), at, HPos::Center, VPos::Top, BLACK)?;
        }
        Ok(())
    }
}

pub fn label(area: &Area<'_>, text: &str, at: (i32, i32), right: HPos, up: VPos, colour: RGBColor) -> Drawn {
    let style = ("sans-serif", 12).into_text_style(area).color(&colour).pos(Pos::new(right, up));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

/// The next of 1, 2, 5, 10, 20, ... and of their tenths.
fn round(value: f64) -> f64 {
    let power = 10f64.powf(value.max(0.1).log10().floor());
    // A tenth is no binary fraction: 0.2 / 0.1 is a little more than 2.
    let fits = |factor: &f64| factor * power >= value * 0.999_999;
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * power
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let ends = [0.0, 0.1, 0.2, 0.21, 1.0, 1.1, 7.0, 130.0].map(|value| number(round(value)));
        assert_eq!(ends, ["0.1", "0.1", "0.2", "0.5", "1", "2", "10", "200"]);
    }

    #[test]
    fn numbers_are_as_long_as_they_must_be() {
        assert_eq!([0.0, 0.05, 0.5, 10.0, 200.0].map(number), ["0", "0.05", "0.5", "10", "200"]);
    }
}
