//! Tables that read well on a terminal and are Markdown.

pub struct Table {
    /// So many columns hold text, to the left; all others numbers, to the right.
    text: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(header: &[&str]) -> Self {
        Self { text: 1, rows: vec![header.iter().map(|&cell| cell.into()).collect()] }
    }

    pub fn with_text(self, text: usize) -> Self {
        Self { text, ..self }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            text.push('|');
            for (column, &width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                text += &if column < self.text { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") };
            }
            text.push('\n');
            if number == 0 {
                text += &self.rule(&widths);
            }
        }
        text
    }

    /// The line below the header.
    fn rule(&self, widths: &[usize]) -> String {
        let cell = |(column, &width): (usize, &usize)| match column < self.text {
            true => format!(" {} |", "-".repeat(width.max(1))),
            false => format!(" {}: |", "-".repeat(width.saturating_sub(1).max(1))),
        };
        format!("|{}\n", widths.iter().enumerate().map(cell).collect::<String>())
    }
}

/// Nanoseconds as milliseconds with three significant digits.
pub fn milliseconds(nanoseconds: f64) -> String {
    let value = nanoseconds / 1e6;
    match value.abs() {
        size if size >= 99.95 => grouped(value.round() as i64),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How many times.
pub fn ratio(times: f64) -> String {
    if times < 9.95 { format!("{times:.1} x") } else { format!("{times:.0} x") }
}

pub fn megabytes(bytes: f64) -> String {
    format!("{:.1}", bytes / f64::from(1 << 20))
}

/// 12345 as 12,345.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["", "ms"]);
        table.row(["start".into(), "6,120".into()]);
        table.row(["restore".into(), "21.3".into()]);
        assert_eq!(
            table.render(),
            "|         |    ms |\n| ------- | ----: |\n| start   | 6,120 |\n| restore |  21.3 |\n"
        );
    }

    #[test]
    fn three_digits_are_enough() {
        assert_eq!(milliseconds(6_120_400_000.0), "6,120");
        assert_eq!(milliseconds(99_960_000.0), "100");
        assert_eq!(milliseconds(21_340_000.0), "21.3");
        assert_eq!(milliseconds(1_234_000.0), "1.23");
        assert_eq!(milliseconds(-50_000.0), "-0.05");
        assert_eq!(grouped(-1_234_567), "-1,234,567");
        assert_eq!((ratio(0.43), ratio(263.4)), ("0.4 x".into(), "263 x".into()));
        assert_eq!(megabytes(1_572_864.0), "1.5");
    }
}
