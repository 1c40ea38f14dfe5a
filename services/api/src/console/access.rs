//! Who may look: by sign-in, or whoever is at this machine.

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use tocsin_domain::DistrictId;
use tocsin_store::districts::District;
use tocsin_store::{Store, StoreError, Tenant};
use tracing::Span;

use super::page::{Refused, Who};
use super::session::{SessionKeys, Token};
use super::sign_in::{ChooserPage, SignInPage};
use super::when::Zone;
use crate::server::Api;

pub(crate) const SESSION_COOKIE: &str = "tocsin_session";
pub(crate) const DISTRICT_COOKIE: &str = "tocsin_district";
/// Who cancels from a page that nobody signed in to.
const NOBODY: &str = "page";

/// How one gets to see the pages.
#[derive(Debug, Clone)]
pub enum PageAccess {
    /// Signs in with an API key of the district.
    SignIn(SessionKeys),
    /// Does not sign in: for a process that listens on loopback only. The store, opened with
    /// [`tocsin_store::Access::Engine`], says which districts there are, and is asked nothing else.
    Open(Store),
}

/// Whoever asked for a page, and the one district that they see.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub tenant: Tenant,
    pub zone: Zone,
    /// Under which name they act.
    pub actor: String,
    pub who: Who,
}

/// What those see who are not visitors yet.
#[derive(Debug)]
pub(crate) enum TurnedAway {
    SignIn(Box<SignInPage>),
    Chooser(Box<ChooserPage>),
    Refused(Refused),
}

impl From<StoreError> for TurnedAway {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl IntoResponse for TurnedAway {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(page) => page.into_response(),
            Self::Chooser(page) => page.into_response(),
            Self::Refused(refused) => refused.into_response(),
        }
    }
}

impl FromRequestParts<Api> for Visitor {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let visitor = match &api.page {
            PageAccess::SignIn(keys) => signed_in(parts, api, keys).await?,
            PageAccess::Open(directory) => at_this_machine(parts, api, directory).await?,
        };
        Span::current().record("district.id", tracing::field::display(visitor.tenant.district()));
        Ok(visitor)
    }
}

async fn signed_in(parts: &Parts, api: &Api, keys: &SessionKeys) -> Result<Visitor, TurnedAway> {
    let wanted = wanted(&parts.method, &parts.uri);
    let refused = |page| Err(TurnedAway::SignIn(Box::new(page)));
    let Some(token) = cookie(&parts.headers, SESSION_COOKIE) else {
        return refused(SignInPage::first(wanted));
    };
    let session = match keys.read(token, api.clock.now()) {
        Token::Valid(session) => session,
        Token::Expired => return refused(SignInPage::expired(wanted)),
        Token::Foreign => return refused(SignInPage::first(wanted)),
    };
    let tenant = api.store.tenant(session.district);
    let key = tenant.key(session.key).await?;
    let district = tenant.own_district().await?;
    match (key, district) {
        (Some(key), Some(district)) => {
            Ok(Visitor::new(tenant, district, key.name.clone(), Who::key(key.name)))
        }
        (None, _) | (_, None) => refused(SignInPage::revoked(wanted)),
    }
}

async fn at_this_machine(parts: &Parts, api: &Api, directory: &Store) -> Result<Visitor, TurnedAway> {
    let districts = directory.districts().await?;
    let several = districts.len() > 1;
    let chosen = cookie(&parts.headers, DISTRICT_COOKIE).and_then(|id| id.parse::<uuid::Uuid>().ok());
    let found = match districts.as_slice() {
        [only] => Some(only.clone()),
        all => all.iter().find(|district| Some(district.id.0) == chosen).cloned(),
    };
    let Some(district) = found else {
        let page = ChooserPage::new(districts, wanted(&parts.method, &parts.uri));
        return Err(TurnedAway::Chooser(Box::new(page)));
    };
    let tenant = api.store.tenant(district.id);
    Ok(Visitor::new(tenant, district, NOBODY.to_owned(), Who::nobody(several)))
}

impl Visitor {
    fn new(tenant: Tenant, district: District, actor: String, who: Who) -> Self {
        let zone = Zone::of(district.time_zone.as_deref());
        let who = Who { district: district.name, zone: zone.name(), ..who };
        Self { tenant, zone, actor, who }
    }

    pub fn district(&self) -> DistrictId {
        self.tenant.district()
    }

    /// Whose messages are "my messages".
    pub fn own_name(&self) -> &str {
        &self.actor
    }
}

/// The cookie of that name.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(is, _)| *is == name).map(|(_, value)| value)
}

/// Where whoever signs in goes on: the page that was asked for, or the one that the post came from.
fn wanted(method: &Method, uri: &Uri) -> String {
    if method == Method::GET {
        return uri
            .path_and_query()
            .map_or("/campaigns", |it| it.as_str())
            .trim_end_matches("/events")
            .to_owned();
    }
    uri.path().trim_end_matches("/cancel").to_owned()
}

/// Pages of ours only, or a link could lead from the sign-in to anywhere.
pub(crate) fn own_page(wanted: &str) -> &str {
    let below = |page: &str| {
        wanted.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    let is_ours = ["/campaigns", "/consents", "/help", "/people", "/upcoming", "/log", "/series", "/compose"]
        .into_iter()
        .any(below);
    if is_ours && !wanted.contains(['\\', '\r', '\n']) { wanted } else { "/campaigns" }
}
