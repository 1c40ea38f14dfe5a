//! Occurrences of series: each once, late ones within their limit, and none after an edit or a cancel.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::content::Content;
use tocsin_domain::recurrence::{Occurrence, Recurrence, WrittenRecurrence};
use tocsin_domain::{Channel, Lane, SeriesId};
use tocsin_planner::Planner;
use tocsin_queue::MemoryBroker;
use tocsin_runtime::Progress;
use tocsin_store::tenant::series::{NewSeries, SeriesContent, SeriesEdit, SeriesEdited, SeriesState};
use tocsin_testkit::ManualClock;
use uuid::Uuid;

use crate::stage::Stage;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Every day at 08:00 in Chicago, over the night of March 8, 2026, when the clocks change there.
fn daily(starts_on: &str, count: Option<u32>) -> Recurrence {
    Recurrence::read(&WrittenRecurrence {
        frequency: "daily".to_owned(),
        interval: 1,
        starts_on: starts_on.to_owned(),
        at: "08:00".to_owned(),
        count,
        ..WrittenRecurrence::default()
    })
    .unwrap()
}

fn content(recurrence: Recurrence) -> SeriesContent {
    SeriesContent {
        recurrence,
        zone: tocsin_domain::window::zone_named("America/Chicago").unwrap(),
        late_max: Duration::from_secs(3600),
        lane: Lane::General,
        mode: Default::default(),
        message_type: "general".to_owned(),
        subject: "Lunch".to_owned(),
        channels: vec![Channel::Sms],
        audience: Audience { all: true, roles: vec![Role::Staff], ..Audience::default() },
        contents: vec![Content {
            channel: None,
            language: None,
            subject: None,
            audio_url: None,
            attachments: Vec::new(),
            body: "Pizza today.".to_owned(),
        }],
        redial: None,
        calling_window: None,
        limits: Default::default(),
        expires_in: Duration::from_secs(24 * 3600),
    }
}

struct Scene {
    stage: Stage,
    clock: ManualClock,
    series: SeriesId,
}

impl Scene {
    async fn new(now: &str, recurrence: Recurrence) -> Self {
        let stage = Stage::new().await;
        let clock = ManualClock::at(at(now));
        let series = SeriesId(Uuid::now_v7());
        let content = content(recurrence);
        let next = content.recurrence.next(content.zone, at(now), content.recurrence.starts_on()).unwrap();
        let new = NewSeries {
            id: series,
            client_key: series.to_string(),
            request_hash: vec![],
            content,
            next,
            created_by: "ana".to_owned(),
            created_at: at(now),
        };
        let scene = Self { stage, clock, series };
        assert!(scene.tenant().create_series(&new).await.unwrap().made);
        scene
    }

    fn tenant(&self) -> tocsin_store::Tenant {
        self.stage.fixture.store().tenant(self.stage.fixture.district())
    }

    /// As a process that has just begun.
    fn planner(&self) -> Planner {
        let broker = std::sync::Arc::new(MemoryBroker::new());
        Planner::new(self.stage.fixture.store().clone(), broker, self.clock.shared(), Uuid::now_v7())
    }

    /// Sets the clock and ticks until there is nothing to do.
    async fn at(&self, now: &str) {
        self.clock.set(at(now));
        while tocsin_planner::recur(&self.planner()).await.unwrap() == Progress::More {}
    }

    /// Days and instants of all that was made, from the campaigns themselves.
    async fn made(&self) -> Vec<String> {
        let sql = "select to_char(scheduled_at at time zone 'UTC', 'MM-DD HH24:MI') from campaigns
                   where series_id is not null order by scheduled_at";
        self.stage.texts(sql).await
    }

    async fn skipped(&self) -> Vec<String> {
        let sql = "select on_day::text from occurrences where campaign_id is null order by on_day";
        self.stage.texts(sql).await
    }

    async fn next(&self) -> Option<Occurrence> {
        self.tenant().series(self.series).await.unwrap().unwrap().next
    }

    async fn edit(&self, recurrence: Recurrence, version: i32) -> SeriesEdited {
        let content = content(recurrence);
        let tenant = self.tenant();
        let made = tenant.last_made(self.series).await.unwrap();
        let from = made.and_then(|made| made.succ_opt()).unwrap_or(content.recurrence.starts_on());
        let edit = SeriesEdit {
            series: self.series,
            version,
            seen_next: self.next().await.map(|next| next.on),
            next: content.recurrence.next(content.zone, tocsin_runtime::Clock::now(&self.clock), from),
            by: "bob",
            at: tocsin_runtime::Clock::now(&self.clock),
        };
        tenant.edit_series(edit, &content).await.unwrap()
    }
}

