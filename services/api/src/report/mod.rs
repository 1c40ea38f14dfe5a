//! The Sent Message Report of a campaign (requirements 56 to 76), as a file that streams while it is made.

mod assemble;
mod criteria;
mod query;
mod stream;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::Method;
use axum::response::Response;
use tocsin_domain::CampaignId;
use tocsin_reports::{Detail, Format};
use tocsin_store::Tenant;

use crate::auth::Caller;
use crate::campaigns::{campaign_id, existing};
use crate::openapi::Operation;
use crate::problem::{Kind, Problem};
use crate::server::Api;

pub(crate) use query::{ReportQuery, folded, read_query};
pub(crate) use stream::{File, Framing, Renders, consents, respond};

pub(crate) const FILE: Operation = Operation::new("getReport", "Get the Sent Message Report as a file")
    .telling("It is sent while it is made. A file that cannot be finished breaks off. HEAD gives the headers alone.")
    .asks::<ReportQuery>()
    .gives_file(&[
        "application/pdf",
        "text/csv",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ])
    .refuses(&[Kind::InProgress]);

/// `GET /v1/campaigns/{id}/report?format=&detail=&modes=&statuses=&include_no_device=`.
pub(crate) async fn file(
    Caller(tenant): Caller,
    State(api): State<Api>,
    Extension(renders): Extension<Renders>,
    method: Method,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = campaign_id(id)?;
    make(&api, &renders, &tenant, id, &Asked { method, query: query.as_deref(), framing: Framing::None })
        .await
}

/// How a report was asked for.
pub(crate) struct Asked<'a> {
    pub method: Method,
    pub query: Option<&'a str>,
    pub framing: Framing,
}

/// The one command behind every place where reports are made.
pub(crate) async fn make(
    api: &Api,
    renders: &Renders,
    tenant: &Tenant,
    id: CampaignId,
    asked: &Asked<'_>,
) -> Result<Response, Problem> {
    let campaign = existing(tenant, id).await?;
    let (format, choice) = read_query(asked.query, &campaign.channels)
        .map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    if choice.detail == Detail::Failed && !campaign.state.is_final() {
        return Err(in_progress());
    }
    let file =
        File { name: file_name(campaign.number, choice.detail, format), media_type: format.media_type() };
    if asked.method == Method::HEAD {
        return Ok(respond(&file, None));
    }
    let place = renders.place().await?;
    let (report, rows_total) = assemble::report(tenant, campaign, choice, api.clock.now()).await?;
    let rows = tenant.report_rows(id, assemble::without_device(&report)).await?;
    let body = stream::report(api, place, report, format, rows, asked.framing);
    let mut response = respond(&file, Some(body));
    if asked.framing == Framing::Progress {
        stream::mark_framed(&mut response, rows_total);
    }
    Ok(response)
}

/// Requirement 59.
pub(crate) fn in_progress() -> Problem {
    Problem::new(
        Kind::InProgress,
        "detail=failed is for campaigns that are over, and this one is waiting or in progress: use all or summary, or \
         ask again when it has ended",
    )
}

/// Of our own words and a number: nothing to escape.
fn file_name(number: i64, detail: Detail, format: Format) -> String {
    let part = match detail {
        Detail::All => "",
        Detail::Summary => "-summary",
        Detail::Failed => "-failed",
    };
    format!("sent-message-report-{number}{part}.{}", format.as_str())
}
