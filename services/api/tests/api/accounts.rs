//! The provider accounts that serve a district, over REST.

use serde_json::{Value, json};
use tocsin_domain::{Channel, DistrictId};
use tocsin_runtime::Clock as _;
use tocsin_store::accounts::AccountLimits;

use crate::console::Visitor;
use crate::stage::{KEY, OTHER_KEY, Stage};

fn limits(name: &str, district: Option<DistrictId>) -> AccountLimits {
    AccountLimits {
        name: name.to_owned(),
        district,
        channel: Channel::Sms,
        rate_per_second: None,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    }
}

#[tokio::test]
async fn a_district_sees_its_accounts_and_those_of_all_and_how_they_do() {
    let stage = Stage::start().await;
    let now = stage.clock.now();
    let accounts = ["fails", "refused", "sound"].map(|name| limits(name, None));
    stage.engine.configure_accounts(&accounts, now).await.unwrap();
    stage.engine.configure_accounts(&[limits("norths", Some(stage.north))], now).await.unwrap();
    let known = stage.engine.accounts().await.unwrap();
    let refused = known.iter().find(|account| account.limits.name == "refused").unwrap();
    stage.engine.stop_account(refused.id, "the provider refuses the account: 20003", now).await.unwrap();
    let failed = "update provider_accounts set health = 1, health_since = tocsin_now() where name = 'fails'";
    stage.sql.batch_execute(failed).await.unwrap();
    let told = async |key| -> Vec<(String, String)> {
        let accounts = stage.get_as(key, "/v1/accounts").await.body["accounts"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ours = ["fails", "refused", "sound", "norths"];
        let all = accounts.as_array().unwrap().iter();
        all.map(|one| (text(&one["name"]), text(&one["state"])))
            .filter(|(name, _)| ours.contains(&name.as_str()))
            .collect()
    };
    let shared = [("fails", "gives_way"), ("refused", "stopped"), ("sound", "sends")]
        .map(|(name, state)| (name.to_owned(), state.to_owned()));
    assert_eq!(told(OTHER_KEY).await, shared);
    let mut norths = shared.to_vec();
    norths.insert(1, ("norths".to_owned(), "sends".to_owned()));
    assert_eq!(told(KEY).await, norths);
    for health in [2, 4] {
        let comes_back = format!("update provider_accounts set health = {health} where name = 'fails'");
        stage.sql.batch_execute(&comes_back).await.unwrap();
        assert!(told(KEY).await.contains(&("fails".to_owned(), "on_trial".to_owned())), "{health}");
    }
    let shown = stage.get("/v1/accounts").await.body;
    let all = shown["accounts"].as_array().unwrap();
    let stopped = all.iter().find(|one| one["name"] == "refused").unwrap();
    assert_eq!(stopped["reason"], "the provider refuses the account: 20003");
    assert_eq!(stopped["channel"], json!("sms"));
    assert!(stopped["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{stopped}");
}

#[tokio::test]
async fn a_stop_is_told_to_the_district_that_it_holds_by_api_and_on_every_page() {
    let stage = Stage::start().await;
    let told = async |key| stage.get_as(key, "/v1/accounts").await.body["stopped"]["reason"].clone();
    assert_eq!((told(KEY).await, told(OTHER_KEY).await), (Value::Null, Value::Null));
    stage.engine.stop_sending(Some(stage.north), "operator ann", "wrong list").await.unwrap();
    assert_eq!((told(KEY).await, told(OTHER_KEY).await), (json!("wrong list"), Value::Null));
    let visitor = Visitor::sign_in(&stage).await;
    for page in ["/campaigns", "/upcoming"] {
        let shown = visitor.page(page).await;
        assert!(shown.contains("Sending is stopped by an operator: wrong list."), "{page}: {shown}");
    }
    stage.engine.resume_sending(Some(stage.north), "operator ann").await.unwrap();
    assert_eq!(told(KEY).await, Value::Null);
    assert!(!visitor.page("/campaigns").await.contains("Sending is stopped"));
}
