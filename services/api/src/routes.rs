//! Every route there is, and what it needs: one line each. The router is built of this table, so that no route can be
//! without an entry (docs/adr/0032-sign-in-and-rights.md).

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{self, MethodRouter};
use tocsin_domain::rights::Right;

use crate::directory::{changes, links, people, preferences};
use crate::needs::Needs::{
    Caller, Cancel, CancelSeries, Edit, EditSeries, Message, MessageAnd, MessageAndSend, Nothing, OneOf,
    Series,
};
use crate::needs::{Needs, SENDS};
use crate::server::Api;
use crate::{
    accounts, api_keys, approvals, audience, audit_log, auth, campaigns, cancel, communications,
    consent_policy, consents, console, correction, directory, editing, forecast, imports, inbox, limits, me,
    message_types, messages, policies, receipt, recipients, report, roles, sending_policy, series,
    suppressions, templates, unsubscribes, users,
};

/// What those need who look whom a message may go to.
const CHOOSES: &[Right] = &[Right::ReadDirectory, Right::Send, Right::SendEmergency];

/// Whoever may send an emergency may be the second person for one.
const APPROVES: Needs = Needs::Right(Right::SendEmergency);

/// One method of one path.
#[derive(Debug)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub needs: Needs,
    handler: MethodRouter<Api>,
}

/// Which door leads to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `/v1`: an API key.
    Key,
    /// The console: a sign-in.
    Page,
}

macro_rules! methods {
    ($($name:ident, $text:literal;)*) => {
        $(pub(crate) fn $name<H: Handler<T, Api>, T: 'static>(path: &'static str, needs: Needs, handler: H) -> Route {
            Route { method: $text, path, needs, handler: routing::$name(handler) }
        })*
    };
}

impl Route {
    /// Its body may be of another length.
    fn taking(self, limit: DefaultBodyLimit) -> Self {
        Self { handler: self.handler.layer(limit), ..self }
    }
}

methods! {
    get, "GET";
    post, "POST";
    put, "PUT";
    patch, "PATCH";
    delete, "DELETE";
}

