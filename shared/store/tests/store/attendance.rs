//! Of one student's absence a guardian hears once a day (requirement 179).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_store::expand::Chunk;
use tocsin_store::tenant::campaigns::NewCampaign;
use tocsin_store::tenant::why::Meant;

use crate::corrections::of_receipt;
use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts};
use crate::forecast::{counted, made};
use crate::held::{FIRST, Point, SECOND, Waited, install_gate, side_by_side};
use crate::scene::delivered;

const TOLD: Option<Outcome> = Some(Outcome::AlreadyTold);

fn of_attendance(new: &mut NewCampaign) {
    new.message_type = "attendance".to_owned();
    new.audience = Audience { all: true, ..Audience::default() };
}

async fn campaign(setting: &Setting, change: impl FnOnce(&mut NewCampaign)) -> CampaignId {
    setting
        .campaign(|new| {
            of_attendance(new);
            change(new);
        })
        .await
}

async fn expanded(setting: &Setting, mode: DedupeMode) -> CampaignId {
    let made = campaign(setting, |new| new.mode = mode).await;
    setting.expand(made, 100).await;
    assert_counters(setting, made, "attendance").await;
    made
}

/// Delivers all that is to be sent; returns how much that was.
async fn deliver(setting: &Setting, campaign: CampaignId) -> usize {
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    setting.report(&tried, delivered()).await;
    assert_counters(setting, campaign, "delivered").await;
    tried.len()
}

/// What became of each device: by whose it is, its address and, where there is a message for each, the student.
type Fates = BTreeMap<(i64, String, Option<i64>), Option<Outcome>>;

async fn fates(setting: &Setting, campaign: CampaignId) -> Fates {
    let rows = setting
        .owner
        .query(
            "select r.person_id, d.address, r.student_id, j.outcome from jobs j
             join recipients r on r.campaign_id = j.campaign_id and r.id = j.recipient_id
             join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
             where j.campaign_id = $1",
            &[&campaign.0],
        )
        .await
        .unwrap();
    let outcome = |number| Outcome::from_number(number).unwrap();
    rows.iter()
        .map(|row| {
            let key = (row.get("person_id"), row.get("address"), row.get("student_id"));
            (key, row.get::<_, Option<i16>>("outcome").map(outcome))
        })
        .collect()
}

async fn outcomes(setting: &Setting, campaign: CampaignId) -> Vec<Option<Outcome>> {
    fates(setting, campaign).await.into_values().collect()
}

fn phone(number: u32) -> String {
    format!("+1555000{number:04}")
}

async fn guardian(setting: &Setting, number: u32) -> i64 {
    setting.person(Role::Guardian, &[(Channel::Sms, &phone(number))]).await
}

async fn forget_the_day(setting: &Setting) {
    setting.run("update campaigns set attendance_day = null").await;
}

/// A list of who is absent: a guardian of two hears of the other one, too.
#[tokio::test]
async fn a_list_of_students_tells_of_each_of_them_once_a_day() {
    for mode in DedupeMode::ALL {
        let setting = Setting::new().await;
        let ana = guardian(&setting, 1).await;
        let (bo, cy) = (setting.student(&[ana]).await, setting.student(&[ana]).await);
        let absent = async |students: &[i64]| {
            let mut listed = Vec::new();
            for student in students {
                let source = format!("select source_id from people where id = {student}");
                listed.push(setting.owner.query_one(&source, &[]).await.unwrap().get(0));
            }
            let made = campaign(&setting, |new| {
                new.mode = mode;
                new.audience = Audience { students: listed, ..Audience::default() };
            })
            .await;
            setting.expand(made, 100).await;
            assert_counters(&setting, made, "attendance").await;
            outcomes(&setting, made).await
        };
        assert_eq!(absent(&[bo]).await, [None], "{mode:?}");
        assert_eq!(absent(&[bo]).await, [TOLD], "{mode:?}");
        // In one message for both the guardian is not told of both yet.
        let both = match mode {
            DedupeMode::PerDevice => vec![None],
            DedupeMode::PerDeviceAndStudent => vec![TOLD, None],
        };
        assert_eq!(absent(&[bo, cy]).await, both, "{mode:?}");
        assert_eq!(absent(&[cy]).await, [TOLD], "{mode:?}");
    }
}