#[tokio::test]
async fn each_occurrence_becomes_one_campaign_at_its_time_by_the_clocks() {
    let scene = Scene::new("2026-03-06T00:00:00Z", daily("2026-03-06", Some(4))).await;
    scene.at("2026-03-06T13:59:59Z").await;
    assert_eq!(scene.made().await, Vec::<String>::new());
    for now in
        ["2026-03-06T14:00:00Z", "2026-03-06T14:00:01Z", "2026-03-07T14:00:10Z", "2026-03-08T12:59:59Z"]
    {
        scene.at(now).await;
    }
    assert_eq!(scene.made().await, ["03-06 14:00", "03-07 14:00"]);
    // An hour earlier in UTC from here on: 08:00 stays 08:00.
    scene.at("2026-03-08T13:00:00Z").await;
    scene.at("2026-03-09T13:00:00Z").await;
    assert_eq!(scene.made().await, ["03-06 14:00", "03-07 14:00", "03-08 13:00", "03-09 13:00"]);
    let series = scene.tenant().series(scene.series).await.unwrap().unwrap();
    assert_eq!((series.state, series.next), (SeriesState::Ended, None));
    scene.at("2026-04-01T00:00:00Z").await;
    assert_eq!(scene.made().await.len(), 4);
}

#[tokio::test]
async fn many_planners_at_once_make_an_occurrence_once() {
    let scene = Scene::new("2026-03-06T00:00:00Z", daily("2026-03-06", None)).await;
    scene.clock.set(at("2026-03-06T14:00:00Z"));
    let [one, two, three, four] = [(); 4].map(|()| scene.planner());
    let ticks = tokio::join!(
        tocsin_planner::recur(&one),
        tocsin_planner::recur(&two),
        tocsin_planner::recur(&three),
        tocsin_planner::recur(&four),
    );
    for tick in [ticks.0, ticks.1, ticks.2, ticks.3] {
        tick.unwrap();
    }
    assert_eq!(scene.made().await, ["03-06 14:00"]);
}

#[tokio::test]
async fn a_planner_that_dies_in_the_midst_leaves_nothing_and_the_next_makes_it_once() {
    for dies_at in ["campaigns", "contents", "occurrences", "audit"] {
        let scene = Scene::new("2026-03-06T00:00:00Z", daily("2026-03-06", None)).await;
        scene
            .stage
            .run(&format!(
                "create function dies() returns trigger language plpgsql as $$ begin raise exception 'dies'; end $$;
                 create trigger dies before insert on {dies_at} for each row execute function dies()"
            ))
            .await;
        scene.clock.set(at("2026-03-06T14:00:00Z"));
        tocsin_planner::recur(&scene.planner()).await.unwrap_err();
        assert_eq!(scene.made().await, Vec::<String>::new(), "{dies_at}");
        assert_eq!(scene.next().await.unwrap().on, day("2026-03-06"), "{dies_at}");
        scene.stage.run(&format!("drop trigger dies on {dies_at}")).await;
        scene.at("2026-03-06T14:00:05Z").await;
        scene.at("2026-03-06T14:00:06Z").await;
        assert_eq!(scene.made().await, ["03-06 14:00"], "{dies_at}");
    }
}

#[tokio::test]
async fn what_was_missed_runs_within_its_limit_or_is_skipped_and_kept_as_such() {
    let scene = Scene::new("2026-03-06T00:00:00Z", daily("2026-03-06", None)).await;
    // Nothing ran for three days; the last of them is half an hour old.
    scene.at("2026-03-08T13:30:00Z").await;
    assert_eq!(scene.made().await, ["03-08 13:00"]);
    assert_eq!(scene.skipped().await, ["2026-03-06", "2026-03-07"]);
    // Here it is an hour and a second.
    scene.at("2026-03-09T14:00:01Z").await;
    assert_eq!(scene.made().await.len(), 1);
    assert_eq!(scene.skipped().await, ["2026-03-06", "2026-03-07", "2026-03-09"]);
    assert_eq!(scene.next().await.unwrap().on, day("2026-03-10"));
}

