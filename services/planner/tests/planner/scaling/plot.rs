//! The course of a load over time: what waits, what the provider takes, and how many workers there should be.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const PANEL: f64 = 130.0;
const GAP: f64 = 46.0;
const LEFT: f64 = 64.0;

#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub seconds: i32,
    pub replicas: usize,
    pub backlog: i64,
    pub headroom: f64,
    pub sent: f64,
}

struct Panel {
    title: &'static str,
    lines: Vec<(&'static str, Vec<f64>)>,
}

/// Three pictures above each other, on one time axis.
pub fn svg(curve: &[Point]) -> String {
    let of = |value: fn(&Point) -> f64| curve.iter().map(value).collect::<Vec<_>>();
    let panels = [
        Panel { title: "jobs that are due", lines: vec![("#b45309", of(|point| point.backlog as f64))] },
        Panel {
            title: "per second: what the provider takes (grey), what is sent (blue)",
            lines: vec![("#9ca3af", of(|point| point.headroom)), ("#1d4ed8", of(|point| point.sent))],
        },
        Panel {
            title: "workers that there should be",
            lines: vec![("#15803d", of(|point| point.replicas as f64))],
        },
    ];
    let height = GAP + panels.len() as f64 * (PANEL + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEFT + 16.0
    );
    let last = curve.last().map_or(1.0, |point| f64::from(point.seconds).max(1.0));
    let x = |seconds: i32| LEFT + f64::from(seconds) / last * WIDTH;
    for (at, panel) in panels.iter().enumerate() {
        draw(&mut out, panel, curve, &x, GAP + at as f64 * (PANEL + GAP));
    }
    for seconds in curve.iter().map(|point| point.seconds).filter(|seconds| seconds % 10 == 0) {
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{seconds} s</text>",
            x(seconds),
            height - 20.0
        );
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, panel: &Panel, curve: &[Point], x: &impl Fn(i32) -> f64, top: f64) {
    let most = panel.lines.iter().flat_map(|(_, values)| values).copied().fold(1.0, f64::max);
    let y = |value: f64| top + PANEL * (1.0 - value / most);
    let right = LEFT + WIDTH;
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>",
        top - 10.0,
        panel.title
    );
    for value in [0.0, most] {
        let at = y(value);
        let _ = writeln!(out, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#d1d5db\"/>");
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    for (colour, values) in &panel.lines {
        // In steps: a value holds until the next one.
        let mut path = String::new();
        for (point, value) in curve.iter().zip(values) {
            let start = if path.is_empty() { "M" } else { "H" };
            let _ = match start {
                "M" => write!(path, "M{:.1} {:.1}", x(point.seconds), y(*value)),
                _ => write!(path, "H{:.1}V{:.1}", x(point.seconds), y(*value)),
            };
        }
        let _ = writeln!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
    }
}