#[tokio::test]
async fn a_guardian_hears_of_a_students_absence_once_a_day() {
    for mode in DedupeMode::ALL {
        let setting = Setting::new().await;
        let ana = guardian(&setting, 1).await;
        setting.student(&[ana]).await;
        let first = expanded(&setting, mode).await;
        assert_eq!(outcomes(&setting, first).await, [None], "{mode:?}");
        // It is on its way, and then it has come.
        let second = expanded(&setting, mode).await;
        assert_eq!(outcomes(&setting, second).await, [TOLD], "{mode:?}");
        assert_eq!(deliver(&setting, first).await, 1);
        let third = expanded(&setting, mode).await;
        assert_eq!(outcomes(&setting, third).await, [TOLD], "{mode:?}");
        assert_eq!(deliver(&setting, third).await, 0);

        let general = campaign(&setting, |new| new.message_type = "general".to_owned()).await;
        setting.expand(general, 100).await;
        assert_eq!(outcomes(&setting, general).await, [None], "another message");
        setting.shift_clock(TimeDelta::days(1)).await;
        let next_day = expanded(&setting, mode).await;
        assert_eq!(outcomes(&setting, next_day).await, [None], "{mode:?}");
    }
}

#[tokio::test]
async fn a_withheld_device_says_by_which_message_its_person_was_told() {
    let setting = Setting::new().await;
    let ana = guardian(&setting, 1).await;
    setting.student(&[ana]).await;
    let first = expanded(&setting, DedupeMode::PerDevice).await;
    let second = expanded(&setting, DedupeMode::PerDevice).await;
    let number = setting.number(&format!("select number from campaigns where id = '{first}'")).await;
    let meant = Meant::Address(phone(1));
    let told = setting.tenant().told_devices(second, &meant).await.unwrap();
    assert_eq!((told[0].facts.outcome, told[0].facts.told_by), (TOLD, Some(number)));
    let told = setting.tenant().told_devices(first, &meant).await.unwrap();
    assert_eq!((told[0].facts.outcome, told[0].facts.told_by), (None, None));
}

#[tokio::test]
async fn the_day_is_that_of_the_districts_time_zone_on_which_the_first_chunk_was_made() {
    let setting = Setting::new().await;
    setting.run("update districts set time_zone = 'America/Chicago'").await;
    let (ana, bo) = (guardian(&setting, 1).await, guardian(&setting, 2).await);
    setting.student(&[ana, bo]).await;
    let go_to = async |instant: &str| {
        let real: DateTime<Utc> =
            setting.owner.query_one("select clock_timestamp()", &[]).await.unwrap().get(0);
        setting.shift_clock(instant.parse::<DateTime<Utc>>().unwrap() - real).await;
    };
    go_to("2027-01-14T23:30:00Z").await;
    let afternoon = expanded(&setting, DedupeMode::PerDevice).await;
    assert_eq!(deliver(&setting, afternoon).await, 2);
    go_to("2027-01-15T05:59:00Z").await;
    let evening = campaign(&setting, |_| ()).await;
    let begun = setting.expansion(evening).await;
    setting.store.expand(&begun, 1, setting.now().await).await.unwrap();
    go_to("2027-01-15T06:01:00Z").await;
    setting.expand(evening, 1).await;
    assert_eq!(outcomes(&setting, evening).await, [TOLD, TOLD], "begun on the same day");
    let next_day = expanded(&setting, DedupeMode::PerDevice).await;
    assert_eq!(outcomes(&setting, next_day).await, [None, None], "the next day, where they live");
}

#[tokio::test]
async fn a_guardian_who_was_not_told_yet_is_told() {
    for mode in DedupeMode::ALL {
        let setting = Setting::new().await;
        let ana = guardian(&setting, 1).await;
        let student = setting.student(&[ana]).await;
        let first = expanded(&setting, mode).await;
        assert_eq!(deliver(&setting, first).await, 1);
        let bo = guardian(&setting, 2).await;
        let contact = "insert into contacts (district_id, person_id, student_id, relationship) values ($1, $2, $3, 'parent')";
        setting.owner.execute(contact, &[&setting.district.0, &bo, &student]).await.unwrap();
        let second = expanded(&setting, mode).await;
        let of: Vec<_> = fates(&setting, second).await.into_iter().map(|(key, fate)| (key.0, fate)).collect();
        assert_eq!(of, [(ana, TOLD), (bo, None)], "{mode:?}");
        assert_eq!(deliver(&setting, second).await, 1);
    }
}