#[tokio::test]
async fn a_later_start_removes_what_would_come_before_it() {
    let scene = Scene::new("2026-03-02T00:00:00Z", daily("2026-03-02", None)).await;
    scene.at("2026-03-02T14:00:00Z").await;
    let SeriesEdited::Made(2) = scene.edit(daily("2026-03-10", None), 1).await else { panic!("not edited") };
    for now in ["2026-03-03T14:00:00Z", "2026-03-06T14:00:00Z", "2026-03-09T13:30:00Z"] {
        scene.at(now).await;
    }
    assert_eq!((scene.made().await, scene.skipped().await), (vec!["03-02 14:00".to_owned()], vec![]));
    scene.at("2026-03-10T13:00:00Z").await;
    assert_eq!(scene.made().await, ["03-02 14:00", "03-10 13:00"]);
}

#[tokio::test]
async fn a_day_that_was_sent_is_not_sent_again_when_the_time_is_put_later() {
    let scene = Scene::new("2026-03-02T00:00:00Z", daily("2026-03-02", None)).await;
    scene.at("2026-03-02T14:00:00Z").await;
    let later = Recurrence::read(&WrittenRecurrence {
        at: "15:00".to_owned(),
        ..daily("2026-03-02", None).written()
    });
    assert!(matches!(scene.edit(later.unwrap(), 1).await, SeriesEdited::Made(2)));
    scene.at("2026-03-02T21:00:00Z").await;
    assert_eq!(scene.made().await, ["03-02 14:00"]);
    scene.at("2026-03-03T21:00:00Z").await;
    assert_eq!(scene.made().await, ["03-02 14:00", "03-03 21:00"]);
}

#[tokio::test]
async fn an_edit_is_of_the_version_that_was_seen_and_a_tick_of_the_one_it_read() {
    let scene = Scene::new("2026-03-02T00:00:00Z", daily("2026-03-02", None)).await;
    let now = at("2026-03-02T14:00:00Z");
    scene.clock.set(now);
    let due = scene.stage.fixture.store().series_due(now, 10).await.unwrap().remove(0);
    assert!(matches!(scene.edit(daily("2026-03-05", None), 1).await, SeriesEdited::Made(2)));
    // The tick read it before the edit: it makes nothing of what it read.
    let occurrence = due.series.next.unwrap();
    let decided = tocsin_domain::recurrence::Decided { run: Some(occurrence), skip: vec![], next: None };
    let recurred = scene.stage.fixture.store().recur(&due, &decided, now).await.unwrap();
    assert_eq!(recurred, tocsin_store::series::Recurred::Moved);
    assert_eq!(scene.made().await, Vec::<String>::new());
    // And who edits by an old version is told.
    assert!(
        matches!(scene.edit(daily("2026-03-06", None), 1).await, SeriesEdited::Not(now) if now.version == 2)
    );
}

#[tokio::test]
async fn nothing_comes_of_a_canceled_series_and_pressing_again_changes_nothing() {
    let scene = Scene::new("2026-03-02T00:00:00Z", daily("2026-03-02", None)).await;
    let (tenant, now) = (scene.tenant(), at("2026-03-02T10:00:00Z"));
    let first = tenant.cancel_series(scene.series, "bob", Some("no lunch"), now).await.unwrap().unwrap();
    let again =
        tenant.cancel_series(scene.series, "eve", None, now + TimeDelta::hours(1)).await.unwrap().unwrap();
    assert!(first.fresh && !again.fresh);
    assert_eq!((again.series.canceled_by.as_deref(), again.series.canceled_at), (Some("bob"), Some(now)));
    scene.at("2026-03-02T14:00:00Z").await;
    assert_eq!(scene.made().await, Vec::<String>::new());
    assert!(matches!(scene.edit(daily("2026-03-06", None), 1).await, SeriesEdited::Not(_)));
}

/// It may have been made and sent between the backup and the restore.
#[tokio::test]
async fn an_occurrence_from_before_a_restore_waits_for_a_decision_and_later_ones_do_not() {
    let scene = Scene::new("2026-03-06T12:00:00Z", daily("2026-03-06", None)).await;
    scene.stage.run("update installation set recovered_at = '2026-03-06 14:30:00Z'").await;
    scene.at("2026-03-06T14:40:00Z").await;
    scene.at("2026-03-07T14:00:00Z").await;
    let undecided = "select (undecided_since is not null)::int::bigint from campaigns order by scheduled_at";
    assert_eq!(scene.stage.numbers(undecided).await, [1, 0]);
}
