//! Whom the form reaches, told while its filters change.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::json;

use super::draft::Draft;
use crate::audience;
use crate::console::access::Visitor;
use crate::console::page::{Count, Refused};
use crate::console::words;
use crate::counting::{Counted, Counting};
use crate::problem::Problem;
use crate::server::Api;

#[derive(Debug, Serialize)]
struct ReachView {
    words: String,
    /// The exact number is on its way: ask again.
    again: bool,
}

/// `POST /compose/count` with the form. What cannot be counted yet is told by no words.
pub(crate) async fn count(
    visitor: Visitor,
    State(api): State<Api>,
    Extension(counting): Extension<Counting>,
    body: Bytes,
) -> Result<Response, Refused> {
    let members = Draft::of_form(&body).request(visitor.zone.zone()).members;
    let mut request = json!({});
    for name in ["audience", "channels", "mode", "message_type"] {
        if let Some(value) = members.get(name) {
            request[name] = value.clone();
        }
    }
    let Ok(wanted) = audience::wanted(request) else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let counted = counting.soon(&api, &visitor.tenant, &wanted).await.map_err(Problem::from)?;
    Ok(Json(ReachView { words: in_words(&counted), again: !counted.exact }).into_response())
}

fn in_words(counted: &Counted) -> String {
    let count = |number: u64| Count(i64::try_from(number).unwrap_or(i64::MAX));
    let size = &counted.size;
    let about = if counted.exact { "" } else { "About " };
    let people = if size.recipients == 1 { "person" } else { "people" };
    let devices: Vec<String> = size
        .devices
        .iter()
        .map(|(channel, number)| format!("{} {}", count(*number), words::channel(*channel).to_lowercase()))
        .collect();
    let later = if counted.exact { "" } else { " Counting…" };
    format!(
        "{about}{} {people}, {} without a device. Devices: {}.{later}",
        count(size.recipients),
        count(size.no_device),
        devices.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use tocsin_domain::Channel;
    use tocsin_store::tenant::audience::Size;

    use super::*;

    #[test]
    fn a_number_that_is_about_so_much_says_so() {
        let size = Size {
            recipients: 1200,
            no_device: 3,
            devices: [(Channel::Voice, 900), (Channel::Email, 1)].into(),
        };
        let exact = Counted { size, exact: true };
        let words = in_words(&exact);
        assert_eq!(words, "1,200 people, 3 without a device. Devices: 900 voice, 1 email.");
        let about = in_words(&Counted { exact: false, ..exact });
        assert!(about.starts_with("About 1,200 people") && about.ends_with("Counting…"), "{about}");
    }
}
