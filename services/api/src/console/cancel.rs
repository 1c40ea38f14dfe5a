//! `/campaigns/{id}/cancel`: the question, and what pressing it does (requirements 20-28, decision D5).

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::access::Visitor;
use super::detail::existing;
use super::live::Live;
use super::page::{Refused, Shell, answer};
use super::reason::{Faulty, order_of};
use crate::cancel::{REASON_CHARS_MAX, carry_out};
use crate::server::Api;

/// The same question as in the campaign's dialog, for browsers without script and for what was typed wrong.
#[derive(Template)]
#[template(path = "cancel.html")]
struct CancelPage {
    shell: Shell,
    live: Live,
    reason: String,
    fault: Option<String>,
    reason_chars_max: usize,
}

impl CancelPage {
    fn new(visitor: &Visitor, live: Live) -> Self {
        let shell = Shell::new(format!("Cancel {}", live.subject), &visitor.who, "");
        Self { shell, live, reason: String::new(), fault: None, reason_chars_max: REASON_CHARS_MAX }
    }
}

/// `GET /campaigns/{id}/cancel`.
pub(crate) async fn ask(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let (live, id) = existing(&visitor, &api, &id).await?;
    if !live.cancelable {
        return Ok(Redirect::to(&format!("/campaigns/{id}")).into_response());
    }
    Ok(answer(StatusCode::OK, &CancelPage::new(&visitor, live)))
}

/// `POST /campaigns/{id}/cancel` with `reason`. Leads to the receipt, however often it is pressed.
pub(crate) async fn cancel(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let order = match order_of(&body, &visitor.actor) {
        Ok(order) => order,
        Err(Faulty { typed, fault }) => {
            let (live, _) = existing(&visitor, &api, &id).await?;
            let page = CancelPage { reason: typed, fault: Some(fault), ..CancelPage::new(&visitor, live) };
            return Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let id = id.parse().map_err(|_| Refused::unknown_campaign())?;
    carry_out(&api, &visitor.tenant, id, &order).await?;
    Ok(Redirect::to(&format!("/campaigns/{id}#receipt")).into_response())
}
