//! What a forecast reads: the audience is counted as it would be expanded, history is the district's own, and of
//! others' work nothing but numbers is seen.

use std::collections::BTreeMap;

use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::window::day_in;
use tocsin_domain::{CampaignId, CampaignState, Channel, DistrictId, Lane, Outcome};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::tenant::forecast::{AudienceQuery, Fate};
use tocsin_testkit::fixture::Fixture;

use crate::corrections::{families, of_receipt, tried_and_canceled};
use crate::expand::crowded_district;
use crate::fixture::{Setting, attempts, new_campaign};
use crate::scene::delivered;

/// How many devices of each channel, language and zone have each fate; and people, those without a device beside.
pub type Counts = BTreeMap<String, i64>;

pub async fn counted(setting: &Setting, campaign: &NewCampaign) -> Counts {
    let zone = setting.tenant().time_zone().await.unwrap();
    let query = AudienceQuery {
        audience: &campaign.audience,
        channels: &campaign.channels,
        mode: campaign.mode,
        consent_class: campaign.consent_class,
        message_type: &campaign.message_type,
        attendance_day: (campaign.message_type == "attendance").then(|| day_in(zone, campaign.scheduled_at)),
        now: campaign.created_at,
    };
    let counted = setting.tenant().count_audience(&query).await.unwrap();
    let mut counts: Counts = [
        ("people".to_owned(), counted.recipients as i64),
        ("without a device".to_owned(), counted.no_device as i64),
    ]
    .into();
    for devices in counted.devices {
        let outcome = match devices.fate {
            Fate::ToBeTried => None,
            Fate::Duplicate => Some(Outcome::Duplicate.number()),
            Fate::Barred(outcome) => Some(outcome.number()),
        };
        let zone = devices.zone.map(|zone| zone.name().to_owned());
        let group = group(devices.channel.number(), devices.language, zone, outcome);
        *counts.entry(group).or_default() += devices.count as i64;
    }
    counts
}

fn group(channel: i16, language: Option<String>, zone: Option<String>, outcome: Option<i16>) -> String {
    format!("channel {channel}, {language:?}, {zone:?}, {outcome:?}")
}

/// The same of a campaign that is expanded in small chunks.
pub async fn made(setting: &Setting, campaign: &NewCampaign) -> Counts {
    setting.tenant().create_campaign(campaign).await.unwrap();
    setting.expand(campaign.id, 7).await;
    let devices = "select j.channel, r.language, r.time_zone, j.outcome, count(*) from jobs j
        join recipients r on r.campaign_id = j.campaign_id and r.id = j.recipient_id
        where j.campaign_id = $1 group by 1, 2, 3, 4";
    let people = "select sum(recipients)::bigint, sum(no_device)::bigint from tallies where campaign_id = $1";
    let row = setting.owner.query_one(people, &[&campaign.id.0]).await.unwrap();
    let number = |at| row.get::<_, Option<i64>>(at).unwrap_or_default();
    let mut counts: Counts =
        [("people".to_owned(), number(0)), ("without a device".to_owned(), number(1))].into();
    for row in setting.owner.query(devices, &[&campaign.id.0]).await.unwrap() {
        counts.insert(group(row.get(0), row.get(1), row.get(2), row.get(3)), row.get(4));
    }
    counts
}

/// Of every third address something is known; people speak and live here and there.
async fn colour(setting: &Setting) {
    setting
        .run(&format!(
            "insert into consents (district_id, phone, state, changed_at, source)
               select '{0}', 'address-' || n, 1 + n % 3, tocsin_now(), 'test' from generate_series(0, 26, 2) n;
             insert into suppressions (district_id, channel, address, outcome, reason, created_at)
               select '{0}', channel, 'address-' || n, case n % 2 when 0 then 32 else 34 end, 'asked', tocsin_now()
               from generate_series(0, 26, 3) n cross join generate_series(1, 4) channel;
             insert into unsubscribes (district_id, address, message_type, created_at)
               select '{0}', 'address-' || n, case n % 8 when 1 then 'general' else 'attendance' end, tocsin_now()
               from generate_series(1, 26, 4) n;
             update people set language = case id % 3 when 0 then 'es' when 1 then 'en' end,
               time_zone = case id % 4 when 0 then 'America/Denver' when 1 then 'America/New_York' end,
               active = id % 11 <> 0;
             update students set grade = case person_id % 2 when 0 then '03' else '04' end,
               active = person_id % 5 <> 0",
            setting.district
        ))
        .await;
}

