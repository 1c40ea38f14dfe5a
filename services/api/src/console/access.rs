//! Who looks: a user who signed in, or whoever is at this machine; and what they may look at.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tocsin_domain::DistrictId;
use tocsin_domain::rights::{Actor, ActorKind, Grant, Right};
use tocsin_store::callers::Use;
use tocsin_store::{Store, StoreError, Tenant};
use tracing::Span;
use uuid::Uuid;

use super::page::{Refused, Who};
use super::session::{IDLE, SESSION_COOKIE};
use super::sign_in::{ChooserPage, SignInPage};
use super::when::Zone;
use crate::needs::{Needs, unnamed};
use crate::problem::Problem;
use crate::server::Api;
use crate::{routes, secret};

pub(crate) const DISTRICT_COOKIE: &str = "tocsin_district";
/// Who acts from a page that nobody signed in to.
const NOBODY: &str = "page";
/// Where those go on who asked for no page.
pub(crate) const HOME: &str = "/campaigns";

/// How one gets to see the pages.
#[derive(Debug, Clone)]
pub enum PageAccess {
    /// Signs in as a user of a district.
    SignIn(SignIn),
    /// Does not sign in: for a process that listens on loopback only. The store, opened with
    /// [`tocsin_store::Access::Engine`], says which districts there are, and is asked nothing else.
    Open(Store),
}

impl PageAccess {
    /// Where browsers reach the console, for links in what is read elsewhere.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::SignIn(rules) => rules.url.as_deref(),
            Self::Open(_) => None,
        }
    }
}

/// What sign-ins go by.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    /// Where browsers reach the console, without a slash at the end. None: nobody said.
    pub url: Option<String>,
    /// How many proxies stand before this process, whose word of where a request comes from is believed
    /// (`X-Forwarded-For`). 0: none, whoever connects is who asks.
    pub proxies: u8,
    pub passwords: Passwords,
    /// Whom one may come from instead (docs/adr/0048-oidc.md).
    pub issuers: Arc<[IssuerDoor]>,
}

/// May one sign in with a password?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passwords {
    #[default]
    Taken,
    Refused,
}

/// An issuer, and which users come from it.
#[derive(Debug, Clone)]
pub struct IssuerDoor {
    /// Part of the address that browsers come back to.
    pub name: String,
    /// What people call it.
    pub title: String,
    pub issuer: tocsin_oidc::Issuer,
    /// The name of the only district whose users come from it; None: of all.
    pub district: Option<String>,
    /// Which group has which role. Empty: users keep theirs.
    pub roles: BTreeMap<String, String>,
    /// With this role whoever is no user of `district` becomes one.
    pub new_user_role: Option<String>,
}

/// Whoever asked for a page, and the one district that they see.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// For them: what they do is theirs, and what they may not do is refused.
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

/// Stands before every page of the table that needs anything.
pub(crate) async fn authorise(
    State((api, needs)): State<(Api, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    let wanted = wanted(request.method(), request.uri());
    let mut visitor = match visitor(&api, request.headers(), wanted).await {
        Ok(visitor) => visitor,
        Err(turned_away) => return turned_away.into_response(),
    };
    Span::current().record("district.id", tracing::field::display(visitor.tenant.district()));
    if let Err(denial) = needs.check(&visitor.tenant, &mut request).await {
        return Refused::from(Problem::from(denial)).into_response();
    }
    if visitor.tenant.may(Right::SendEmergency) {
        match visitor.tenant.approvals_waiting(api.clock.now()).await {
            Ok(waiting) => visitor.who.waited_for(waiting),
            Err(error) => return Refused::from(error).into_response(),
        }
    }
    match visitor.tenant.stop().await {
        Ok(stop) => visitor.who.stopped = stop.map(|stop| stop.reason),
        Err(error) => return Refused::from(error).into_response(),
    }
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

impl FromRequestParts<Api> for Visitor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Refused> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| unnamed().into())
    }
}

async fn visitor(api: &Api, headers: &HeaderMap, wanted: String) -> Result<Visitor, TurnedAway> {
    match &api.page {
        PageAccess::SignIn(rules) => signed_in(headers, api, rules, wanted).await,
        PageAccess::Open(directory) => at_this_machine(headers, api, directory, wanted).await,
    }
}

async fn signed_in(
    headers: &HeaderMap,
    api: &Api,
    rules: &SignIn,
    wanted: String,
) -> Result<Visitor, TurnedAway> {
    let refused = |page| Err(TurnedAway::SignIn(Box::new(page)));
    let Some(token) = cookie(headers, SESSION_COOKIE) else {
        return refused(SignInPage::first(rules, wanted));
    };
    let found =
        api.store.visitor_of_session(&secret::hash(token), api.clock.now(), IDLE, using(headers)).await?;
    match found {
        None => refused(SignInPage::ended(rules, wanted)),
        Some(session) if session.is_over => refused(SignInPage::expired(rules, wanted)),
        Some(session) => {
            let tenant = api.store.tenant(session.known.district);
            let who = Who::named(session.district_name, session.known.actor.name.clone());
            Ok(Visitor::new(tenant, session.time_zone.as_deref(), session.known.actor, who))
        }
    }
}

/// Browsers say of a page that somebody went there; of what a page's own script asks for they say something else.
fn using(headers: &HeaderMap) -> Use {
    match headers.get("sec-fetch-mode") {
        Some(mode) if mode != "navigate" => Use::ByItself,
        Some(_) | None => Use::Counts,
    }
}

