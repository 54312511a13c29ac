//! A field with milliseconds upwards on a logarithmic scale, and something linear to the right.

use super::{Area, Drawn, WIDTH, decades};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Pixels of a panel with its title and the labels below.
pub const HEIGHT: u32 = 240;
const LEFT: i32 = 70;
const RIGHT: i32 = WIDTH as i32 - 20;

pub struct Panel<'a, 'b> {
    area: &'a Area<'b>,
    top: i32,
    bottom: i32,
    /// The ends of both axes.
    right: (f64, f64),
    up: (f64, f64),
}

impl<'a, 'b> Panel<'a, 'b> {
    /// The panel of this number from above, with lines at the powers of ten.
    pub fn draw(
        area: &'a Area<'b>,
        number: usize,
        title: &str,
        right: (f64, f64),
        milliseconds: impl Iterator<Item = f64> + Clone,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let up = (milliseconds.clone().fold(f64::MAX, f64::min) * 0.8, milliseconds.fold(0.0, f64::max) * 1.25);
        let top = 70 + HEIGHT as i32 * number as i32;
        let panel = Self { area, top, bottom: top + HEIGHT as i32 - 60, right, up };
        area.draw(&Text::new(title.to_owned(), (LEFT, top - 20), ("sans-serif", 13)))?;
        for (value, label) in decades(up.0, up.1) {
            let y = panel.y(value);
            area.draw(&PathElement::new([(LEFT, y), (RIGHT, y)], BLACK.mix(0.15)))?;
            panel.label(&label, (LEFT - 6, y), HPos::Right, VPos::Center)?;
        }
        area.draw(&Rectangle::new([(LEFT, top), (RIGHT, panel.bottom)], BLACK.mix(0.4)))?;
        Ok(panel)
    }

    fn x(&self, value: f64) -> i32 {
        let (from, to) = self.right;
        LEFT + (f64::from(RIGHT - LEFT) * (value - from) / (to - from)) as i32
    }

    fn y(&self, milliseconds: f64) -> i32 {
        let (least, most) = self.up;
        self.bottom - (f64::from(self.bottom - self.top) * (milliseconds / least).ln() / (most / least).ln()) as i32
    }

    fn label(&self, text: &str, at: (i32, i32), horizontal: HPos, vertical: VPos) -> Drawn {
        let style = ("sans-serif", 12).into_text_style(self.area).pos(Pos::new(horizontal, vertical));
        Ok(self.area.draw(&Text::new(text.to_owned(), at, style))?)
    }

    pub fn tick(&self, value: f64, label: &str) -> Drawn {
        self.label(label, (self.x(value), self.bottom + 6), HPos::Center, VPos::Top)
    }

    pub fn line(&self, points: impl Iterator<Item = (f64, f64)>, colour: RGBColor) -> Drawn {
        let points: Vec<(i32, i32)> = points.map(|(value, ms)| (self.x(value), self.y(ms))).collect();
        Ok(self.area.draw(&PathElement::new(points, colour.stroke_width(2)))?)
    }

    /// A moment, from top to bottom; at the edge where it lies beyond.
    pub fn mark(&self, value: f64, colour: RGBColor) -> Drawn {
        let x = self.x(value).clamp(LEFT, RIGHT);
        Ok(self.area.draw(&PathElement::new([(x, self.top), (x, self.bottom)], colour.stroke_width(2)))?)
    }
}
