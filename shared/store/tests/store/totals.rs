//! People contacted by phone, each once, whatever comes at the same moment (docs/adr/0019-totals.md).

use futures::future::join_all;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tocsin_domain::audience::Role;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptKey, CampaignId, Channel, Lane, Outcome};
use tocsin_store::expand::{Chunk, Expansion};

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts, reports};
use crate::held::{FIRST, Point, SECOND, Waited, install_gate, side_by_side};
use crate::scene::delivered;

async fn to_phones(setting: &Setting, lane: Lane) -> CampaignId {
    setting.campaign(|new| (new.channels, new.lane) = (vec![Channel::Voice, Channel::Sms], lane)).await
}

async fn contacted(setting: &Setting, campaign: CampaignId) -> u64 {
    setting.tenant().counts(campaign).await.unwrap().totals().contacted_by_phone
}

fn status(outcome: Outcome) -> ReportKind {
    ReportKind::Status { outcome, provider_code: None, provider_id: None }
}

/// So many people with a phone for calls and texts, every third of whom shares it with the one before.
async fn couples(setting: &Setting, people: usize) {
    for person in 0..people {
        let number = if person % 3 == 2 { person - 1 } else { person };
        let phone = format!("+15551{number:06}");
        setting.person(Role::Staff, &[(Channel::Voice, &phone), (Channel::Sms, &phone)]).await;
    }
}

/// Each of whose phones was tried, calls and texts.
async fn tried(setting: &Setting, campaign: CampaignId) -> Vec<AttemptKey> {
    let mut tried = Vec::new();
    for channel in [Channel::Voice, Channel::Sms] {
        tried.extend(attempts(&setting.claim(&setting.release(campaign, channel).await).await));
    }
    tried
}

/// Calls and texts of the same people are told in batches that meet each other, in every order, and then taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_reached_twice_at_the_same_moment_counts_once() {
    let setting = Setting::with_connections(8).await;
    let people = 60;
    couples(&setting, people).await;
    let campaign = to_phones(&setting, Lane::General).await;
    setting.expand(campaign, 1000).await;
    let mut tried = tried(&setting, campaign).await;
    let mut random = StdRng::seed_from_u64(19);
    // Sent, then delivered or not, then delivered after all: the person may count, cease to and count again.
    for round in [Outcome::Sent, Outcome::Undelivered, Outcome::LivePerson] {
        tried.shuffle(&mut random);
        let batches: Vec<&[AttemptKey]> = tried.chunks(10).collect();
        for meeting in batches.chunks(4) {
            let told = meeting.iter().map(|batch| setting.report(batch, status(round)));
            join_all(told).await;
        }
        assert_counters(&setting, campaign, &format!("{round}")).await;
    }
    assert_eq!(contacted(&setting, campaign).await, people as u64);
}

#[tokio::test]
async fn a_text_that_is_returned_takes_its_person_back() {
    let setting = Setting::new().await;
    couples(&setting, 3).await;
    let campaign = to_phones(&setting, Lane::General).await;
    setting.expand(campaign, 1000).await;
    let tried = tried(&setting, campaign).await;
    assert_eq!(contacted(&setting, campaign).await, 0);
    setting.report(&tried[..1], status(Outcome::LivePerson)).await;
    assert_eq!(contacted(&setting, campaign).await, 1);
    setting.report(&tried[2..3], delivered()).await;
    assert_eq!(contacted(&setting, campaign).await, 1, "by a call and by a text: one person");
    setting.report(&tried[3..4], delivered()).await;
    assert_eq!(contacted(&setting, campaign).await, 3, "two share that phone");
    setting.report(&tried[3..4], status(Outcome::HardBounce)).await;
    assert_eq!(contacted(&setting, campaign).await, 1);
    assert_counters(&setting, campaign, "returned").await;
}

/// An emergency, which is sent while it is being expanded: one of the three is left, who shares the phone of another.
async fn one_chunk_made(setting: &Setting) -> (CampaignId, Expansion) {
    couples(setting, 3).await;
    let campaign = to_phones(setting, Lane::Emergency).await;
    let expansion = setting.expansion(campaign).await;
    let made = setting.store.expand(&expansion, 2, setting.now().await).await.unwrap();
    let Chunk::Made { cursor, .. } = made else { panic!("one person is left: {made:?}") };
    (campaign, Expansion { cursor, ..expansion })
}

#[tokio::test]
async fn who_shares_a_phone_that_was_reached_already_counts_when_the_row_is_made() {
    let setting = Setting::new().await;
    let (campaign, expansion) = one_chunk_made(&setting).await;
    let tried = tried(&setting, campaign).await;
    setting.report(&tried[..2], status(Outcome::LivePerson)).await;
    assert_eq!(contacted(&setting, campaign).await, 2);
    setting.store.expand(&expansion, 2, setting.now().await).await.unwrap();
    assert_eq!(contacted(&setting, campaign).await, 3);
    assert_counters(&setting, campaign, "expanded").await;
    setting.report(&tried, delivered()).await;
    assert_counters(&setting, campaign, "told").await;
}

/// The report's statement waits for the job, and began before the row of whoever shares the phone was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_meets_a_new_sharer_counts_both() {
    let setting = Setting::with_connections(8).await;
    install_gate(&setting).await;
    let (campaign, expansion) = one_chunk_made(&setting).await;
    let tried = tried(&setting, campaign).await;
    let (one, other) = (setting.actor(FIRST), setting.actor(SECOND));
    let now = setting.now().await;
    let (chunk, settled, waited) = side_by_side(
        &setting,
        Point::BeforeItsCommit,
        Box::pin(one.expand(&expansion, 2, now)),
        Box::pin(other.settle(reports(&tried, &delivered(), now), vec![], now)),
        async |_| (),
    )
    .await;
    assert_eq!(waited, Waited { first: true, second: true }, "they meet at the job");
    assert_eq!(chunk.unwrap(), Chunk::Complete { people: 1, jobs: 2, barred: vec![] });
    assert_eq!(settled.unwrap().changed, tried.len());
    assert_eq!(contacted(&setting, campaign).await, 3);
    assert_counters(&setting, campaign, "met").await;
}

#[tokio::test]
async fn a_chunk_waits_for_no_job_that_is_on_its_way() {
    let setting = Setting::new().await;
    let (campaign, expansion) = one_chunk_made(&setting).await;
    setting.run("begin; select from jobs for update").await;
    let chunk = setting.store.expand(&expansion, 2, setting.now().await).await.unwrap();
    assert_eq!(chunk, Chunk::Moved);
    setting.run("commit").await;
    let chunk = setting.store.expand(&expansion, 2, setting.now().await).await.unwrap();
    assert_eq!(chunk, Chunk::Complete { people: 1, jobs: 2, barred: vec![] });
    assert_counters(&setting, campaign, "expanded").await;
}
