//! `POST /campaigns/{id}/refresh`: the button above a campaign that still runs (requirements 22, 183 and 193).

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use tocsin_domain::CampaignId;

use super::access::Visitor;
use super::page::Refused;
use crate::problem::Problem;

/// Has the providers asked, and leads to the campaign read anew; what they say shows there as it comes.
pub(crate) async fn refresh(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refused> {
    let id: CampaignId = id.parse().map_err(|_| Refused::unknown_campaign())?;
    let refreshed = visitor.tenant.refresh(id).await.map_err(Problem::from)?;
    refreshed.ok_or_else(Refused::unknown_campaign)?;
    Ok(Redirect::to(&format!("/campaigns/{id}")).into_response())
}
