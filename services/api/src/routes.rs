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
use crate::openapi::Endpoint;
use crate::server::Api;
use crate::{
    accounts, api_keys, approvals, attachments, audience, audit_log, auth, campaigns, cancel, communications,
    consent_policy, consents, console, correction, directory, editing, forecast, imports, inbox, limits, me,
    message_types, messages, openapi, policies, receipt, recipients, refresh, report, roles, sending_policy,
    series, suppressions, templates, unsubscribes, users, webhooks, why,
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

impl Endpoint {
    fn taking(self, limit: DefaultBodyLimit) -> Self {
        Self { route: self.route.taking(limit), ..self }
    }
}

methods! {
    get, "GET";
    post, "POST";
    put, "PUT";
    patch, "PATCH";
    delete, "DELETE";
}

/// The REST API: each route with what the document says of it.
pub(crate) fn rest() -> Vec<Endpoint> {
    use crate::openapi::{delete, get, patch, post, put};
    const SETTINGS: Needs = Needs::Right(Right::Settings);
    const CONSENTS: Needs = Needs::Right(Right::Consents);
    const READ_DIRECTORY: Needs = Needs::Right(Right::ReadDirectory);
    const EDIT_DIRECTORY: Needs = Needs::Right(Right::EditDirectory);
    const INBOXES: Needs = Needs::Right(Right::Inboxes);
    const ADMINISTRATION: Needs = Needs::Right(Right::Administration);
    vec![
        post("/v1/campaigns", OneOf(SENDS), campaigns::create, campaigns::CREATE),
        get("/v1/campaigns", Message, campaigns::list, campaigns::LIST),
        post("/v1/campaigns/forecast", OneOf(SENDS), forecast::ask, forecast::ASK),
        post("/v1/campaigns/preview", OneOf(SENDS), messages::preview, messages::PREVIEW),
        get("/v1/campaigns/{id}", Message, campaigns::show, campaigns::SHOW),
        patch("/v1/campaigns/{id}", Edit, editing::edit, editing::EDIT),
        get("/v1/campaigns/{id}/forecast", Message, forecast::show, forecast::SHOW),
        post("/v1/campaigns/{id}/cancel", Cancel, cancel::cancel, cancel::CANCEL),
        post("/v1/campaigns/{id}/refresh", Message, refresh::refresh, refresh::REFRESH),
        get("/v1/campaigns/{id}/receipt", Message, receipt::show, receipt::SHOW),
        get("/v1/campaigns/{id}/receipt/{part}", Message, receipt::list, receipt::LIST),
        post("/v1/campaigns/{id}/correction", MessageAndSend, correction::create, correction::CREATE),
        get("/v1/campaigns/{id}/recipients", Message, recipients::list, recipients::LIST),
        get("/v1/campaigns/{id}/recipients/{recipient}/message", Message, messages::sent, messages::SENT),
        get("/v1/campaigns/{id}/why", Message, why::why, why::WHY),
        get("/v1/campaigns/{id}/report", MessageAnd(Right::Reports), report::file, report::FILE),
        post("/v1/attachments", OneOf(SENDS), attachments::upload, attachments::UPLOAD)
            .taking(attachments::body_limit()),
        get(
            "/v1/campaigns/{id}/attachments/{attachment}",
            Message,
            attachments::of_campaign,
            attachments::OF_CAMPAIGN,
        ),
        get("/v1/approvals", APPROVES, approvals::list, approvals::LIST),
        get("/v1/approvals/{id}", APPROVES, approvals::show, approvals::SHOW),
        post("/v1/approvals/{id}/approve", APPROVES, approvals::approve, approvals::APPROVE),
        post("/v1/approvals/{id}/decline", APPROVES, approvals::decline, approvals::DECLINE),
        post("/v1/series", OneOf(SENDS), series::create, series::CREATE),
        get("/v1/series", Message, series::list, series::LIST),
        get("/v1/series/{id}", Series, series::show, series::SHOW),
        patch("/v1/series/{id}", EditSeries, series::edit, series::EDIT),
        post("/v1/series/{id}/cancel", CancelSeries, series::cancel, series::CANCEL),
        get("/v1/series/{id}/occurrences", Series, series::occurrences, series::OCCURRENCES),
        get("/v1/message-types", Caller, message_types::list, message_types::LIST),
        post("/v1/templates", OneOf(SENDS), templates::create, templates::CREATE),
        get("/v1/templates", OneOf(SENDS), templates::list, templates::LIST),
        get("/v1/templates/{id}", OneOf(SENDS), templates::show, templates::SHOW),
        put("/v1/templates/{id}", OneOf(SENDS), templates::replace, templates::REPLACE),
        delete("/v1/templates/{id}", OneOf(SENDS), templates::remove, templates::REMOVE),
        post("/v1/audience/count", OneOf(CHOOSES), audience::count, audience::COUNT),
        post("/v1/audience/people", READ_DIRECTORY, audience::people, audience::PEOPLE),
        get("/v1/schools", OneOf(CHOOSES), directory::schools, directory::SCHOOLS),
        get("/v1/classes", OneOf(CHOOSES), directory::classes, directory::CLASSES),
        get("/v1/people", READ_DIRECTORY, people::list, people::LIST),
        post("/v1/people", EDIT_DIRECTORY, changes::create, changes::CREATE),
        get("/v1/people/{person}", READ_DIRECTORY, people::show, people::SHOW),
        put("/v1/people/{person}", EDIT_DIRECTORY, changes::change, changes::CHANGE),
        delete("/v1/people/{person}", EDIT_DIRECTORY, changes::deactivate, changes::DEACTIVATE),
        put("/v1/people/{person}/preferences", EDIT_DIRECTORY, preferences::put, preferences::PUT),
        get(
            "/v1/people/{person}/communications",
            MessageAnd(Right::ReadDirectory),
            communications::list,
            communications::LIST,
        ),
        post("/v1/people/{person}/devices", EDIT_DIRECTORY, changes::add_device, changes::ADD_DEVICE),
        delete(
            "/v1/people/{person}/devices/{channel}/{address}",
            EDIT_DIRECTORY,
            changes::remove_device,
            changes::REMOVE_DEVICE,
        ),
        put("/v1/people/{person}/students/{student}", EDIT_DIRECTORY, links::add_contact, links::ADD_CONTACT),
        delete(
            "/v1/people/{person}/students/{student}",
            EDIT_DIRECTORY,
            links::end_contact,
            links::END_CONTACT,
        ),
        put("/v1/people/{person}/schools/{school}", EDIT_DIRECTORY, links::enrol, links::ENROL),
        delete(
            "/v1/people/{person}/schools/{school}",
            EDIT_DIRECTORY,
            links::end_enrolment,
            links::END_ENROLMENT,
        ),
        get("/v1/imports", EDIT_DIRECTORY, imports::list, imports::LIST),
        post("/v1/imports", EDIT_DIRECTORY, imports::create, imports::CREATE).taking(imports::body_limit()),
        get("/v1/imports/{id}", EDIT_DIRECTORY, imports::show, imports::SHOW),
        get("/v1/imports/{id}/problems", EDIT_DIRECTORY, imports::problems, imports::PROBLEMS),
        post("/v1/imports/{id}/apply", EDIT_DIRECTORY, imports::apply, imports::APPLY),
        get("/v1/policies/{message_type}", SETTINGS, policies::show, policies::SHOW),
        put("/v1/policies/{message_type}", SETTINGS, policies::put, policies::PUT),
        get("/v1/limits", SETTINGS, limits::show, limits::SHOW),
        put("/v1/limits", SETTINGS, limits::put, limits::PUT),
        get("/v1/consents", CONSENTS, consents::list, consents::LIST),
        get("/v1/consents.csv", CONSENTS, consents::file, consents::FILE),
        get("/v1/consents/{phone}", CONSENTS, consents::show, consents::SHOW),
        put("/v1/consents/{phone}", CONSENTS, consents::change, consents::CHANGE),
        get("/v1/accounts", SETTINGS, accounts::list, accounts::LIST),
        get("/v1/consent-policy", SETTINGS, consent_policy::show, consent_policy::SHOW),
        put("/v1/consent-policy", SETTINGS, consent_policy::change, consent_policy::CHANGE),
        get("/v1/sending-policy", SETTINGS, sending_policy::show, sending_policy::SHOW),
        put("/v1/sending-policy", SETTINGS, sending_policy::put, sending_policy::PUT),
        get("/v1/suppressions", CONSENTS, suppressions::list, suppressions::LIST),
        post("/v1/suppressions", CONSENTS, suppressions::add, suppressions::ADD),
        delete("/v1/suppressions/{channel}/{address}", CONSENTS, suppressions::lift, suppressions::LIFT),
        get("/v1/unsubscribes", CONSENTS, unsubscribes::list, unsubscribes::LIST),
        delete("/v1/unsubscribes/{message_type}/{address}", CONSENTS, unsubscribes::lift, unsubscribes::LIFT),
        get("/v1/people/{person}/inbox", INBOXES, inbox::list, inbox::LIST),
        get("/v1/people/{person}/inbox/unread", INBOXES, inbox::unread, inbox::UNREAD),
        post("/v1/people/{person}/inbox/read", INBOXES, inbox::mark_all, inbox::MARK_ALL),
        get("/v1/people/{person}/inbox/{message}", INBOXES, inbox::show, inbox::SHOW),
        put("/v1/people/{person}/inbox/{message}/read", INBOXES, inbox::mark_read, inbox::MARK_READ),
        delete("/v1/people/{person}/inbox/{message}/read", INBOXES, inbox::mark_unread, inbox::MARK_UNREAD),
        get(
            "/v1/people/{person}/inbox/{message}/attachments/{attachment}",
            INBOXES,
            attachments::of_message,
            attachments::OF_MESSAGE,
        ),
        get("/v1/me", Caller, me::show, me::SHOW),
        get("/v1/users", ADMINISTRATION, users::list, users::LIST),
        post("/v1/users", ADMINISTRATION, users::add, users::ADD),
        get("/v1/users/{user}", ADMINISTRATION, users::show, users::SHOW),
        patch("/v1/users/{user}", ADMINISTRATION, users::change, users::CHANGE),
        put("/v1/users/{user}/password", ADMINISTRATION, users::set_password, users::SET_PASSWORD),
        get("/v1/roles", ADMINISTRATION, roles::list, roles::LIST),
        put("/v1/roles/{role}", ADMINISTRATION, roles::put, roles::PUT),
        delete("/v1/roles/{role}", ADMINISTRATION, roles::remove, roles::REMOVE),
        get("/v1/api-keys", ADMINISTRATION, api_keys::list, api_keys::LIST),
        post("/v1/api-keys", ADMINISTRATION, api_keys::add, api_keys::ADD),
        patch("/v1/api-keys/{key}", ADMINISTRATION, api_keys::change, api_keys::CHANGE),
        delete("/v1/api-keys/{key}", ADMINISTRATION, api_keys::revoke, api_keys::REVOKE),
        get("/v1/webhooks", ADMINISTRATION, webhooks::list, webhooks::LIST),
        post("/v1/webhooks", ADMINISTRATION, webhooks::add, webhooks::ADD),
        get("/v1/webhooks/{id}", ADMINISTRATION, webhooks::show, webhooks::SHOW),
        patch("/v1/webhooks/{id}", ADMINISTRATION, webhooks::change, webhooks::CHANGE),
        delete("/v1/webhooks/{id}", ADMINISTRATION, webhooks::remove, webhooks::REMOVE),
        post("/v1/webhooks/{id}/secret", ADMINISTRATION, webhooks::renew_secret, webhooks::RENEW_SECRET),
        post("/v1/webhooks/{id}/test", ADMINISTRATION, webhooks::test, webhooks::TEST),
        get("/v1/webhooks/{id}/deliveries", ADMINISTRATION, webhooks::deliveries, webhooks::DELIVERIES),
        get(
            "/v1/webhooks/{id}/deliveries/{delivery}",
            ADMINISTRATION,
            webhooks::delivery,
            webhooks::DELIVERY,
        ),
        post(
            "/v1/webhooks/{id}/deliveries/{delivery}/redeliver",
            ADMINISTRATION,
            webhooks::redeliver,
            webhooks::REDELIVER,
        ),
        get("/v1/audit", Needs::Right(Right::Audit), audit_log::list, audit_log::LIST),
        get("/openapi.json", Nothing, openapi::show, openapi::SHOW),
    ]
}

/// The console's pages.
pub(crate) fn pages() -> Vec<Route> {
    use compose::editing;
    use compose::templating;
    use console::settings::policy;
    use console::{
        account, activities, approvals, assets, cancel, correction, detail, docs, issuer, list, receipt,
        recipients, sign_in, watch,
    };
    use console::{audit, imports, keys, roles, settings, templates, users};
    use console::{
        communications, compose, consents, help, log, new_person, people, person, report, sent, series, skip,
        upcoming,
    };
    const CONSENTS: Needs = Needs::Right(Right::Consents);
    const READ_DIRECTORY: Needs = Needs::Right(Right::ReadDirectory);
    const EDIT_DIRECTORY: Needs = Needs::Right(Right::EditDirectory);
    const SETTINGS: Needs = Needs::Right(Right::Settings);
    const ADMINISTRATION: Needs = Needs::Right(Right::Administration);
    vec![
        get("/", Caller, console::front),
        get("/campaigns", Message, list::show),
        get("/campaigns/{id}", Message, detail::show),
        get("/campaigns/{id}/events", Message, watch::events),
        get("/campaigns/{id}/recipients", Message, recipients::show),
        get("/campaigns/{id}/recipients/{recipient}", Message, console::why::show),
        get("/campaigns/{id}/attachments/{attachment}", Message, detail::attachment),
        get("/campaigns/{id}/report", MessageAnd(Right::Reports), report::show),
        get("/campaigns/{id}/report/file", MessageAnd(Right::Reports), report::file),
        get("/campaigns/{id}/edit", Edit, editing::campaign),
        post("/campaigns/{id}/edit", Edit, editing::post_campaign).taking(compose::body_limit()),
        get("/campaigns/{id}/cancel", Cancel, cancel::ask),
        post("/campaigns/{id}/cancel", Cancel, cancel::cancel),
        post("/campaigns/{id}/refresh", Message, console::refresh::refresh),
        get("/campaigns/{id}/receipt/{part}", Message, receipt::show),
        get("/campaigns/{id}/correction", MessageAndSend, correction::ask),
        post("/campaigns/{id}/correction", MessageAndSend, correction::send).taking(compose::body_limit()),
        get("/upcoming", Message, upcoming::show),
        get("/log", Message, log::show),
        get("/series/{id}", Series, series::show),
        get("/series/{id}/edit", EditSeries, editing::series),
        post("/series/{id}/edit", EditSeries, editing::post_series).taking(compose::body_limit()),
        get("/series/{id}/cancel", CancelSeries, series::ask),
        post("/series/{id}/cancel", CancelSeries, series::cancel),
        get("/approvals", APPROVES, approvals::list),
        get("/approvals/{id}", APPROVES, approvals::show),
        post("/approvals/{id}/approve", APPROVES, approvals::approve),
        post("/approvals/{id}/decline", APPROVES, approvals::decline),
        post("/series/{id}/skip", EditSeries, skip::skip),
        post("/series/{id}/restore", EditSeries, skip::restore),
        get("/compose", OneOf(SENDS), compose::show),
        post("/compose", OneOf(SENDS), compose::post).taking(compose::body_limit()),
        post("/compose/segments", Caller, compose::segments),
        post("/compose/count", OneOf(SENDS), compose::reach::count),
        get("/attachments/{attachment}", OneOf(SENDS), detail::upload),
        get("/templates", OneOf(SENDS), templates::list),
        get("/templates/new", OneOf(SENDS), templating::ask_new),
        post("/templates/new", OneOf(SENDS), templating::add).taking(compose::body_limit()),
        get("/templates/{id}", OneOf(SENDS), templating::ask),
        post("/templates/{id}", OneOf(SENDS), templating::post).taking(compose::body_limit()),
        post("/templates/{id}/remove", OneOf(SENDS), templating::remove),
        get("/consents", CONSENTS, consents::show),
        get("/consents.csv", CONSENTS, consents::file),
        get("/help/statuses", Caller, help::statuses),
        get("/docs", Nothing, docs::show),
        get("/people", READ_DIRECTORY, people::show),
        get("/people/{person}", READ_DIRECTORY, person::show),
        post("/people/{person}/preferences", EDIT_DIRECTORY, person::prefer),
        post("/people/{person}/device", EDIT_DIRECTORY, person::add_device),
        post("/people/{person}/remove-device", EDIT_DIRECTORY, person::remove_device),
        post("/people/{person}/active", EDIT_DIRECTORY, person::set_active),
        get("/new-person", EDIT_DIRECTORY, new_person::ask),
        post("/new-person", EDIT_DIRECTORY, new_person::add),
        get("/people/{person}/activities", READ_DIRECTORY, activities::show),
        get("/people/{person}/communications", MessageAnd(Right::ReadDirectory), communications::show),
        get(
            "/people/{person}/communications/{campaign}/{recipient}",
            MessageAnd(Right::ReadDirectory),
            sent::show,
        ),
        get("/imports", EDIT_DIRECTORY, imports::list),
        post("/imports", EDIT_DIRECTORY, imports::send).taking(imports::body_limit()),
        get("/imports/{id}", EDIT_DIRECTORY, imports::show),
        get("/imports/{id}/problems", EDIT_DIRECTORY, imports::problems),
        post("/imports/{id}/apply", EDIT_DIRECTORY, imports::apply),
        get("/settings", SETTINGS, settings::show),
        post("/settings/undo", SETTINGS, settings::put_undo),
        post("/settings/second-person", SETTINGS, settings::put_second_person),
        post("/settings/tests", SETTINGS, settings::put_tests),
        post("/settings/limits", SETTINGS, settings::put_limits),
        post("/settings/consent", SETTINGS, settings::put_consent),
        get("/settings/policies/{message_type}", SETTINGS, policy::ask),
        post("/settings/policies/{message_type}", SETTINGS, policy::put),
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
        get("/webhooks", ADMINISTRATION, console::webhooks::list),
        post("/webhooks", ADMINISTRATION, console::webhooks::add),
        get("/webhooks/{id}", ADMINISTRATION, console::webhooks::ask),
        post("/webhooks/{id}", ADMINISTRATION, console::webhooks::change),
        post("/webhooks/{id}/secret", ADMINISTRATION, console::webhooks::renew_secret),
        post("/webhooks/{id}/test", ADMINISTRATION, console::webhooks::test),
        post("/webhooks/{id}/deliveries/{delivery}/redeliver", ADMINISTRATION, console::webhooks::redeliver),
        post("/webhooks/{id}/remove", ADMINISTRATION, console::webhooks::remove),
        get("/audit", Needs::Right(Right::Audit), audit::show),
        get("/account", Caller, account::ask),
        post("/account", Caller, account::change),
        get("/sign-in", Nothing, sign_in::show),
        post("/sign-in", Nothing, sign_in::sign_in),
        get("/sign-in/{issuer}", Nothing, issuer::go),
        get("/sign-in/{issuer}/return", Nothing, issuer::come_back),
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

/// The routes of these.
pub(crate) fn served(endpoints: Vec<Endpoint>) -> Vec<Route> {
    endpoints.into_iter().map(|endpoint| endpoint.route).collect()
}

/// Method, path, needs and door of every route: for tests and documents.
pub fn table() -> Vec<(&'static str, &'static str, Needs, Door)> {
    let of = |routes: Vec<Route>, door| {
        routes.into_iter().map(move |route| (route.method, route.path, route.needs, door))
    };
    of(served(rest()), Door::Key).chain(of(pages(), Door::Page)).collect()
}
