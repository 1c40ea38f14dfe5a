//! `/campaigns/{id}/edit` and `/series/{id}/edit`: the form, filled in with what is to be sent (requirements 33 to 36).

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use tocsin_domain::CampaignState;
use tocsin_store::tenant::series::SeriesState;

use super::draft::Draft;
use super::{ComposePage, Target, step};
use crate::campaigns::{campaign_id, existing};
use crate::console::access::Visitor;
use crate::console::page::{Refused, answer};
use crate::editing::request_of;
use crate::problem::Problem;
use crate::series;
use crate::server::Api;

/// `GET /campaigns/{id}/edit`. One whose time has come is shown instead.
pub(crate) async fn campaign(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refused> {
    let id = campaign_id(Ok(Path(id)))?;
    let found = existing(&visitor.tenant, id).await?;
    if found.state != CampaignState::Scheduled {
        return Ok(Redirect::to(&format!("/campaigns/{id}")).into_response());
    }
    let made = visitor.tenant.as_it_was_made(id).await?.ok_or_else(Problem::unknown_campaign)?;
    let mut draft = Draft::of_request(&request_of(&made), visitor.zone.zone());
    draft.set("version", &found.version.to_string());
    Ok(answer(StatusCode::OK, &ComposePage::new(&visitor, Target::Campaign(id), draft).await?))
}

pub(crate) async fn post_campaign(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = campaign_id(Ok(Path(id)))?;
    existing(&visitor.tenant, id).await?;
    step(&visitor, &api, Target::Campaign(id), &headers, &body).await
}

/// `GET /series/{id}/edit`.
pub(crate) async fn series(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refused> {
    let found = series::existing(&visitor.tenant, series::series_id(Ok(Path(id)))?).await?;
    let id = found.id;
    if found.state != SeriesState::Active {
        return Ok(Redirect::to(&format!("/series/{id}")).into_response());
    }
    let mut draft = Draft::of_request(&series::request_of(&found), visitor.zone.zone());
    draft.set("version", &found.version.to_string());
    Ok(answer(StatusCode::OK, &ComposePage::new(&visitor, Target::Series(id), draft).await?))
}

pub(crate) async fn post_series(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let found = series::existing(&visitor.tenant, series::series_id(Ok(Path(id)))?).await?;
    step(&visitor, &api, Target::Series(found.id), &headers, &body).await
}
