//! A run as one page that needs nothing else: figures, broken promises, plots.

mod svg;

use std::fmt::Write as _;

pub use self::svg::{Line, Plot};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1b1f24;background:#fff}pre{overflow-x:auto;background:#f4f5f7;padding:1rem;border-radius:.4rem}\
.good{color:#18703a}.bad{color:#b3261e}figure{margin:2rem 0}figcaption{font-weight:600}svg{width:100%;height:auto}\
@media(prefers-color-scheme:dark){body{color:#e4e6e9;background:#16181b}pre{background:#22262b}\
.good{color:#6fd08c}.bad{color:#ff8a80}}";

/// What a page shows.
pub struct Page<'a> {
    pub scenario: &'a str,
    pub violations: &'a [String],
    pub notes: &'a [String],
    /// As it is printed.
    pub table: &'a str,
    pub json: &'a str,
    pub plots: &'a [Plot],
}

pub fn html(page: &Page<'_>) -> String {
    let mut text = String::new();
    let title = escaped(page.scenario);
    let (class, verdict) = match page.violations {
        [] => ("good", "Every promise held."),
        _ => ("bad", "Promises were broken:"),
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Load test: {title}</title><style>{STYLE}</style>\
         <h1>Load test: {title}</h1><p class=\"{class}\">{verdict}</p>"
    );
    list(&mut text, page.violations);
    for plot in page.plots {
        let _ = write!(
            text,
            "<figure><figcaption>{}</figcaption>{}</figure>",
            escaped(plot.title),
            svg::draw(plot)
        );
    }
    let _ = write!(text, "<h2>Figures</h2><pre>{}</pre>", escaped(page.table));
    if !page.notes.is_empty() {
        text.push_str("<h2>Notes</h2>");
        list(&mut text, page.notes);
    }
    let _ =
        writeln!(text, "<details><summary>JSON</summary><pre>{}</pre></details></html>", escaped(page.json));
    text
}

fn list(text: &mut String, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str("<ul>");
    for line in lines {
        let _ = write!(text, "<li>{}</li>", escaped(line));
    }
    text.push_str("</ul>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_everything_and_asks_for_nothing() {
        let plots = [Plot {
            title: "Requests & limit",
            x: "seconds",
            y: "per second",
            lines: vec![Line { name: "requests", points: vec![(0.0, 1.0), (1.0, 3.0)] }],
            limit: Some(2.0),
        }];
        let violations = ["job <1>: sent twice".to_owned()];
        let page = Page {
            scenario: "rate",
            violations: &violations,
            notes: &[],
            table: "  jobs  2",
            json: "{\"ok\": false}",
            plots: &plots,
        };
        let html = html(&page);
        for part in
            ["Load test: rate", "job &lt;1&gt;: sent twice", "Requests &amp; limit", "<svg", "&quot;ok&quot;"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
        for outside in ["http:", "https:", "src=", "<script", "<link"] {
            assert!(!html.contains(outside), "{outside}: {html}");
        }
    }
}
