//! What every page has: the frame around it, and how one is answered with.

use std::fmt;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tocsin_domain::rights::{Actor, ActorKind, Outlook, Right};
use tocsin_store::StoreError;
use tocsin_store::tenant::approvals::Waiting;

use super::assets::{ASSETS, Assets};
use crate::fields::Fault;
use crate::needs::SENDS;
use crate::problem::{Kind, Problem};

/// The frame: navigation, district, sign-out.
#[derive(Debug)]
pub(crate) struct Shell {
    pub title: String,
    /// None before somebody has signed in.
    pub who: Option<Who>,
    /// The view that the navigation marks.
    pub view: &'static str,
}

/// Whom the frame names.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub district: String,
    pub zone: &'static str,
    /// Who signed in; None: nobody did.
    pub name: Option<String>,
    /// Can another district be chosen?
    pub several: bool,
    pub menu: Menu,
    /// Emergencies for which a second person is asked; of those who may not approve, none.
    pub waiting: Waiting,
    /// Why nothing of the district is sent at the moment, if an operator stopped it.
    pub stopped: Option<String>,
}

/// What of the navigation leads to pages that they may see.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Menu {
    pub messages: bool,
    pub sends: bool,
    /// May send emergencies, where something waits for a second person.
    pub approves: bool,
    pub consents: bool,
    pub directory: bool,
    pub imports: bool,
    pub settings: bool,
    pub administration: bool,
    pub audit: bool,
}

/// A count with its thousands set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Count(pub i64);

/// Why there is no page, told on one.
#[derive(Debug)]
pub(crate) struct Refused {
    pub status: StatusCode,
    pub title: &'static str,
    pub detail: String,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    shell: Shell,
    refused: Refused,
}

impl Shell {
    pub fn new(title: impl Into<String>, who: &Who, view: &'static str) -> Self {
        Self { title: title.into(), who: Some(who.clone()), view }
    }

    pub fn bare(title: impl Into<String>) -> Self {
        Self { title: title.into(), who: None, view: "" }
    }

    /// May whoever looks send messages?
    pub fn sends(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.menu.sends)
    }

    pub fn assets(&self) -> &'static Assets {
        &ASSETS
    }
}

impl Who {
    pub fn named(district: String, name: String) -> Self {
        Self {
            district,
            zone: "",
            name: Some(name),
            several: false,
            menu: Menu::default(),
            waiting: Waiting::default(),
            stopped: None,
        }
    }

    pub fn nobody(district: String, several: bool) -> Self {
        let (menu, waiting) = (Menu::default(), Waiting::default());
        Self { district, zone: "", name: None, several, menu, waiting, stopped: None }
    }

    pub fn at(self, zone: &'static str, actor: &Actor) -> Self {
        let menu = Menu {
            messages: actor.outlook() != Outlook::None || actor.kind == ActorKind::Nobody,
            sends: SENDS.iter().any(|right| actor.may(*right)),
            approves: false,
            consents: actor.may(Right::Consents),
            directory: actor.may(Right::ReadDirectory),
            imports: actor.may(Right::EditDirectory),
            settings: actor.may(Right::Settings),
            administration: actor.may(Right::Administration),
            audit: actor.may(Right::Audit),
        };
        Self { zone, menu, ..self }
    }

    /// With what waits for a second person, which every page tells.
    pub fn waited_for(&mut self, waiting: Waiting) {
        self.waiting = waiting;
        self.menu.approves = waiting.others + waiting.own > 0;
    }
}

impl Refused {
    pub fn unknown_campaign() -> Self {
        Self::from(Problem::unknown_campaign())
    }

    pub fn unknown_page() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "No such page",
            detail: "Nothing is served under this address. The campaigns are a good place to start."
                .to_owned(),
        }
    }

    pub fn faulty(errors: Vec<Fault>) -> Self {
        Self::from(Problem::faulty(Kind::InvalidQuery, errors))
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let faults = problem.errors();
        let detail = match faults.len() {
            0 | 1 => sentence(problem.detail()),
            _ => {
                faults.iter().map(|Fault { field, reason }| sentence(&format!("{field} {reason}"))).collect()
            }
        };
        Self { status: problem.status(), title: problem.title(), detail }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::from(Problem::from(error))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status;
        let page = RefusedPage { shell: Shell::bare(self.title), refused: self };
        let mut response = answer(status, &page);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// The API's details are no sentences, because clients set them into their own.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}. ", letters.as_str().trim_end_matches('.'))
}

/// A page as an answer.
pub(crate) fn answer<T: Template>(status: StatusCode, page: &T) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "page not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().to_string();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000")]
        {
            assert_eq!(Count(number).to_string(), text);
        }
    }
}
