//! Lines over two axes, as inline SVG.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::escaped;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 320.0;
/// Left, right, top, bottom: where the axes' numbers stand.
const MARGIN: [f64; 4] = [70.0, 16.0, 28.0, 44.0];
const TICKS: usize = 5;
/// Lines of one picture that differ in colour; the page's style has the colours, light and dark.
const COLOURS: usize = 4;

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
    name: Cow<'static, str>,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Points(Vec<(f64, f64)>),
    /// Each a part of the x axis, over the whole height.
    Bands(Vec<(f64, f64)>),
}

impl Line {
    pub fn through(name: impl Into<Cow<'static, str>>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), shape: Shape::Points(points) }
    }

    /// The parts of the x axis, from and to, at which something holds.
    pub fn shaded(name: impl Into<Cow<'static, str>>, bands: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), shape: Shape::Bands(bands) }
    }

    fn points(&self) -> &[(f64, f64)] {
        match &self.shape {
            Shape::Points(points) => points,
            Shape::Bands(_) => &[],
        }
    }

    /// What share of `values` is no more than each: percentiles upwards, the value to the right.
    pub fn percentiles(name: impl Into<Cow<'static, str>>, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |percent: usize| values.get(last * percent / 100).map(|value| (*value, percent as f64));
        Self::through(name, (0..=100).filter_map(at).collect())
    }

    /// Counts of equal steps as a rate per second over time.
    pub fn per_second(name: impl Into<Cow<'static, str>>, counts: &[usize], step_seconds: f64) -> Self {
        let point =
            |(index, count): (usize, &usize)| (index as f64 * step_seconds, *count as f64 / step_seconds);
        Self::through(name, counts.iter().enumerate().map(point).collect())
    }
}

struct Scale {
    x_max: f64,
    y_max: f64,
}

impl Scale {
    fn of(plot: &Plot) -> Self {
        let points = || plot.lines.iter().flat_map(|line| line.points().iter());
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

/// To a short number.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    // Each can be divided into five without much of a remainder.
    [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(value)
}

pub fn draw(plot: &Plot) -> String {
    let scale = Scale::of(plot);
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" font-size=\"12\" fill=\"currentColor\">",
        escaped(plot.title)
    );
    for line in &plot.lines {
        bands(&mut text, line, &scale);
    }
    axes(&mut text, plot, &scale);
    if let Some(limit) = plot.limit {
        let ((from, y), (to, _)) = (scale.place((0.0, limit)), scale.place((scale.x_max, limit)));
        let _ = write!(
            text,
            "<line class=\"limit\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
    }
    for (index, line) in plot.lines.iter().enumerate() {
        let Shape::Points(points) = &line.shape else { continue };
        let points: Vec<String> = points
            .iter()
            .map(|point| scale.place(*point))
            .map(|(across, down)| format!("{across:.1},{down:.1}"))
            .collect();
        let _ = write!(text, "<polyline class=\"c{}\" points=\"{}\"/>", index % COLOURS, points.join(" "));
    }
    text.push_str("</svg>");
    text
}

/// What the colours stand for, to stand above the picture.
pub fn legend(plot: &Plot) -> String {
    let mut text = String::from("<p class=\"legend\">");
    for (index, line) in plot.lines.iter().enumerate() {
        let class = match line.shape {
            Shape::Points(_) => format!("c{}", index % COLOURS),
            Shape::Bands(_) => "band".to_owned(),
        };
        let _ = write!(text, "<span class=\"{class}\">{}</span>", escaped(&line.name));
    }
    if plot.limit.is_some() {
        text.push_str("<span class=\"limit\">limit</span>");
    }
    text + "</p>"
}

fn bands(text: &mut String, line: &Line, scale: &Scale) {
    let Shape::Bands(bands) = &line.shape else { return };
    for (from, to) in bands {
        let [from, to] = [from, to].map(|x| x.clamp(0.0, scale.x_max));
        let ((left, top), (right, bottom)) = (scale.place((from, scale.y_max)), scale.place((to, 0.0)));
        let _ = write!(
            text,
            "<rect class=\"band\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            (right - left).max(1.0),
            bottom - top
        );
    }
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
             <text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{}</text>",
            left - 6.0,
            down + 4.0,
            number(y),
            bottom + 16.0,
            // The last number would be cut in its middle.
            if tick == TICKS { "end" } else { "middle" },
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
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (value, rounded) in
            [(0.0, 1.0), (0.45, 0.5), (1.0, 1.0), (1.1, 1.5), (960.0, 1_000.0), (5_001.0, 6_000.0)]
        {
            assert_eq!(round_up(value), rounded, "{value}");
        }
        let shown = [0.0, 0.3, 1.5, 12.5, 100.0, 15_000.0].map(number);
        assert_eq!(shown, ["0", "0.3", "1.5", "12.5", "100", "15000"]);
    }

    #[test]
    fn lines_stay_within_the_picture() {
        let line = Line::percentiles("ms", (0..1_000).map(f64::from).collect());
        assert_eq!((line.points()[0], line.points()[100]), ((0.0, 0.0), (999.0, 100.0)));
        let rate = Line::per_second("requests", &[5, 10], 0.5);
        assert_eq!(rate.points(), [(0.0, 10.0), (0.5, 20.0)]);
        let plot = Plot {
            title: "t",
            x: "x",
            y: "y",
            lines: vec![line, rate, Line::shaded("broken", vec![(-1.0, 5_000.0)])],
            limit: None,
        };
        let scale = Scale::of(&plot);
        for point in plot.lines.iter().flat_map(Line::points) {
            let (across, down) = scale.place(*point);
            assert!((0.0..=WIDTH).contains(&across) && (0.0..=HEIGHT).contains(&down), "{point:?}");
        }
        let drawn = draw(&plot);
        assert!(drawn.contains("<polyline"));
        assert!(drawn.contains("<rect class=\"band\" x=\"70.0\" y=\"28.0\" width=\"714.0\""), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let plot =
            Plot { title: "t", x: "x", y: "y", lines: vec![Line::percentiles("none", vec![])], limit: None };
        assert!(draw(&plot).contains("points=\"\""));
    }
}