#[tokio::test]
async fn an_audience_is_counted_as_it_would_be_expanded() {
    let setting = crowded_district(11).await;
    for number in 0..3 {
        let address = format!("address-{number}");
        setting.person(Role::Staff, &[(Channel::Sms, &address), (Channel::Email, &address)]).await;
    }
    setting.person(Role::Staff, &[]).await;
    setting.person(Role::Guardian, &[(Channel::Sms, "address-1")]).await;
    colour(&setting).await;
    let known = setting.owner.query("select source_id from people order by id limit 5", &[]).await.unwrap();
    let people: Vec<String> = known.iter().map(|row| row.get(0)).collect();
    let roles = |roles: &[Role]| Audience { all: true, roles: roles.to_vec(), ..Audience::default() };
    let audiences = [
        roles(&[Role::Guardian]),
        roles(&[Role::Guardian, Role::Staff, Role::Student]),
        Audience { include_inactive: true, ..roles(&[Role::Guardian]) },
        Audience { language: Some("es".to_owned()), ..roles(&[Role::Guardian, Role::Staff]) },
        Audience { grades: vec!["03".to_owned()], ..Audience::default() },
        Audience {
            schools: vec!["school-1".to_owned()],
            roles: vec![Role::Guardian, Role::Student],
            ..Audience::default()
        },
        Audience { schools: vec!["elsewhere".to_owned()], ..Audience::default() },
        Audience { people, ..Audience::default() },
    ];
    let rows = "select (select count(*) from recipients) + (select count(*) from jobs) + (select count(*) from audit)
        + (select count(*) from campaigns)";
    for audience in &audiences {
        for mode in DedupeMode::ALL {
            for consent_class in 1..=3 {
                let mut campaign = new_campaign(setting.now().await);
                (campaign.audience, campaign.mode) = (audience.clone(), mode);
                (campaign.consent_class, campaign.channels) = (consent_class, Channel::ALL.to_vec());
                let before = setting.number(rows).await;
                let counted = counted(&setting, &campaign).await;
                assert_eq!(setting.number(rows).await, before, "nothing is written");
                let made = made(&setting, &campaign).await;
                assert_eq!(counted, made, "{audience:?} {mode:?}, class {consent_class}");
            }
        }
    }
    // The cases meant something.
    let unsubscribed =
        "select count(*) from jobs j join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
        where j.channel = 3 and j.outcome = 32
          and not exists (select from suppressions s where (s.channel, s.address) = (3, d.address))";
    assert!(setting.number(unsubscribed).await > 0);
    let of_all = "select count(distinct outcome) from jobs where outcome is not null";
    assert_eq!(
        setting.number(of_all).await,
        5,
        "duplicate, opted out, ineligible, and two kinds of suppressed"
    );
}

#[tokio::test]
async fn an_emergency_that_overrides_stops_is_counted_so() {
    let setting = Setting::new().await;
    setting.person(Role::Staff, &[(Channel::Sms, "address-2")]).await;
    colour(&setting).await;
    setting.run("update districts set emergency_overrides_stop = true").await;
    for consent_class in [1, 2] {
        let mut campaign = new_campaign(setting.now().await);
        campaign.consent_class = consent_class;
        let counted = counted(&setting, &campaign).await;
        assert_eq!(counted, made(&setting, &campaign).await, "class {consent_class}");
    }
}

#[tokio::test]
async fn a_correction_is_counted_as_it_would_be_expanded() {
    let setting = Setting::new().await;
    families(&setting).await;
    let channels = vec![Channel::Sms, Channel::Email];
    for mode in DedupeMode::ALL {
        let canceled = setting
            .campaign(|new| {
                new.audience = Audience { all: true, ..Audience::default() };
                (new.mode, new.channels) = (mode, channels.clone());
            })
            .await;
        setting.expand(canceled, 100).await;
        tried_and_canceled(&setting, canceled, &channels).await;
        for over in [&channels[..], &channels[..1]] {
            let mut correction = new_campaign(setting.now().await);
            (correction.audience, correction.mode) = (of_receipt(canceled), mode);
            correction.channels = over.to_vec();
            let counted = counted(&setting, &correction).await;
            assert_eq!(counted, made(&setting, &correction).await, "{mode:?} {over:?}");
            assert!(counted["people"] > 0);
        }
    }
}

/// Releases, claims and reports every text of the campaign, and closes it.
async fn delivered_whole(setting: &Setting, campaign: CampaignId) {
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    let (first, rest) = tried.split_at(1);
    setting.report(first, ReportKind::NotAsked).await;
    setting.report(rest, delivered()).await;
    let again = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    setting.report(&again, delivered()).await;
    let closed = setting.store.close_campaigns(setting.now().await).await.unwrap();
    assert!(closed.iter().any(|end| end.campaign == campaign && end.state == CampaignState::Sent));
}