/// The REST API.
pub(crate) fn rest() -> Vec<Route> {
    const SETTINGS: Needs = Needs::Right(Right::Settings);
    const CONSENTS: Needs = Needs::Right(Right::Consents);
    const READ_DIRECTORY: Needs = Needs::Right(Right::ReadDirectory);
    const EDIT_DIRECTORY: Needs = Needs::Right(Right::EditDirectory);
    const INBOXES: Needs = Needs::Right(Right::Inboxes);
    const ADMINISTRATION: Needs = Needs::Right(Right::Administration);
    vec![
        post("/v1/campaigns", OneOf(SENDS), campaigns::create),
        get("/v1/campaigns", Message, campaigns::list),
        post("/v1/campaigns/forecast", OneOf(SENDS), forecast::ask),
        post("/v1/campaigns/preview", OneOf(SENDS), messages::preview),
        get("/v1/campaigns/{id}", Message, campaigns::show),
        patch("/v1/campaigns/{id}", Edit, editing::edit),
        get("/v1/campaigns/{id}/forecast", Message, forecast::show),
        post("/v1/campaigns/{id}/cancel", Cancel, cancel::cancel),
        get("/v1/campaigns/{id}/receipt", Message, receipt::show),
        get("/v1/campaigns/{id}/receipt/{part}", Message, receipt::list),
        post("/v1/campaigns/{id}/correction", MessageAndSend, correction::create),
        get("/v1/campaigns/{id}/recipients", Message, recipients::list),
        get("/v1/campaigns/{id}/recipients/{recipient}/message", Message, messages::sent),
        get("/v1/campaigns/{id}/report", MessageAnd(Right::Reports), report::file),
        get("/v1/approvals", APPROVES, approvals::list),
        get("/v1/approvals/{id}", APPROVES, approvals::show),
        post("/v1/approvals/{id}/approve", APPROVES, approvals::approve),
        post("/v1/approvals/{id}/decline", APPROVES, approvals::decline),
        post("/v1/series", OneOf(SENDS), series::create),
        get("/v1/series", Message, series::list),
        get("/v1/series/{id}", Series, series::show),
        patch("/v1/series/{id}", EditSeries, series::edit),
        post("/v1/series/{id}/cancel", CancelSeries, series::cancel),
        get("/v1/series/{id}/occurrences", Series, series::occurrences),
        get("/v1/message-types", Caller, message_types::list),
        post("/v1/templates", OneOf(SENDS), templates::create),
        get("/v1/templates", OneOf(SENDS), templates::list),
        get("/v1/templates/{id}", OneOf(SENDS), templates::show),
        put("/v1/templates/{id}", OneOf(SENDS), templates::replace),
        delete("/v1/templates/{id}", OneOf(SENDS), templates::remove),
        post("/v1/audience/count", OneOf(CHOOSES), audience::count),
        post("/v1/audience/people", READ_DIRECTORY, audience::people),
        get("/v1/schools", OneOf(CHOOSES), directory::schools),
        get("/v1/classes", OneOf(CHOOSES), directory::classes),
        get("/v1/people", READ_DIRECTORY, people::list),
        post("/v1/people", EDIT_DIRECTORY, changes::create),
        get("/v1/people/{person}", READ_DIRECTORY, people::show),
        put("/v1/people/{person}", EDIT_DIRECTORY, changes::change),
        delete("/v1/people/{person}", EDIT_DIRECTORY, changes::deactivate),
        put("/v1/people/{person}/preferences", EDIT_DIRECTORY, preferences::put),
        get("/v1/people/{person}/communications", MessageAnd(Right::ReadDirectory), communications::list),
        post("/v1/people/{person}/devices", EDIT_DIRECTORY, changes::add_device),
        delete("/v1/people/{person}/devices/{channel}/{address}", EDIT_DIRECTORY, changes::remove_device),
        put("/v1/people/{person}/students/{student}", EDIT_DIRECTORY, links::add_contact),
        delete("/v1/people/{person}/students/{student}", EDIT_DIRECTORY, links::end_contact),
        put("/v1/people/{person}/schools/{school}", EDIT_DIRECTORY, links::enrol),
        delete("/v1/people/{person}/schools/{school}", EDIT_DIRECTORY, links::end_enrolment),
        get("/v1/imports", EDIT_DIRECTORY, imports::list),
        post("/v1/imports", EDIT_DIRECTORY, imports::create).taking(imports::body_limit()),
        get("/v1/imports/{id}", EDIT_DIRECTORY, imports::show),
        get("/v1/imports/{id}/problems", EDIT_DIRECTORY, imports::problems),
        post("/v1/imports/{id}/apply", EDIT_DIRECTORY, imports::apply),
        get("/v1/policies/{message_type}", SETTINGS, policies::show),
        put("/v1/policies/{message_type}", SETTINGS, policies::put),
        get("/v1/limits", SETTINGS, limits::show),
        put("/v1/limits", SETTINGS, limits::put),
        get("/v1/consents", CONSENTS, consents::list),
        get("/v1/consents.csv", CONSENTS, consents::file),
        get("/v1/consents/{phone}", CONSENTS, consents::show),
        put("/v1/consents/{phone}", CONSENTS, consents::change),
        get("/v1/accounts", SETTINGS, accounts::list),
        get("/v1/consent-policy", SETTINGS, consent_policy::show),
        put("/v1/consent-policy", SETTINGS, consent_policy::change),
        get("/v1/sending-policy", SETTINGS, sending_policy::show),
        put("/v1/sending-policy", SETTINGS, sending_policy::put),
        get("/v1/suppressions", CONSENTS, suppressions::list),
        post("/v1/suppressions", CONSENTS, suppressions::add),
        delete("/v1/suppressions/{channel}/{address}", CONSENTS, suppressions::lift),
        get("/v1/unsubscribes", CONSENTS, unsubscribes::list),
        delete("/v1/unsubscribes/{message_type}/{address}", CONSENTS, unsubscribes::lift),
        get("/v1/people/{person}/inbox", INBOXES, inbox::list),
        get("/v1/people/{person}/inbox/unread", INBOXES, inbox::unread),
        post("/v1/people/{person}/inbox/read", INBOXES, inbox::mark_all),
        get("/v1/people/{person}/inbox/{message}", INBOXES, inbox::show),
        put("/v1/people/{person}/inbox/{message}/read", INBOXES, inbox::mark_read),
        delete("/v1/people/{person}/inbox/{message}/read", INBOXES, inbox::mark_unread),
        get("/v1/me", Caller, me::show),
        get("/v1/users", ADMINISTRATION, users::list),
        post("/v1/users", ADMINISTRATION, users::add),
        get("/v1/users/{user}", ADMINISTRATION, users::show),
        patch("/v1/users/{user}", ADMINISTRATION, users::change),
        put("/v1/users/{user}/password", ADMINISTRATION, users::set_password),
        get("/v1/roles", ADMINISTRATION, roles::list),
        put("/v1/roles/{role}", ADMINISTRATION, roles::put),
        delete("/v1/roles/{role}", ADMINISTRATION, roles::remove),
        get("/v1/api-keys", ADMINISTRATION, api_keys::list),
        post("/v1/api-keys", ADMINISTRATION, api_keys::add),
        patch("/v1/api-keys/{key}", ADMINISTRATION, api_keys::change),
        delete("/v1/api-keys/{key}", ADMINISTRATION, api_keys::revoke),
        get("/v1/audit", Needs::Right(Right::Audit), audit_log::list),
    ]
}

