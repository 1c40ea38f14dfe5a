//! `/account`: one's own password.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use tocsin_domain::password::{PASSWORD_CHARS_MIN, check_password};
use tocsin_store::tenant::users::User;

use super::access::{PageAccess, Passwords, Visitor};
use super::form::{Complaints, Form, capitalised};
use super::page::{Refused, Shell, answer};
use super::session::for_secret;
use super::sign_in::{Entry, begin, minutes, too_many};
use crate::credentials::{Own, is_own_password};
use crate::server::Api;
use crate::users::{existing, give_password};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    user: User,
    roles: String,
    faults: Complaints,
    saved: bool,
    chars_min: usize,
    /// Is a password of any use?
    passwords: bool,
}

impl AccountPage {
    fn new(api: &Api, visitor: &Visitor, user: User) -> Self {
        let roles: Vec<_> = user.roles.iter().map(|role| capitalised(role)).collect();
        Self {
            shell: Shell::new("Your account", &visitor.who, "account"),
            roles: roles.join(", "),
            user,
            faults: Complaints::default(),
            saved: false,
            chars_min: PASSWORD_CHARS_MIN,
            passwords: !matches!(&api.page, PageAccess::SignIn(rules) if rules.passwords == Passwords::Refused),
        }
    }
}

/// `GET /account`.
pub(crate) async fn ask(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let user = own(&visitor).await?;
    let saved = query.as_deref() == Some("saved");
    Ok(answer(StatusCode::OK, &AccountPage { saved, ..AccountPage::new(&api, &visitor, user) }))
}

/// `POST /account` with `current`, `password` and `again`. All sessions end, and this browser gets a new one.
pub(crate) async fn change(
    visitor: Visitor,
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let user = own(&visitor).await?;
    let secure = for_secret(&headers)?;
    let form = Form::of(&body);
    let (id, password) = (user.id, form.text("password"));
    let faulty = |user: User, field: &str, reason: &str| {
        let faults = Complaints::one(field, reason);
        let page = AccountPage { faults, ..AccountPage::new(&api, &visitor, user) };
        Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page))
    };
    if let Err(reason) = check_password(&password, &user.login) {
        return faulty(user, "password", &reason);
    }
    if password != form.text("again") {
        return faulty(user, "again", "is not the same: type the new password twice");
    }
    match is_own_password(&api, &visitor.tenant, id, &form.text("current")).await? {
        Own::Wrong => faulty(user, "current", "is not your password: type the one that you signed in with"),
        Own::TooMany { until } => {
            let reason = format!("was wrong too often: wait {} min", minutes(&api, until));
            let faults = Complaints::one("current", &reason);
            Ok(too_many(&AccountPage { faults, ..AccountPage::new(&api, &visitor, user) }, &api, until))
        }
        Own::Right => {
            let hash = give_password(&api, &visitor.tenant, id, password).await?;
            let entry = Entry { user: id, password_hash: &hash, through: None, secure };
            let cookie = begin(&api, &headers, visitor.district(), &entry).await?;
            let after = match &cookie {
                Some(_) => "/account?saved",
                None => "/sign-in",
            };
            let mut response = Redirect::to(after).into_response();
            if let Some(cookie) = cookie {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
    }
}

async fn own(visitor: &Visitor) -> Result<User, Refused> {
    let Some(id) = visitor.user() else { return Err(Refused::unknown_page()) };
    Ok(existing(&visitor.tenant, id).await?)
}