#[tokio::test]
async fn history_is_the_districts_own_campaigns_that_have_closed_newest_first() {
    let setting = Setting::new().await;
    let tenant = setting.tenant();
    assert_eq!(tenant.earlier_campaigns(Channel::Sms).await.unwrap(), []);
    let first = setting.expanded(20).await;
    delivered_whole(&setting, first).await;
    let limits = r#"{"sms":{"rate_per_second":5.0}}"#;
    let second = setting.campaign(|new| new.limits = serde_json::from_str(limits).unwrap()).await;
    setting.expand(second, 100).await;
    delivered_whole(&setting, second).await;
    let canceled = setting.campaign(|_| ()).await;
    setting.expand(canceled, 100).await;
    setting.claim(&setting.release(canceled, Channel::Sms).await).await;
    setting.cancel(canceled).await;

    let earlier = tenant.earlier_campaigns(Channel::Sms).await.unwrap();
    assert_eq!(earlier.iter().map(|one| one.limited).collect::<Vec<_>>(), [true, false]);
    for campaign in &earlier {
        // The attempt that no provider took is none.
        assert_eq!((campaign.tried.len(), campaign.scale), (20, 1.0));
        assert!(campaign.tried.is_sorted_by_key(|tried| tried.job));
        assert!(campaign.tried.iter().all(|tried| tried.outcome == Outcome::Delivered));
        assert!(campaign.tried.iter().all(|tried| tried.claimed_at < tried.settled_at));
    }
    assert_eq!(tenant.earlier_campaigns(Channel::Voice).await.unwrap(), []);
    let starts = tenant.campaign_starts().await.unwrap();
    assert_eq!(starts.iter().map(|start| start.jobs).collect::<Vec<_>>(), [20, 20, 20]);
    assert!(starts.iter().all(|start| start.expansion_seconds < 60.0 && start.release_seconds < 60.0));

    let other = Fixture::new(&setting.database).await.unwrap();
    let others = setting.store.tenant(other.district());
    assert_eq!(others.earlier_campaigns(Channel::Sms).await.unwrap(), []);
    assert_eq!(others.campaign_starts().await.unwrap(), []);
}

#[tokio::test]
async fn a_large_campaign_is_sampled_from_everywhere() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(5_000).await;
    setting
        .run(&format!(
            "insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, settled_at, job_id,
                 account_id, generation, version, number, state, outcome)
               select campaign_id, district_id, gen_random_uuid(), now(), now(), now(), id, 1, 1, 1, 1, 3, 108
               from jobs where campaign_id = '{campaign}';
             update campaigns set closed_at = now(), started_at = now()"
        ))
        .await;
    let earlier = setting.tenant().earlier_campaigns(Channel::Sms).await.unwrap();
    let jobs: Vec<i32> = earlier[0].tried.iter().map(|tried| tried.job).collect();
    assert_eq!((earlier.len(), earlier[0].scale), (1, 2.5));
    assert!((1_500..=2_000).contains(&jobs.len()), "{}", jobs.len());
    assert!(jobs.is_sorted() && jobs[0] < 20 && jobs[jobs.len() - 1] > 4_980);
    for part in 0..10 {
        let within = jobs.iter().filter(|job| **job / 500 == part).count();
        assert!((120..=230).contains(&within), "{within} of part {part}");
    }
}

async fn ahead(setting: &Setting, district: DistrictId) -> Vec<(Channel, Lane, bool, u32, u32, u64)> {
    let work = setting.store.tenant(district).work_ahead().await.unwrap();
    let mut rows: Vec<_> = work
        .iter()
        .map(|work| {
            let rival = work.rival;
            (work.channel, rival.lane, rival.own, rival.weight, rival.campaigns, rival.jobs)
        })
        .collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn of_other_districts_work_numbers_are_seen_where_it_is_in_the_way() {
    let setting = Setting::new().await;
    let other = Fixture::new(&setting.database).await.unwrap();
    other.guardians(4, Channel::Sms).await.unwrap();
    other.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    other.expand_all().await.unwrap();
    setting.expanded(3).await;
    let second = setting.campaign(|_| ()).await;
    setting.expand(second, 100).await;
    let texts = |lane, own, campaigns, jobs| (Channel::Sms, lane, own, 1, campaigns, jobs);
    let all = [texts(Lane::Emergency, false, 1, 4), texts(Lane::General, true, 2, 6)];
    assert_eq!(ahead(&setting, setting.district).await, all);
    setting.claim(&setting.release(second, Channel::Sms).await).await;
    let less = [texts(Lane::Emergency, true, 1, 4), texts(Lane::General, false, 1, 3)];
    assert_eq!(ahead(&setting, other.district()).await, less, "what was tried is not in the way");

    // The other brings an account of its own: neither is in the other's way any more.
    let own = AccountLimits {
        name: "own".to_owned(),
        district: Some(other.district()),
        channel: Channel::Sms,
        rate_per_second: None,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    };
    setting.store.configure_accounts(&[own], setting.now().await).await.unwrap();
    assert_eq!(ahead(&setting, setting.district).await, [texts(Lane::General, true, 1, 3)]);
    assert_eq!(ahead(&setting, other.district()).await, [texts(Lane::Emergency, true, 1, 4)]);
    let names = |accounts: Vec<tocsin_store::tenant::forecast::ServingAccount>| -> Vec<(String, bool)> {
        let texts = accounts.into_iter().filter(|account| account.channel == Channel::Sms);
        texts.map(|account| (account.state.name, account.state.own)).collect()
    };
    let shared = ("sms-1".to_owned(), false);
    let of = async |district| setting.store.tenant(district).serving_accounts().await.unwrap();
    assert_eq!(names(of(setting.district).await), std::slice::from_ref(&shared));
    assert_eq!(names(of(other.district()).await), [shared, ("own".to_owned(), true)]);
}