async fn at_this_machine(
    headers: &HeaderMap,
    api: &Api,
    directory: &Store,
    wanted: String,
) -> Result<Visitor, TurnedAway> {
    let districts = directory.districts().await?;
    let several = districts.len() > 1;
    let chosen = cookie(headers, DISTRICT_COOKIE).and_then(|id| id.parse::<Uuid>().ok());
    let found = match districts.as_slice() {
        [only] => Some(only.clone()),
        all => all.iter().find(|district| Some(district.id.0) == chosen).cloned(),
    };
    let Some(district) = found else {
        return Err(TurnedAway::Chooser(Box::new(ChooserPage::new(districts, wanted))));
    };
    let tenant = api.store.tenant(district.id);
    let actor = Actor { kind: ActorKind::Nobody, id: None, name: NOBODY.to_owned(), grant: Grant::all() };
    let who = Who::nobody(district.name, several);
    Ok(Visitor::new(tenant, district.time_zone.as_deref(), actor, who))
}

impl Visitor {
    fn new(tenant: Tenant, time_zone: Option<&str>, actor: Actor, who: Who) -> Self {
        let zone = Zone::of(time_zone);
        let who = who.at(zone.name(), &actor);
        let name = actor.name.clone();
        Self { tenant: tenant.acting_as(Arc::new(actor)), zone, actor: name, who }
    }

    pub fn district(&self) -> DistrictId {
        self.tenant.district()
    }

    /// None: nobody signed in.
    pub fn user(&self) -> Option<Uuid> {
        self.tenant.actor().filter(|actor| actor.kind == ActorKind::User).and_then(|actor| actor.id)
    }
}

/// The cookie of that name.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(is, _)| *is == name).map(|(_, value)| value)
}

/// Where a request comes from, as far as guessing is counted: an IPv4 address, or the network of an IPv6 one, of which
/// a customer has many.
pub(crate) fn address(extensions: &Extensions, headers: &HeaderMap, proxies: u8) -> String {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    match forwarded(headers, proxies).or(peer) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => address.segments()[..4].iter().map(|part| format!("{part:x}:")).collect(),
        },
        None => String::new(),
    }
}

/// What the outermost of our own proxies says. What stands before that, whoever asks may have made up.
fn forwarded(headers: &HeaderMap, proxies: u8) -> Option<IpAddr> {
    let lines = headers.get_all("x-forwarded-for").into_iter().filter_map(|line| line.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let at = hops.len().checked_sub(proxies.into())?;
    if proxies == 0 {
        return None;
    }
    hops.get(at)?.parse().ok()
}

/// Where whoever signs in goes on: the page that was asked for, or the one that the post came from.
fn wanted(method: &Method, uri: &Uri) -> String {
    if method == Method::GET {
        return uri.path_and_query().map_or(HOME, |it| it.as_str()).trim_end_matches("/events").to_owned();
    }
    let path = uri.path();
    [
        "/active",
        "/apply",
        "/approve",
        "/cancel",
        "/consent",
        "/decline",
        "/device",
        "/limits",
        "/password",
        "/preferences",
        "/remove",
        "/remove-device",
        "/restore",
        "/revoke",
        "/segments",
        "/second-person",
        "/secret",
        "/skip",
        "/test",
        "/tests",
        "/undo",
    ]
    .iter()
    .find_map(|act| path.strip_suffix(act))
    .unwrap_or(path)
    .to_owned()
}

/// Pages of ours only, or a link could lead from the sign-in to anywhere.
pub(crate) fn own_page(wanted: &str) -> &str {
    /// What the paths of pages that need a visitor begin with.
    static PAGES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let visited = routes::pages().into_iter().filter(|page| page.needs != Needs::Nothing);
        visited.filter_map(|page| page.path.split('/').nth(1)).filter(|first| !first.is_empty()).collect()
    });
    let first = wanted.strip_prefix('/').and_then(|rest| rest.split(['/', '?']).next());
    let is_ours = first.is_some_and(|first| PAGES.contains(&first));
    let is_plain = wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours && is_plain { wanted } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(forwarded: &[&str]) -> HeaderMap {
        let line = |value: &&str| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap());
        forwarded.iter().map(line).collect()
    }

    #[test]
    fn an_address_is_believed_of_our_own_proxies_only() {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
        for (forwarded, proxies, is) in [
            (&[][..], 0, "10.0.0.1"),
            (&["192.0.2.9"][..], 0, "10.0.0.1"),
            (&["192.0.2.9"], 1, "192.0.2.9"),
            (&["203.0.113.1, 192.0.2.9"], 1, "192.0.2.9"),
            (&["203.0.113.1", "192.0.2.9, 10.0.0.7"], 2, "192.0.2.9"),
            (&["192.0.2.9"], 2, "10.0.0.1"),
            (&["nonsense"], 1, "10.0.0.1"),
            (&["2001:db8:1:2:3:4:5:6"], 1, "2001:db8:1:2:"),
            (&["::ffff:192.0.2.9"], 1, "192.0.2.9"),
        ] {
            assert_eq!(address(&extensions, &headers(forwarded), proxies), is, "{forwarded:?}, {proxies}");
        }
    }

    #[test]
    fn only_pages_of_ours_are_gone_on_with() {
        for (page, ours) in [
            ("/campaigns?view=ended", true),
            ("/users/x", true),
            ("/audit", true),
            ("/sign-out", false),
            ("//evil.example", false),
            ("/users\r\nx", false),
            ("/campaigns/..\\evil", false),
        ] {
            assert_eq!(own_page(page) == page, ours, "{page:?}");
        }
    }
}