#[tokio::test]
async fn a_guardian_is_told_of_a_second_student() {
    for mode in DedupeMode::ALL {
        let setting = Setting::new().await;
        let ana = guardian(&setting, 1).await;
        let first_student = setting.student(&[ana]).await;
        let first = expanded(&setting, mode).await;
        assert_eq!(deliver(&setting, first).await, 1);
        let second_student = setting.student(&[ana]).await;
        let second = expanded(&setting, mode).await;
        let of: Vec<_> = fates(&setting, second).await.into_iter().map(|(key, fate)| (key.2, fate)).collect();
        match mode {
            DedupeMode::PerDevice => assert_eq!(of, [(None, None)], "of one of them she was not told"),
            DedupeMode::PerDeviceAndStudent => {
                assert_eq!(of, [(Some(first_student), TOLD), (Some(second_student), None)]);
            }
        }
        assert_eq!(deliver(&setting, second).await, 1);
        // Of one by the first message, of the other by the second, in whatever mode this is.
        for other in DedupeMode::ALL {
            let third = expanded(&setting, other).await;
            assert!(outcomes(&setting, third).await.iter().all(|fate| *fate == TOLD), "{mode:?} {other:?}");
        }
    }
}

#[tokio::test]
async fn people_without_a_student_are_told_by_each_message() {
    let setting = Setting::new().await;
    setting.person(Role::Staff, &[(Channel::Sms, "+15550000001")]).await;
    let all = [Role::Guardian, Role::Staff];
    for _ in 0..2 {
        let made = campaign(&setting, |new| new.audience.roles = all.to_vec()).await;
        setting.expand(made, 100).await;
        assert_eq!(outcomes(&setting, made).await, [None]);
    }
}

/// Whatever an earlier message's job came to.
#[tokio::test]
async fn a_message_that_told_nobody_does_not_count() {
    let setting = Setting::new().await;
    let ana = guardian(&setting, 1).await;
    setting.student(&[ana]).await;
    for outcome in Outcome::all().filter(|outcome| *outcome != Outcome::Duplicate) {
        let first = expanded(&setting, DedupeMode::PerDevice).await;
        setting
            .run(&format!(
                "update jobs set state = 4, outcome = {}, due_at = null, wait_reason = null, ended_at = tocsin_now()
                 where campaign_id = '{first}'",
                outcome.number()
            ))
            .await;
        let second = campaign(&setting, |_| ()).await;
        setting.expand(second, 100).await;
        let expected = outcome.may_have_told().then_some(Outcome::AlreadyTold);
        assert_eq!(outcomes(&setting, second).await, [expected], "{outcome}");
        forget_the_day(&setting).await;
    }
}

#[tokio::test]
async fn what_a_canceled_failed_or_expired_message_has_still_waiting_does_not_count() {
    let setting = Setting::new().await;
    let ana = guardian(&setting, 1).await;
    setting.student(&[ana]).await;
    for over in ["cancel_epoch = 1", "state = 9", "expires_at = tocsin_now() - interval '1 second'"] {
        let first = expanded(&setting, DedupeMode::PerDevice).await;
        setting.run(&format!("update campaigns set {over} where id = '{first}'")).await;
        let second = expanded(&setting, DedupeMode::PerDevice).await;
        assert_eq!(outcomes(&setting, second).await, [None], "{over}");
        forget_the_day(&setting).await;
    }
    let first = expanded(&setting, DedupeMode::PerDevice).await;
    setting.claim(&setting.release(first, Channel::Sms).await).await;
    setting.cancel(first).await;
    let second = expanded(&setting, DedupeMode::PerDevice).await;
    assert_eq!(outcomes(&setting, second).await, [TOLD], "it is being sent at this moment");
}

