//! The console's pages over HTTP, as a browser asks for them.

mod access;
mod administration;
mod approvals;
mod compose;
mod events;
mod imports;
mod issuers;
mod pages;
mod people;
mod receipts;
mod recipients;
mod sessions;
mod settings;
mod skips;
mod templates;
mod typed;

use reqwest::Method;

use crate::stage::{Answer, PASSWORD, Stage};

/// A browser that has signed in.
pub struct Visitor<'a> {
    stage: &'a Stage,
    cookie: String,
}

impl<'a> Visitor<'a> {
    pub async fn sign_in(stage: &'a Stage) -> Self {
        stage.user(stage.north, "test@north.example", &["administrator"]).await;
        Self::of(stage, "test@north.example").await
    }

    /// Signs in as a user that there is.
    pub async fn of(stage: &'a Stage, email: &str) -> Self {
        let answer = post(stage, "/sign-in", "", &sign_in_form(email, PASSWORD)).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        Self { stage, cookie: cookie_of(&answer) }
    }

    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    pub async fn get(&self, path: &str) -> Answer {
        get(self.stage, path, &self.cookie).await
    }

    /// The page's text; anything but a page fails the test.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body.as_str().unwrap().to_owned()
    }

    pub async fn post(&self, path: &str, form: &str) -> Answer {
        post(self.stage, path, &self.cookie, form).await
    }
}

pub fn sign_in_form(email: &str, password: &str) -> String {
    format!("email={email}&password={password}&next=/campaigns").replace(' ', "+")
}

pub async fn get(stage: &Stage, path: &str, cookie: &str) -> Answer {
    stage.ask(Method::GET, path, &[("cookie", cookie), ("accept", "text/html")], "").await
}

/// Posts a form from a page of ours.
pub async fn post(stage: &Stage, path: &str, cookie: &str, form: &str) -> Answer {
    let origin = stage.address.clone();
    post_from(stage, path, &[("origin", &origin), ("cookie", cookie)], form).await
}

pub async fn post_from(stage: &Stage, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let headers: Vec<_> = headers.iter().copied().chain([kind]).collect();
    stage.ask(Method::POST, path, &headers, form).await
}

/// What a browser sends back of the cookie that it was given.
pub fn cookie_of(answer: &Answer) -> String {
    let line = answer.headers["set-cookie"].to_str().unwrap();
    line.split(';').next().unwrap().to_owned()
}

pub fn text_of(answer: &Answer) -> &str {
    answer.body.as_str().unwrap()
}
