//! A run as one page that needs nothing else: figures, broken promises, plots.

mod svg;

use std::fmt::Write as _;

pub use self::svg::{Line, Plot};

const STYLE: &str = "\
:root{color-scheme:light dark;--text:#1b1f24;--page:#fff;--box:#f4f5f7;--good:#18703a;--bad:#b3261e;\
--c0:#1f6feb;--c1:#b3540b;--c2:#1d7f48;--c3:#8e4ec6}\
@media(prefers-color-scheme:dark){:root{--text:#e4e6e9;--page:#16181b;--box:#22262b;--good:#6fd08c;--bad:#ff8a80;\
--c0:#6ea8fe;--c1:#f0a35e;--c2:#63c98d;--c3:#c69cf0}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:var(--text);\
background:var(--page)}\
pre{overflow-x:auto;background:var(--box);padding:1rem;border-radius:.4rem}\
.good{color:var(--good)}.bad{color:var(--bad)}\
figure{margin:2rem 0}figcaption{font-weight:600}svg{width:100%;height:auto}\
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}\
polyline.c0{stroke:var(--c0)}polyline.c1{stroke:var(--c1);stroke-dasharray:9 2}\
polyline.c2{stroke:var(--c2);stroke-dasharray:4 2}polyline.c3{stroke:var(--c3);stroke-dasharray:2 2}\
line.limit{stroke:var(--bad);stroke-dasharray:6 4}rect.band{fill:var(--bad);fill-opacity:.14}\
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;margin:.2rem 0;font-size:.85rem}\
.legend span::before{content:'';display:inline-block;width:1.4rem;margin-right:.4rem;vertical-align:middle;\
border-top:3px solid currentColor}\
.legend .c0{color:var(--c0)}.legend .c1{color:var(--c1)}.legend .c1::before{border-top-style:dashed}\
.legend .c2{color:var(--c2)}.legend .c2::before{border-top-style:dashed}\
.legend .c3{color:var(--c3)}.legend .c3::before{border-top-style:dotted}\
.legend .limit{color:var(--bad)}.legend .limit::before{border-top-style:dashed}\
.legend .band::before{height:.8rem;border:0;background:var(--bad);opacity:.3}";

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
            "<figure><figcaption>{}</figcaption>{}{}</figure>",
            escaped(plot.title),
            svg::legend(plot),
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
            lines: vec![Line::through("requests", vec![(0.0, 1.0), (1.0, 3.0)])],
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
