//! `/campaigns/{id}/report`: what to put into a report, and the file that comes of it (requirements 56 to 60).

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use tocsin_domain::{CampaignId, Channel};
use tocsin_reports::{Detail, Format, Group};

use super::access::Visitor;
use super::detail::existing;
use super::live::Live;
use super::page::{Refused, Shell, answer};
use super::words;
use crate::campaigns::existing as campaign;
use crate::problem::{Kind, Problem};
use crate::report::{Asked, Framing, Renders, folded, make};
use crate::server::Api;

/// From so many rows on the page shows how far a report is; smaller ones are there at once.
const PROGRESS_ROWS: i64 = 5_000;
const FRAMES: &str = "application/x-tocsin-frames";

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    shell: Shell,
    live: Live,
    faults: Vec<String>,
    modes: Vec<Choice>,
    no_device: bool,
    statuses: Vec<Choice>,
    details: Vec<Choice>,
    formats: Vec<Choice>,
    /// Whether the page is to show how far it is.
    is_long: bool,
}

/// A box or a button of the form.
struct Choice {
    value: &'static str,
    name: &'static str,
    chosen: bool,
    /// Why it cannot be chosen.
    unavailable: Option<&'static str>,
}

/// What the form shows as chosen.
struct Chosen {
    modes: Vec<Channel>,
    statuses: Vec<String>,
    detail: Detail,
    format: Format,
    no_device: bool,
}

/// `GET /campaigns/{id}/report`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let (live, id) = existing(&visitor, &api, &id).await?;
    let campaign = campaign(&visitor.tenant, id).await?;
    let all = Chosen {
        modes: campaign.channels.clone(),
        statuses: Group::ALL.iter().map(|group| group.as_str().to_owned()).collect(),
        detail: Detail::default(),
        format: Format::default(),
        no_device: false,
    };
    let over = campaign.state.is_final();
    let page = ReportPage::new(&visitor, live, &campaign.channels, over, &all, Vec::new());
    Ok(answer(StatusCode::OK, &page))
}

/// `GET /campaigns/{id}/report/file`: as the API's, with boxes that come one by one.
pub(crate) async fn file(
    visitor: Visitor,
    State(api): State<Api>,
    Extension(renders): Extension<Renders>,
    method: Method,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let campaign_id: CampaignId = id.parse().map_err(|_| Refused::unknown_campaign())?;
    let query = folded(query.as_deref());
    let framed = headers.get(header::ACCEPT).is_some_and(|accept| accept == FRAMES);
    let framing = if framed { Framing::Progress } else { Framing::None };
    let asked = Asked { method, query: Some(&query), framing };
    match make(&api, &renders, &visitor.tenant, campaign_id, &asked).await {
        Ok(file) => Ok(file),
        Err(problem) if matches!(problem.kind(), Kind::InvalidQuery | Kind::InProgress) => {
            again(&visitor, &api, &id, &query, &problem).await
        }
        Err(problem) => Err(problem.into()),
    }
}

/// The form as it was filled in, and what is wrong with it.
async fn again(
    visitor: &Visitor,
    api: &Api,
    id: &str,
    query: &str,
    problem: &Problem,
) -> Result<Response, Refused> {
    let (live, id) = existing(visitor, api, id).await?;
    let campaign = campaign(&visitor.tenant, id).await?;
    let value = |name: &str| {
        let mut members = form_urlencoded::parse(query.as_bytes());
        members.find(|(is, _)| is == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let entries = |name: &str| value(name).split(',').map(str::to_owned).collect::<Vec<_>>();
    let named = |text: &str| Channel::ALL.into_iter().find(|channel| channel.as_str() == text);
    let chosen = Chosen {
        modes: entries("modes").iter().filter_map(|text| named(text)).collect(),
        statuses: entries("statuses"),
        detail: Detail::ALL.into_iter().find(|it| it.as_str() == value("detail")).unwrap_or_default(),
        format: Format::ALL.into_iter().find(|it| it.as_str() == value("format")).unwrap_or_default(),
        no_device: value("include_no_device") == "true",
    };
    let faults = match problem.errors() {
        [] => vec![sentence("", problem.detail())],
        errors => errors.iter().map(|fault| sentence(label(&fault.field), &fault.reason)).collect(),
    };
    let over = campaign.state.is_final();
    let page = ReportPage::new(visitor, live, &campaign.channels, over, &chosen, faults);
    Ok(answer(problem.status(), &page))
}

impl ReportPage {
    fn new(
        visitor: &Visitor,
        live: Live,
        channels: &[Channel],
        over: bool,
        chosen: &Chosen,
        faults: Vec<String>,
    ) -> Self {
        let mode = |channel: Channel| Choice {
            value: channel.as_str(),
            name: words::channel(channel),
            chosen: chosen.modes.contains(&channel),
            unavailable: (!channels.contains(&channel)).then_some("not in this message"),
        };
        let status = |group: &Group| Choice {
            value: group.as_str(),
            name: group.label(),
            chosen: chosen.statuses.iter().any(|status| status == group.as_str()),
            unavailable: None,
        };
        let detail = |detail: Detail| Choice {
            value: detail.as_str(),
            name: detail.label(),
            chosen: chosen.detail == detail,
            unavailable: (detail == Detail::Failed && !over)
                .then_some("not available while the message is waiting or in progress"),
        };
        let format = |format: Format| Choice {
            value: format.as_str(),
            name: format_name(format),
            chosen: chosen.format == format,
            unavailable: None,
        };
        let rows = live.totals.devices.0 + live.totals.duplicates.0 + live.no_device.0;
        Self {
            shell: Shell::new(format!("Report of {}", live.subject), &visitor.who, ""),
            faults,
            modes: [Channel::Inbox, Channel::Email, Channel::Voice, Channel::Sms].map(mode).into(),
            no_device: chosen.no_device,
            statuses: Group::ALL.iter().map(status).collect(),
            details: Detail::ALL.map(detail).into(),
            formats: Format::ALL.map(format).into(),
            is_long: rows >= PROGRESS_ROWS,
            live,
        }
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Pdf => "PDF, to view and print",
        Format::Csv => "CSV, for spreadsheets",
        Format::Docx => "DOCX, for Word",
    }
}

/// What the form calls a parameter.
fn label(parameter: &str) -> &str {
    match parameter {
        "modes" => "Delivery devices",
        "statuses" => "Statuses",
        "detail" => "Detail",
        "format" => "Format",
        "include_no_device" => "No Device",
        other => other,
    }
}

fn sentence(subject: &str, reason: &str) -> String {
    let text = format!("{subject} {reason}");
    let mut letters = text.trim().chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}
