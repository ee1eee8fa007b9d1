//! Sparklines and meters: geometry as attributes, made from numbers.

/// A line through some values, in a box of 240 by 56.
#[derive(Clone, Debug, PartialEq)]
pub struct Spark {
    /// The path of the line.
    pub edge: String,
    /// The path of the area under it.
    pub area: String,
    /// What the picture says, in words.
    pub label: String,
}

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 56.0;
const MARGIN: f64 = 4.0;

/// The sparkline of some values, oldest first; `None` for fewer than two.
pub fn spark(values: &[f64], label: impl Into<String>) -> Option<Spark> {
    if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = most - least;
    let step = WIDTH / (values.len() - 1) as f64;
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(place, value)| {
            let part = if span > 0.0 { (value - least) / span } else { 0.5 };
            let y = HEIGHT - MARGIN - part * (HEIGHT - 2.0 * MARGIN);
            format!("{} {}", tenth(place as f64 * step), tenth(y))
        })
        .collect();
    let edge = format!("M{}", points.join(" L"));
    let area = format!("{edge} V56 H0 Z");
    Some(Spark { edge, area, label: label.into() })
}

/// The widths of meters, in hundredths of the largest.
pub fn meter_widths(counts: &[u64]) -> Vec<String> {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    counts.iter().map(|count| tenth(*count as f64 * 100.0 / most as f64)).collect()
}

fn tenth(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    format!("{}", if rounded == 0.0 { 0.0 } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_spans_the_box() {
        let line = spark(&[1.0, 3.0, 2.0], "Refreshes").unwrap();
        assert_eq!(line.edge, "M0 52 L120 4 L240 28");
        assert_eq!(line.area, "M0 52 L120 4 L240 28 V56 H0 Z");
    }

    #[test]
    fn a_flat_line_stands_in_the_middle_and_too_little_is_no_line() {
        assert_eq!(spark(&[5.0, 5.0], "").unwrap().edge, "M0 28 L240 28");
        assert_eq!(spark(&[1.0], ""), None);
        assert_eq!(spark(&[1.0, f64::NAN], ""), None);
    }

    #[test]
    fn meters_are_parts_of_the_largest() {
        assert_eq!(meter_widths(&[8_211, 5_940, 0]), ["100", "72.3", "0"]);
        assert_eq!(meter_widths(&[0]), ["0"]);
        assert!(meter_widths(&[]).is_empty());
    }
}
