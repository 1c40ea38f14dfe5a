//! `/consents`: the SMS status report (requirements 162 and 164): one number, the totals, and all of it as a file.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tocsin_domain::address::Phone;
use tocsin_domain::consent::ConsentState;
use tocsin_store::Tenant;

use super::access::Visitor;
use super::page::{Count, Refused, Shell, answer};
use super::when::Stamp;
use super::words::Tone;
use crate::fields::Fields;
use crate::fields::{Fault, Faults};
use crate::report::Renders;
use crate::server::Api;

#[derive(Template)]
#[template(path = "consents.html")]
struct ConsentsPage {
    shell: Shell,
    totals: Vec<Total>,
    all: Count,
    /// As it was typed.
    typed: String,
    fault: Option<String>,
    found: Option<Found>,
}

struct Total {
    name: &'static str,
    tone: Tone,
    phones: Count,
}

/// What is known of one phone.
struct Found {
    phone: String,
    /// None: nobody has asked, and nobody has said anything.
    state: Option<(&'static str, Tone)>,
    since: Option<Stamp>,
    source: Option<String>,
    changes: Vec<Change>,
}

struct Change {
    from: &'static str,
    to: &'static str,
    at: Stamp,
    source: String,
}

/// `GET /consents?phone=`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let typed = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let region = visitor.tenant.own_district().await?.map(|district| district.default_region);
    let (phone, fault) = match written_out(&typed, region.as_deref().unwrap_or_default()) {
        None => (None, None),
        Some(text) => match Phone::parse(&text) {
            Ok(phone) => (Some(phone), None),
            Err(fault) => (None, Some(format!("{fault}: write it as +15550100123."))),
        },
    };
    let found = match &phone {
        None => None,
        Some(phone) => Some(look_up(&visitor, phone, api.clock.now()).await?),
    };
    let totals = visitor.tenant.consent_totals().await?;
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = ConsentsPage {
        shell: Shell::new("Text consents", &visitor.who, "consents"),
        all: Count(totals.iter().map(|(_, phones)| phones).sum()),
        totals: totals
            .into_iter()
            .map(|(state, phones)| Total { name: name(state).0, tone: name(state).1, phones: Count(phones) })
            .collect(),
        typed,
        fault,
        found,
    };
    Ok(answer(status, &page))
}

/// `GET /consents.csv`.
pub(crate) async fn file(
    visitor: Visitor,
    State(api): State<Api>,
    Extension(renders): Extension<Renders>,
    method: Method,
) -> Result<Response, Refused> {
    Ok(crate::consents::make(&api, &renders, &visitor.tenant, &method).await?)
}

async fn look_up(
    visitor: &Visitor,
    phone: &Phone,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Found, Refused> {
    let tenant: &Tenant = &visitor.tenant;
    let consent = tenant.consent(phone.as_str()).await?;
    let history = tenant.consent_history(phone.as_str()).await?;
    let zone = visitor.zone;
    Ok(Found {
        phone: phone.as_str().to_owned(),
        state: consent.as_ref().map(|consent| name(consent.state)),
        since: consent.as_ref().map(|consent| zone.exact(consent.changed_at, now)),
        source: consent.map(|consent| source(consent.source)),
        changes: history
            .into_iter()
            .map(|change| Change {
                from: change.from.map_or("–", |state| name(state).0),
                to: name(change.to).0,
                at: zone.exact(change.at, now),
                source: source(change.source),
            })
            .collect(),
    })
}

fn read_query(query: Option<&str>) -> Result<String, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let phone = match fields.take("phone") {
        None => Some(String::new()),
        Some(field) => field.string(&mut faults),
    };
    fields.finish(&mut faults);
    faults.or(phone.map(|phone| phone.trim().to_owned()))
}

/// A number as people write it, with the country that goes without saying in North America; None: nothing was typed.
fn written_out(typed: &str, region: &str) -> Option<String> {
    let bare: String =
        typed.chars().filter(|letter| !matches!(letter, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
    if bare.is_empty() {
        return None;
    }
    let digits = bare.bytes().all(|byte| byte.is_ascii_digit());
    let here = matches!(region, "US" | "CA") && digits;
    Some(match bare.len() {
        10 if here => format!("+1{bare}"),
        11 if here && bare.starts_with('1') => format!("+{bare}"),
        _ => bare,
    })
}

/// Requirement 162.
pub(super) fn name(state: ConsentState) -> (&'static str, Tone) {
    match state {
        ConsentState::Pending => ("Pending Opt-In", Tone::Quiet),
        ConsentState::OptedIn => ("Opted In", Tone::Good),
        ConsentState::OptedOut => ("Opted Out", Tone::Bad),
    }
}

fn source(source: String) -> String {
    match source.as_str() {
        "text" => "a text of theirs".to_owned(),
        "provider" => "the provider, which refuses the phone".to_owned(),
        _ => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_written_as_people_write_them() {
        for (typed, region, text) in [
            ("(312) 555-0100", "US", Some("+13125550100")),
            ("1 312.555.0100", "CA", Some("+13125550100")),
            ("+1 312 555 0100", "GB", Some("+13125550100")),
            ("3125550100", "GB", Some("3125550100")),
            (" ", "US", None),
        ] {
            assert_eq!(written_out(typed, region).as_deref(), text, "{typed}");
        }
    }
}