/// The console's pages.
pub(crate) fn pages() -> Vec<Route> {
    use compose::editing;
    use console::{
        account, approvals, assets, cancel, correction, detail, list, receipt, recipients, sign_in, watch,
    };
    use console::{audit, keys, roles, users};
    use console::{
        communications, compose, consents, help, log, people, person, report, sent, series, upcoming,
    };
    const CONSENTS: Needs = Needs::Right(Right::Consents);
    const READ_DIRECTORY: Needs = Needs::Right(Right::ReadDirectory);
    const ADMINISTRATION: Needs = Needs::Right(Right::Administration);
    vec![
        get("/", Caller, console::front),
        get("/campaigns", Message, list::show),
        get("/campaigns/{id}", Message, detail::show),
        get("/campaigns/{id}/events", Message, watch::events),
        get("/campaigns/{id}/recipients", Message, recipients::show),
        get("/campaigns/{id}/report", MessageAnd(Right::Reports), report::show),
        get("/campaigns/{id}/report/file", MessageAnd(Right::Reports), report::file),
        get("/campaigns/{id}/edit", Edit, editing::campaign),
        post("/campaigns/{id}/edit", Edit, editing::post_campaign),
        get("/campaigns/{id}/cancel", Cancel, cancel::ask),
        post("/campaigns/{id}/cancel", Cancel, cancel::cancel),
        get("/campaigns/{id}/receipt/{part}", Message, receipt::show),
        get("/campaigns/{id}/correction", MessageAndSend, correction::ask),
        post("/campaigns/{id}/correction", MessageAndSend, correction::send),
        get("/upcoming", Message, upcoming::show),
        get("/log", Message, log::show),
        get("/series/{id}", Series, series::show),
        get("/series/{id}/edit", EditSeries, editing::series),
        post("/series/{id}/edit", EditSeries, editing::post_series),
        get("/series/{id}/cancel", CancelSeries, series::ask),
        post("/series/{id}/cancel", CancelSeries, series::cancel),
        get("/approvals", APPROVES, approvals::list),
        get("/approvals/{id}", APPROVES, approvals::show),
        post("/approvals/{id}/approve", APPROVES, approvals::approve),
        post("/approvals/{id}/decline", APPROVES, approvals::decline),
        get("/compose", OneOf(SENDS), compose::show),
        post("/compose", OneOf(SENDS), compose::post),
        post("/compose/segments", Caller, compose::segments),
        get("/consents", CONSENTS, consents::show),
        get("/consents.csv", CONSENTS, consents::file),
        get("/help/statuses", Caller, help::statuses),
        get("/people", READ_DIRECTORY, people::show),
        get("/people/{person}", READ_DIRECTORY, person::show),
        post("/people/{person}/preferences", Needs::Right(Right::EditDirectory), person::prefer),
        get("/people/{person}/communications", MessageAnd(Right::ReadDirectory), communications::show),
        get(
            "/people/{person}/communications/{campaign}/{recipient}",
            MessageAnd(Right::ReadDirectory),
            sent::show,
        ),
        get("/users", ADMINISTRATION, users::list),
        get("/users/new", ADMINISTRATION, users::ask_new),
        post("/users/new", ADMINISTRATION, users::add),
        get("/users/{user}", ADMINISTRATION, users::ask),
        post("/users/{user}", ADMINISTRATION, users::change),
        post("/users/{user}/password", ADMINISTRATION, users::set_password),
        get("/roles", ADMINISTRATION, roles::list),
        get("/roles/new", ADMINISTRATION, roles::ask_new),
        post("/roles/new", ADMINISTRATION, roles::add),
        get("/roles/{role}", ADMINISTRATION, roles::ask),
        post("/roles/{role}", ADMINISTRATION, roles::change),
        post("/roles/{role}/remove", ADMINISTRATION, roles::remove),
        get("/keys", ADMINISTRATION, keys::list),
        post("/keys", ADMINISTRATION, keys::add),
        get("/keys/{key}", ADMINISTRATION, keys::ask),
        post("/keys/{key}", ADMINISTRATION, keys::change),
        post("/keys/{key}/revoke", ADMINISTRATION, keys::revoke),
        get("/audit", Needs::Right(Right::Audit), audit::show),
        get("/account", Caller, account::ask),
        post("/account", Caller, account::change),
        get("/sign-in", Nothing, sign_in::show),
        post("/sign-in", Nothing, sign_in::sign_in),
        post("/sign-out", Nothing, sign_in::sign_out),
        get("/districts", Nothing, sign_in::districts),
        post("/districts", Nothing, sign_in::choose),
        get("/assets/{name}", Nothing, assets::serve),
    ]
}

/// A router of these, with what each needs before it.
pub(crate) fn router(routes: Vec<Route>, door: Door, api: &Api) -> Router<Api> {
    routes.into_iter().fold(Router::new(), |router, route| {
        let gate = (api.clone(), route.needs);
        let handler = match (route.needs, door) {
            (Nothing, _) => route.handler,
            (_, Door::Key) => route.handler.route_layer(from_fn_with_state(gate, auth::authorise)),
            (_, Door::Page) => route.handler.route_layer(from_fn_with_state(gate, console::authorise)),
        };
        router.route(route.path, handler)
    })
}

/// Method, path, needs and door of every route: for tests and documents.
pub fn table() -> Vec<(&'static str, &'static str, Needs, Door)> {
    let of = |routes: Vec<Route>, door| {
        routes.into_iter().map(move |route| (route.method, route.path, route.needs, door))
    };
    of(rest(), Door::Key).chain(of(pages(), Door::Page)).collect()
}