/// In one chunk and in one for each.
#[tokio::test]
async fn a_device_that_two_guardians_share_tells_both_and_is_tried_for_the_one_who_was_not_told() {
    for mode in DedupeMode::ALL {
        for people_max in [1, 100] {
            let setting = Setting::new().await;
            let own = phone(2);
            let shared = phone(1);
            let ana = setting.person(Role::Guardian, &[(Channel::Sms, &shared), (Channel::Sms, &own)]).await;
            let bo = setting.person(Role::Guardian, &[(Channel::Sms, &shared)]).await;
            let student = setting.student(&[ana, bo]).await;
            let context = format!("{mode:?} by {people_max}");
            let of = |person: i64, address: &str| {
                let student = (mode == DedupeMode::PerDeviceAndStudent).then_some(student);
                (person, address.to_owned(), student)
            };
            let first = campaign(&setting, |new| new.mode = mode).await;
            setting.expand(first, people_max).await;
            // Her own phone is reached, the one that they share is not.
            let not_reached = format!(
                "update jobs j set state = 4, due_at = null, wait_reason = null, ended_at = tocsin_now(),
                   outcome = case d.address when '{own}' then 107 else 81 end
                 from destinations d
                 where d.campaign_id = j.campaign_id and d.job_id = j.id and not d.duplicate and j.state = 1"
            );
            setting.run(&not_reached).await;
            let second = campaign(&setting, |new| new.mode = mode).await;
            setting.expand(second, people_max).await;
            assert_counters(&setting, second, &context).await;
            let fates_of_second = fates(&setting, second).await;
            assert_eq!(fates_of_second[&of(ana, &own)], TOLD, "{context}");
            let both = [fates_of_second[&of(ana, &shared)], fates_of_second[&of(bo, &shared)]];
            assert!(both.contains(&None) && both.contains(&Some(Outcome::Duplicate)), "{context}: {both:?}");
            // That reaches both: one has it, and the other's is a duplicate of it.
            assert_eq!(deliver(&setting, second).await, 1, "{context}");
            let third = campaign(&setting, |new| new.mode = mode).await;
            setting.expand(third, people_max).await;
            assert_counters(&setting, third, &context).await;
            let sent = outcomes(&setting, third).await.iter().filter(|fate| fate.is_none()).count();
            assert_eq!(sent, 0, "{context}");
        }
    }
}

#[tokio::test]
async fn a_device_shared_with_somebody_whom_the_message_is_not_for_is_held_back() {
    for people_max in [1, 100] {
        let setting = Setting::new().await;
        let shared = phone(1);
        let [father, neighbour] = [
            setting.person(Role::Guardian, &[(Channel::Sms, &shared)]).await,
            setting.person(Role::Guardian, &[(Channel::Sms, &shared)]).await,
        ];
        assert!(father < neighbour);
        setting.student(&[father]).await;
        setting.student(&[neighbour]).await;
        let named = setting.owner.query_one("select source_id from people where id = $1", &[&father]).await;
        let to_him = Audience { people: vec![named.unwrap().get(0)], ..Audience::default() };
        let first = campaign(&setting, |new| new.audience = to_him.clone()).await;
        setting.expand(first, people_max).await;
        assert_eq!(deliver(&setting, first).await, 1);
        let second = campaign(&setting, |new| new.audience = to_him).await;
        setting.expand(second, people_max).await;
        assert_counters(&setting, second, "the second").await;
        assert_eq!(outcomes(&setting, second).await, [TOLD], "{people_max}");
    }
}

#[tokio::test]
async fn tests_and_corrections_tell_whatever_was_told_and_do_not_count() {
    let setting = Setting::new().await;
    let ana = guardian(&setting, 1).await;
    setting.student(&[ana]).await;
    let named: String =
        setting.owner.query_one("select source_id from people where id = $1", &[&ana]).await.unwrap().get(0);
    let test = async || {
        let made = campaign(&setting, |new| {
            new.test = true;
            new.audience = Audience { people: vec![named.clone()], ..Audience::default() };
        })
        .await;
        setting.expand(made, 100).await;
        made
    };
    assert_eq!(outcomes(&setting, test().await).await, [None]);
    let first = expanded(&setting, DedupeMode::PerDevice).await;
    assert_eq!(outcomes(&setting, first).await, [None], "a test told nobody");
    assert_eq!(deliver(&setting, first).await, 1);
    assert_eq!(outcomes(&setting, test().await).await, [None], "a test is sent whatever was told");

    setting.cancel(first).await;
    let correction = campaign(&setting, |new| new.audience = of_receipt(first)).await;
    setting.expand(correction, 100).await;
    assert_eq!(outcomes(&setting, correction).await, [None], "a correction goes to whoever was told");
    setting.run(&format!("update campaigns set attendance_day = null where id = '{first}'")).await;
    let next = expanded(&setting, DedupeMode::PerDevice).await;
    assert_eq!(outcomes(&setting, next).await, [None], "what was corrected is another matter");
}

