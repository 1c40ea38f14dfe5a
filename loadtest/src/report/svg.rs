//! Lines over two axes, as inline SVG.

use std::fmt::Write as _;

use super::escaped;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 320.0;
/// Left, right, top, bottom: where the axes' numbers stand.
const MARGIN: [f64; 4] = [70.0, 16.0, 28.0, 44.0];
const TICKS: usize = 5;
/// Told apart by lightness too.
const COLOURS: [&str; 4] = ["#1f6feb", "#d1690e", "#2c9a5b", "#8e4ec6"];

/// One picture. Values are not negative.
#[derive(Debug, Clone)]
pub struct Plot {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub lines: Vec<Line>,
    /// Drawn across.
    pub limit: Option<f64>,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

impl Line {
    /// What share of `values` is no more than each: percentiles upwards, the value to the right.
    pub fn percentiles(name: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |percent: usize| values.get(last * percent / 100).map(|value| (*value, percent as f64));
        Self { name, points: (0..=100).filter_map(at).collect() }
    }

    /// Counts of equal steps as a rate per second over time.
    pub fn per_second(name: &'static str, counts: &[usize], step_seconds: f64) -> Self {
        let point =
            |(index, count): (usize, &usize)| (index as f64 * step_seconds, *count as f64 / step_seconds);
        Self { name, points: counts.iter().enumerate().map(point).collect() }
    }
}

struct Scale {
    x_max: f64,
    y_max: f64,
}

impl Scale {
    fn of(plot: &Plot) -> Self {
        let points = || plot.lines.iter().flat_map(|line| line.points.iter());
        let x_max = points().map(|(x, _)| *x).fold(0.0, f64::max);
        let y_max = points().map(|(_, y)| *y).fold(plot.limit.unwrap_or(0.0), f64::max);
        Self { x_max: round_up(x_max), y_max: round_up(y_max) }
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let [left, right, top, bottom] = MARGIN;
        let across = left + x / self.x_max * (WIDTH - left - right);
        let down = HEIGHT - bottom - y / self.y_max * (HEIGHT - top - bottom);
        (across, down)
    }
}

/// To 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= value).unwrap_or(value)
}

pub fn draw(plot: &Plot) -> String {
    let scale = Scale::of(plot);
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" font-size=\"12\" fill=\"currentColor\">",
        escaped(plot.title)
    );
    axes(&mut text, plot, &scale);
    if let Some(limit) = plot.limit {
        let ((from, y), (to, _)) = (scale.place((0.0, limit)), scale.place((scale.x_max, limit)));
        let _ = write!(
            text,
            "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#b3261e\" \
             stroke-dasharray=\"6 4\"/>"
        );
    }
    for (index, (line, colour)) in plot.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let points: Vec<String> = line
            .points
            .iter()
            .map(|point| scale.place(*point))
            .map(|(across, down)| format!("{across:.1},{down:.1}"))
            .collect();
        let legend = MARGIN[0] + 8.0 + 160.0 * index as f64;
        let _ = write!(
            text,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" points=\"{}\"/>\
             <text x=\"{legend:.0}\" y=\"16\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            escaped(line.name)
        );
    }
    text.push_str("</svg>");
    text
}

fn axes(text: &mut String, plot: &Plot, scale: &Scale) {
    for tick in 0..=TICKS {
        let share = tick as f64 / TICKS as f64;
        let (x, y) = (scale.x_max * share, scale.y_max * share);
        let (across, bottom) = scale.place((x, 0.0));
        let (left, down) = scale.place((0.0, y));
        let right = WIDTH - MARGIN[1];
        let _ = write!(
            text,
            "<line x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{down:.1}\" y2=\"{down:.1}\" stroke=\"currentColor\" \
             stroke-opacity=\".2\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            left - 6.0,
            down + 4.0,
            number(y),
            bottom + 16.0,
            number(x),
        );
    }
    let _ = write!(
        text,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text><text x=\"4\" y=\"16\">{}</text>",
        WIDTH - MARGIN[1],
        HEIGHT - 8.0,
        escaped(plot.x),
        escaped(plot.y)
    );
}

fn number(value: f64) -> String {
    if value >= 10.0 || value == value.trunc() { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (value, rounded) in
            [(0.0, 1.0), (0.3, 0.5), (1.0, 1.0), (1.1, 2.0), (960.0, 1_000.0), (5_001.0, 10_000.0)]
        {
            assert_eq!(round_up(value), rounded, "{value}");
        }
    }

    #[test]
    fn lines_stay_within_the_picture() {
        let line = Line::percentiles("ms", (0..1_000).map(f64::from).collect());
        assert_eq!((line.points[0], line.points[100]), ((0.0, 0.0), (999.0, 100.0)));
        let rate = Line::per_second("requests", &[5, 10], 0.5);
        assert_eq!(rate.points, [(0.0, 10.0), (0.5, 20.0)]);
        let plot = Plot { title: "t", x: "x", y: "y", lines: vec![line, rate], limit: None };
        let scale = Scale::of(&plot);
        for point in plot.lines.iter().flat_map(|line| &line.points) {
            let (across, down) = scale.place(*point);
            assert!((0.0..=WIDTH).contains(&across) && (0.0..=HEIGHT).contains(&down), "{point:?}");
        }
        assert!(draw(&plot).contains("<polyline"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let plot =
            Plot { title: "t", x: "x", y: "y", lines: vec![Line::percentiles("none", vec![])], limit: None };
        assert!(draw(&plot).contains("points=\"\""));
    }
}
