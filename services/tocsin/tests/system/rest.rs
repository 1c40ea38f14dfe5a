//! Series, approvals and webhooks, looked after by the commands that speak to the REST API.

use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;
use serde_json::json;
use tocsin_domain::Channel;
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_testkit::TestVhost;

use crate::district::message;
use crate::fleet::{Fleet, Settings};
use crate::terminal::{exits, json_of};

#[tokio::test]
async fn series_approvals_and_webhooks_are_looked_after_over_the_api() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let environment =
        [("TOCSIN_URL", fleet.client.url.as_str()), ("TOCSIN_API_KEY", fleet.client.key.as_str())];
    let text = |arguments: &[&str]| -> Result<String> {
        Ok(String::from_utf8(exits(0, arguments, &environment, "")?.stdout)?)
    };

    exits(0, &["series", "list"], &environment, "POST /v1/series")?;
    let mut recurring = message("general", &[Channel::Email]);
    let [first, second, third] =
        [2, 3, 4].map(|days| (SystemClock.now() + TimeDelta::days(days)).date_naive().to_string());
    recurring["recurrence"] = json!({ "frequency": "daily", "starts_on": first, "at": "07:30", "count": 3 });
    let series = fleet.client.ask_post("/v1/series", &recurring).await?;
    let id = series["id"].as_str().context("no id")?;
    let list = text(&["series", "list"])?;
    ensure!(list.contains(id) && list.contains("Active") && list.contains(&first), "{list}");
    let shown = text(&["series", "show", id])?;
    ensure!(shown.contains(&third) && shown.contains("America/Chicago"), "{shown}");
    text(&["series", "skip", id, "--on", &first])?;
    exits(3, &["series", "skip", id, "--on", &first], &environment, "nothing of this series comes")?;
    exits(2, &["series", "skip", id, "--on", "tomorrow"], &environment, "tomorrow")?;
    let shown = json_of(&["series", "show", id, "--json"], &environment)?;
    ensure!(shown["next_on"] == second && shown["recurrence"]["except"] == json!([first]), "{shown}");
    ensure!(shown["modified_by"] == "cli" && shown["occurrences"]["coming"].is_array(), "{shown}");
    text(&["series", "cancel", id, "--reason", "the term is over"])?;
    let canceled = json_of(&["series", "list", "--state", "canceled", "--json"], &environment)?;
    ensure!(canceled["series"][0]["cancel"]["reason"] == "the term is over", "{canceled}");

    exits(0, &["webhook", "list"], &environment, "POST /v1/webhooks")?;
    let wanted = json!({ "url": "https://hooks.example.org/", "events": ["approval.requested"] });
    let hook = fleet.client.ask_post("/v1/webhooks", &wanted).await?;
    let hook = hook["id"].as_str().context("no id")?;
    let sent = text(&["webhook", "test", hook])?;
    ensure!(sent.starts_with("msg_"), "{sent}");

    exits(0, &["approval", "list"], &environment, "--state any")?;
    fleet.client.ask_put("/v1/sending-policy", &json!({ "undo_seconds": 0, "second_person": true })).await?;
    let asked = fleet.client.ask_post("/v1/campaigns", &message("emergency", &[Channel::Sms])).await?;
    let asked = asked["id"].as_str().context("no id")?;
    let list = text(&["approval", "list"])?;
    ensure!(list.contains(asked) && list.contains("School is closed"), "{list}");
    exits(3, &["approval", "approve", asked], &environment, "403")?;
    let other = json!({ "name": "another person", "roles": ["communications"] });
    let other = fleet.client.ask_post("/v1/api-keys", &other).await?;
    let other = other["key"].as_str().context("no key")?;
    let approver = [("TOCSIN_URL", fleet.client.url.as_str()), ("TOCSIN_API_KEY", other)];
    let approved = exits(0, &["approval", "approve", asked, "--by", "Ben"], &approver, "campaign watch")?;
    let campaign = String::from_utf8(approved.stdout)?;
    ensure!(
        json_of(&["campaign", "show", campaign.trim(), "--json"], &environment)?["id"] == campaign.trim()
    );
    let asked = fleet.client.ask_post("/v1/campaigns", &message("emergency", &[Channel::Sms])).await?;
    let asked = asked["id"].as_str().context("no id")?;
    text(&["approval", "refuse", asked, "--reason", "it was a drill"])?;
    let refused = json_of(&["approval", "list", "--state", "declined", "--json"], &environment)?;
    ensure!(refused["approvals"][0]["reason"] == "it was a drill", "{refused}");

    let shown = text(&["webhook", "show", hook])?;
    for word in ["webhook.test", "approval.requested", "waiting", "https://hooks.example.org/"] {
        ensure!(shown.contains(word), "{word}: {shown}");
    }
    let sent = sent.trim();
    ensure!(shown.contains(sent), "{sent}: {shown}");
    exits(2, &["webhook", "redeliver", hook, "1"], &environment, "tocsin webhook show")?;
    // No planner has sent it yet.
    exits(3, &["webhook", "redeliver", hook, sent], &environment, "409")?;
    text(&["webhook", "disable", hook])?;
    let list = text(&["webhook", "list"])?;
    ensure!(list.contains("disabled: by hand"), "{list}");
    exits(3, &["webhook", "show", "00000000-0000-4000-8000-000000000001"], &environment, "404")?;
    Ok(())
}
