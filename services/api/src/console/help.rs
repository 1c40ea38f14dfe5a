//! `/help/statuses`: what each status means (requirements 77 to 160, 188; decision D1).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_domain::{AttemptResult, Outcome};

use super::access::Visitor;
use super::page::{Shell, answer};
use super::words;

#[derive(Template)]
#[template(path = "statuses.html")]
struct StatusesPage {
    shell: Shell,
    parts: Vec<Part>,
}

/// The statuses of one result.
struct Part {
    name: &'static str,
    hint: &'static str,
    tone: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    label: &'static str,
    code: Option<i16>,
    meaning: &'static str,
    reached: bool,
}

/// `GET /help/statuses`.
pub(crate) async fn statuses(visitor: Visitor) -> Response {
    let results = [
        AttemptResult::Successful,
        AttemptResult::Error,
        AttemptResult::Canceled,
        AttemptResult::NotDispatched,
        AttemptResult::Open,
    ];
    let page = StatusesPage {
        shell: Shell::new("Statuses", &visitor.who, "statuses"),
        parts: results.map(Part::of).into(),
    };
    answer(StatusCode::OK, &page)
}

impl Part {
    fn of(result: AttemptResult) -> Self {
        let (name, hint) = match result {
            AttemptResult::Successful => {
                ("Successful", "The provider did its part. Not each of them reached the person.")
            }
            AttemptResult::Error => {
                ("Error", "The attempt failed: these are what the Failed Delivery report is about.")
            }
            AttemptResult::Canceled => ("Canceled", "Stopped by a cancel. That is no failed delivery."),
            AttemptResult::NotDispatched => {
                ("Not sent", "Nothing was dispatched, or no status ever came back.")
            }
            AttemptResult::Open => ("In progress", "More is expected."),
        };
        let rows = Outcome::all().filter(|outcome| outcome.result() == result).map(|outcome| Row {
            name: outcome.code(),
            label: outcome.label(),
            code: outcome.call_code(),
            meaning: words::reason(outcome),
            reached: outcome.contacted(),
        });
        Self { name, hint, tone: words::result(result).1.class(), rows: rows.collect() }
    }
}
