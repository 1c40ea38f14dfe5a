//! Edits of what is scheduled, beside its start.

use chrono::TimeDelta;
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::content::Content;
use tocsin_domain::{CampaignId, CampaignState, Channel};
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::tenant::campaigns::editing::{Edit, Edited};
use tocsin_testkit::wait_until;

use crate::fixture::{Setting, connect, new_campaign};

/// A campaign whose time has come and that nobody has started yet, and what it is to become.
async fn due(setting: &Setting) -> (CampaignId, NewCampaign) {
    let now = setting.now().await;
    let campaign = setting
        .campaign(|new| {
            new.scheduled_at = now + TimeDelta::seconds(1);
            new.expires_at = now + TimeDelta::hours(3);
        })
        .await;
    let mut new = new_campaign(now);
    new.audience = Audience { all: true, roles: vec![Role::Guardian], ..Audience::default() };
    new.contents = ["Uno.", "Dos."]
        .into_iter()
        .zip([None, Some("es")])
        .map(|(body, language)| Content {
            channel: None,
            language: language.map(str::to_owned),
            subject: None,
            audio_url: None,
            attachments: Vec::new(),
            body: body.to_owned(),
        })
        .collect();
    new.channels = vec![Channel::Voice];
    (campaign, new)
}

async fn edit(setting: &Setting, campaign: CampaignId, new: &NewCampaign, version: i32) -> Edited {
    let at = setting.now().await;
    setting.tenant().edit_campaign(Edit { campaign, version, by: "bob", at }, new).await.unwrap()
}

/// Until somebody waits for a lock that another session holds.
async fn somebody_waits(setting: &Setting) {
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    wait_until("a statement that waits", std::time::Duration::from_secs(20), async || {
        setting.number(waiting).await > 0
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_start_that_waits_for_an_edit_starts_what_the_edit_left() {
    let setting = Setting::with_connections(4).await;
    let (campaign, _) = due(&setting).await;
    let editor = connect(&setting.database.url).await;
    let audience = r#"{"all":true,"roles":["guardian"],"schools":[],"grades":[],"people":[],"language":null,"include_inactive":false}"#;
    editor
        .batch_execute(&format!(
            "begin; update campaigns set version = 2, audience = '{audience}', channels = '{{1}}' where id = '{campaign}'"
        ))
        .await
        .unwrap();
    let later = setting.now().await + TimeDelta::seconds(10);
    let start = setting.store.expansions_due(later, 10);
    let commit = async {
        somebody_waits(&setting).await;
        editor.batch_execute("commit").await.unwrap();
    };
    let (started, ()) = tokio::join!(start, commit);
    let started = started.unwrap();
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].audience.roles, [Role::Guardian], "started with the audience of before the edit");
    assert_eq!(started[0].channels, [Channel::Voice]);
}

#[tokio::test]
async fn a_start_that_waits_for_an_edit_to_a_later_time_does_not_start_it() {
    let setting = Setting::with_connections(4).await;
    let (campaign, _) = due(&setting).await;
    let editor = connect(&setting.database.url).await;
    let put_off = "begin; update campaigns set version = 2, scheduled_at = scheduled_at + interval '1 day'";
    editor.batch_execute(put_off).await.unwrap();
    let later = setting.now().await + TimeDelta::seconds(10);
    let commit = async {
        somebody_waits(&setting).await;
        editor.batch_execute("commit").await.unwrap();
    };
    let (started, ()) = tokio::join!(setting.store.expansions_due(later, 10), commit);
    assert!(started.unwrap().is_empty());
    assert_eq!(setting.campaign_state(campaign).await, i64::from(CampaignState::Scheduled.number()));
}

#[tokio::test]
async fn an_edit_that_waits_for_the_start_changes_nothing() {
    let setting = Setting::with_connections(4).await;
    let (campaign, new) = due(&setting).await;
    let starter = connect(&setting.database.url).await;
    starter.batch_execute("begin; update campaigns set state = 2").await.unwrap();
    let commit = async {
        somebody_waits(&setting).await;
        starter.batch_execute("commit").await.unwrap();
    };
    let (edited, ()) = tokio::join!(edit(&setting, campaign, &new, 1), commit);
    assert_eq!(edited, Edited::NotScheduled(CampaignState::Processing));
    let contents = setting.tenant().contents(campaign).await.unwrap();
    assert_eq!(contents.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["School closes at noon."]);
}

#[tokio::test]
async fn of_two_edits_of_one_version_the_first_stands() {
    let setting = Setting::new().await;
    let (campaign, new) = due(&setting).await;
    assert_eq!(edit(&setting, campaign, &new, 1).await, Edited::Made(2));
    let moved = Edited::Moved { version: 2, by: Some("bob".to_owned()) };
    assert_eq!(edit(&setting, campaign, &new_campaign(setting.now().await), 1).await, moved);
    let contents = setting.tenant().contents(campaign).await.unwrap();
    assert_eq!(contents.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["Uno.", "Dos."]);
    assert_eq!(edit(&setting, campaign, &new_campaign(setting.now().await), 2).await, Edited::Made(3));
    assert_eq!(setting.tenant().contents(campaign).await.unwrap().len(), 1, "a text of before is left");
    assert_eq!(edit(&setting, CampaignId(uuid::Uuid::now_v7()), &new, 1).await, Edited::Unknown);
}
