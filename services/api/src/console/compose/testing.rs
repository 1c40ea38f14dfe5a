//! "Send a test": what is written goes to the district's test people, and the form stays as it is.

use axum::response::Response;
use serde_json::{Value, json};
use tocsin_domain::CampaignId;

use super::draft::{Draft, When};
use super::review::{Look, review};
use super::{Target, refused, request};
use crate::campaigns::{self, Submitted};
use crate::console::access::Visitor;
use crate::console::page::Refused;
use crate::problem::Problem;
use crate::server::Api;

/// The field of the key that a test is sent with. The review draws it anew each time, so that pressing twice there sends
/// one, and a look at a changed text another.
pub(super) const TEST_KEY: &str = "test_key";

/// Sends the test, and shows the review again.
pub(super) async fn send(visitor: &Visitor, api: &Api, draft: Draft) -> Result<Response, Refused> {
    match made(visitor, api, &draft).await {
        Ok(test) => review(visitor, api, Look { target: Target::New, draft, test: Some(test) }).await,
        Err(problem) if problem.status().is_client_error() => {
            refused(visitor, Target::New, draft, &problem).await
        }
        Err(problem) => Err(problem.into()),
    }
}

/// It is sent at once, whenever the message is to go.
async fn made(visitor: &Visitor, api: &Api, draft: &Draft) -> Result<CampaignId, Problem> {
    let mut draft_of_now = draft.clone();
    if draft.when() != When::Now {
        draft_of_now.set("when", "now");
    }
    let mut members = request(visitor, &draft_of_now)?;
    members.insert("test".to_owned(), json!(true));
    members.insert("created_by".to_owned(), json!(visitor.actor));
    let key = match draft.text(TEST_KEY) {
        "" => draft.text("key"),
        own => own,
    };
    let key = format!("test {key}");
    match campaigns::submit(api, &visitor.tenant, key, Value::Object(members)).await? {
        Submitted::Campaign(id, _) => Ok(id),
        // It goes to a few people by name: nobody is asked.
        Submitted::Asked(_) => Err(Problem::unknown_campaign()),
    }
}