/// Expands both in one chunk each, the second while the first has made its rows and not committed them.
async fn expand_at_once(setting: &Setting, campaigns: [CampaignId; 2]) -> ([Chunk; 2], Waited) {
    install_gate(setting).await;
    let (one, other) = (setting.actor(FIRST), setting.actor(SECOND));
    let [first, second] = campaigns;
    let (first, second) = (setting.expansion(first).await, setting.expansion(second).await);
    let now = setting.now().await;
    let (made_first, made_second, waited) = side_by_side(
        setting,
        Point::BeforeItsCommit,
        Box::pin(one.expand(&first, 100, now)),
        Box::pin(other.expand(&second, 100, now)),
        async |_| (),
    )
    .await;
    ([made_first.unwrap(), made_second.unwrap()], waited)
}

#[tokio::test]
async fn two_attendance_messages_that_are_expanded_at_once_tell_a_guardian_once() {
    let setting = Setting::new().await;
    let ana = guardian(&setting, 1).await;
    setting.student(&[ana]).await;
    let (first, second) = (campaign(&setting, |_| ()).await, campaign(&setting, |_| ()).await);
    let (made, waited) = expand_at_once(&setting, [first, second]).await;
    assert!(made.iter().all(|made| matches!(made, Chunk::Complete { jobs: 1, .. })), "{made:?}");
    assert_eq!(outcomes(&setting, first).await, [None]);
    assert_eq!(outcomes(&setting, second).await, [TOLD]);
    assert_eq!(waited, Waited { first: true, second: true });
}

#[tokio::test]
async fn another_message_waits_for_no_attendance_message() {
    let setting = Setting::new().await;
    let ana = guardian(&setting, 1).await;
    setting.student(&[ana]).await;
    let attendance = campaign(&setting, |_| ()).await;
    let general = campaign(&setting, |new| new.message_type = "general".to_owned()).await;
    let (_, waited) = expand_at_once(&setting, [attendance, general]).await;
    assert_eq!(waited, Waited { first: true, second: false });
}

#[tokio::test]
async fn whoever_was_told_is_counted_by_a_forecast_as_at_expansion() {
    let setting = Setting::new().await;
    crate::corrections::families(&setting).await;
    for mode in DedupeMode::ALL {
        let first = campaign(&setting, |new| new.mode = mode).await;
        setting.expand(first, 100).await;
        let tried = attempts(&setting.claim(&setting.release(first, Channel::Sms).await).await);
        let (reached, not_reached) = tried.split_at(tried.len() / 2);
        setting.report(reached, delivered()).await;
        let refused =
            ReportKind::Status { outcome: Outcome::Undelivered, provider_code: None, provider_id: None };
        setting.report(not_reached, refused).await;
        for other in DedupeMode::ALL {
            let mut second = crate::fixture::new_campaign(setting.now().await);
            of_attendance(&mut second);
            (second.mode, second.channels) = (other, vec![Channel::Sms, Channel::Email]);
            let counted = counted(&setting, &second).await;
            assert_eq!(counted, made(&setting, &second).await, "{mode:?} {other:?}");
            let told = format!("Some({})", Outcome::AlreadyTold.number());
            assert!(counted.keys().any(|group| group.ends_with(&told)), "{counted:?}");
            assert!(counted.keys().any(|group| group.ends_with("None")), "{counted:?}");
            let made = "update campaigns set attendance_day = null where id = $1";
            setting.owner.execute(made, &[&second.id.0]).await.unwrap();
        }
        forget_the_day(&setting).await;
    }
}
