//! Audiences of groups, classes and school years: nobody twice, and counted as they are expanded.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::{CampaignId, Channel};
use tocsin_store::tenant::audience::{Size, SizeQuery};
use tocsin_store::tenant::forecast::AudienceQuery;

use crate::fixture::Setting;

const TYPES: [&str; 3] = ["general", "attendance", "emergency"];

/// 40 families at three schools, in two grades and six classes of two years, with staff who teach them. Of everything
/// some is inactive, declined or missing.
async fn district(seed: u64) -> Setting {
    let setting = Setting::new().await;
    let mut random = StdRng::seed_from_u64(seed);
    let (mut guardians, mut staff) = (Vec::new(), Vec::new());
    for number in 0..30 {
        let (phone, mail) = (format!("+1555000{:04}", number / 2), format!("g{number}@example.org"));
        let devices = [(Channel::Sms, phone.as_str()), (Channel::Voice, &phone), (Channel::Email, &mail)];
        guardians.push(setting.person(Role::Guardian, &devices[..random.random_range(0..=3)]).await);
    }
    for number in 0..8 {
        staff.push(setting.person(Role::Staff, &[(Channel::Email, &format!("t{number}@example.org"))]).await);
    }
    let mut students = Vec::new();
    for _ in 0..40 {
        let mut of = vec![guardians[random.random_range(0..30)], guardians[random.random_range(0..30)]];
        of.dedup();
        students.push(setting.student(&of).await);
    }
    let some = |random: &mut StdRng, one_in: u32| random.random_range(0..one_in) == 0;
    for student in &students {
        let (school, grade) = (random.random_range(1..=3), ["03", "04"][random.random_range(0..2)]);
        let (active, second) = (!some(&mut random, 6), some(&mut random, 4));
        setting
            .run(&format!(
                "update students set school_source_id = 'school-{school}', grade = '{grade}', active = {active}
                 where person_id = {student};
                 insert into students (district_id, person_id, school_source_id, grade, active)
                 select '{}', {student}, 'school-9', '{grade}', true where {second}",
                setting.district
            ))
            .await;
    }
    for class in 0..6 {
        let (year, school) = (2026 + class % 2, class % 3 + 1);
        setting
            .run(&format!(
                "insert into classes (district_id, source_id, title, school_source_id, session_source_ids, school_year,
                   active) values ('{}', 'class-{class}', 'Class', 'school-{school}', '{{}}', {year}, {})",
                setting.district,
                class != 5
            ))
            .await;
        for (people, role) in [(&students, 2), (&staff, 3)] {
            for person in people.choose_multiple(&mut random, 8) {
                let active = !some(&mut random, 5);
                setting
                    .run(&format!(
                        "insert into class_members (district_id, source_id, class_source_id, person_id, role, active)
                         values ('{}', gen_random_uuid()::text, 'class-{class}', {person}, {role}, {active})",
                        setting.district
                    ))
                    .await;
            }
        }
    }
    setting
        .run(
            "update people set language = case id % 3 when 0 then 'es' when 1 then 'en' end, active = id % 9 <> 0;
             update devices set declined = case id % 5 when 0 then '{general}' when 1 then '{general,attendance}'::text[]
               else '{}' end",
        )
        .await;
    setting
}

/// A group of whatever narrows it.
fn group(random: &mut StdRng, people: &[String]) -> Audience {
    let mut list = |names: &[&str]| -> Vec<String> {
        match random.random_range(0..3) {
            0 => names.choose_multiple(random, 2).map(|name| (*name).to_owned()).collect(),
            _ => Vec::new(),
        }
    };
    let schools = list(&["school-1", "school-2", "school-3", "school-9", "elsewhere"]);
    let grades = list(&["03", "04", "05"]);
    let classes = list(&["class-0", "class-1", "class-2", "class-3", "class-5", "no-class"]);
    let school_years = match random.random_range(0..4) {
        0 => vec![2026 + random.random_range(0..3)],
        _ => Vec::new(),
    };
    let mut some_of = |one_in: u32, count: usize| match random.random_range(0..one_in) {
        0 => people.choose_multiple(random, count).cloned().chain(["nobody".to_owned()]).collect(),
        _ => Vec::new(),
    };
    // Half of the people are students.
    let (students, listed) = (some_of(3, 12), some_of(4, 20));
    let mut roles: Vec<Role> = Role::ALL.into_iter().filter(|_| random.random_range(0..2) == 0).collect();
    if roles.is_empty() || !students.is_empty() && roles == [Role::Staff] {
        roles.push(Role::Guardian);
    }
    let language = [None, None, Some("es"), Some("vi")].choose(random).copied().flatten();
    let narrowed = [&schools, &grades, &classes, &students, &listed].iter().any(|list| !list.is_empty());
    Audience {
        all: !narrowed && school_years.is_empty(),
        schools,
        grades,
        classes,
        school_years,
        students,
        roles,
        people: listed,
        language: language.map(str::to_owned),
        include_inactive: random.random_range(0..4) == 0,
        ..Audience::default()
    }
}

fn audience(random: &mut StdRng, people: &[String]) -> Audience {
    let audience = match random.random_range(0..3) {
        0 => group(random, people),
        groups => {
            let any_of = (0..=groups).map(|_| group(random, people)).collect();
            Audience { any_of, ..Audience::default() }
        }
    };
    assert_eq!(audience.validate(), Ok(()), "{audience:?}");
    audience
}

async fn made(setting: &Setting, campaign: CampaignId) -> Size {
    let people = "select count(distinct person_id), count(distinct person_id) filter (where no_device)
        from recipients where campaign_id = $1";
    let people = setting.owner.query_one(people, &[&campaign.0]).await.unwrap();
    let jobs = "select channel, count(*) from jobs where campaign_id = $1 group by 1";
    let jobs = setting.owner.query(jobs, &[&campaign.0]).await.unwrap();
    let mut devices: BTreeMap<Channel, u64> = Channel::ALL.into_iter().map(|channel| (channel, 0)).collect();
    for row in jobs {
        let count: i64 = row.get(1);
        devices.insert(Channel::from_number(row.get(0)).unwrap(), count.unsigned_abs());
    }
    let (recipients, no_device): (i64, i64) = (people.get(0), people.get(1));
    Size { recipients: recipients.unsigned_abs(), no_device: no_device.unsigned_abs(), devices }
}

#[tokio::test]
async fn whatever_the_audience_it_is_counted_as_it_is_expanded_and_nobody_is_in_it_twice() {
    let mut sizes = Vec::new();
    for seed in 0..2 {
        let setting = district(seed).await;
        let known = setting.owner.query("select source_id from people order by id", &[]).await.unwrap();
        let people: Vec<String> = known.iter().map(|row| row.get(0)).collect();
        let mut random = StdRng::seed_from_u64(seed);
        for nth in 0..40 {
            let audience = audience(&mut random, &people);
            let mode = DedupeMode::ALL[nth % 2];
            let message_type = TYPES[nth % 3];
            let context = format!("seed {seed}, {nth}: {mode:?} {message_type} {audience:?}");
            let channels = Channel::ALL.to_vec();
            let query = SizeQuery { audience: &audience, channels: &channels, mode, message_type };
            let counted = setting.tenant().audience_size(&query).await.unwrap();
            let foreseen = AudienceQuery {
                audience: &audience,
                channels: &channels,
                mode,
                consent_class: 2,
                message_type,
                attendance_day: None,
                now: setting.now().await,
            };
            let foreseen = setting.tenant().count_audience(&foreseen).await.unwrap();
            assert_eq!(
                (foreseen.recipients, foreseen.no_device),
                (counted.recipients, counted.no_device),
                "{context}"
            );
            let campaign = setting
                .campaign(|new| {
                    (new.audience, new.mode, new.channels) = (audience.clone(), mode, channels.clone());
                    new.message_type = message_type.to_owned();
                })
                .await;
            setting.expand(campaign, [1, 7, 1000][nth % 3]).await;
            assert_eq!(counted, made(&setting, campaign).await, "{context}");
            let twice = format!(
                "select count(*) from (
                   select from recipients where campaign_id = '{campaign}' group by person_id, student_id
                   having count(*) > 1
                   union all
                   select from destinations where campaign_id = '{campaign}' and not duplicate
                   group by channel, address, student_id having count(*) > 1) t"
            );
            assert_eq!(setting.number(&twice).await, 0, "{context}");
            sizes.push(counted.recipients);
        }
    }
    sizes.sort_unstable();
    sizes.dedup();
    assert!(sizes.len() > 15, "the cases mean something: {sizes:?}");
}

/// Who hears of whom: by person, the students on whose behalf.
async fn heard(setting: &Setting, audience: Audience, mode: DedupeMode) -> Vec<(i64, Vec<i64>)> {
    assert_eq!(audience.validate(), Ok(()));
    let campaign = setting.campaign(|new| (new.audience, new.mode) = (audience, mode)).await;
    setting.expand(campaign, 1).await;
    let rows =
        "select person_id, coalesce(student_ids, '{}') from recipients where campaign_id = $1 order by id";
    let rows = setting.owner.query(rows, &[&campaign.0]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_guardian_hears_of_the_students_who_are_listed_and_of_no_other() {
    let setting = Setting::new().await;
    let phone = |number| format!("+1555000000{number}");
    let guardian =
        async |number: u32| setting.person(Role::Guardian, &[(Channel::Sms, &phone(number))]).await;
    let (ann, ben, other) = (guardian(1).await, guardian(2).await, guardian(3).await);
    let teacher = setting.person(Role::Staff, &[(Channel::Sms, &phone(4))]).await;
    let (bo, cy) = (setting.student(&[ann, ben]).await, setting.student(&[ann]).await);
    let di = setting.student(&[other]).await;
    let source = async |person: i64| -> String {
        let row = setting.owner.query_one("select source_id from people where id = $1", &[&person]).await;
        row.unwrap().get(0)
    };
    let of = async |students: &[i64]| Audience {
        students: futures::future::join_all(students.iter().map(|student| source(*student))).await,
        ..Audience::default()
    };
    for mode in DedupeMode::ALL {
        assert_eq!(
            heard(&setting, of(&[bo]).await, mode).await,
            [(ann, vec![bo]), (ben, vec![bo])],
            "{mode:?}"
        );
        let one = Audience { people: vec![source(ann).await], ..of(&[bo, di]).await };
        assert_eq!(heard(&setting, one, mode).await, [(ann, vec![bo])], "{mode:?}");
        // Nobody else of their school, whatever their role.
        let all = Audience { roles: Role::ALL.to_vec(), ..of(&[di]).await };
        assert_eq!(heard(&setting, all, mode).await, [(other, vec![di]), (di, vec![di])], "{mode:?}");
    }
    let both = heard(&setting, of(&[bo, cy]).await, DedupeMode::PerDevice).await;
    assert_eq!(both, [(ann, vec![bo, cy]), (ben, vec![bo])]);
    let staff =
        Audience { people: vec![source(teacher).await], roles: vec![Role::Staff], ..Audience::default() };
    let union = Audience { any_of: vec![of(&[cy]).await, staff], ..Audience::default() };
    assert_eq!(heard(&setting, union, DedupeMode::PerDevice).await, [(ann, vec![cy]), (teacher, vec![])]);
}

#[tokio::test]
async fn what_a_recipient_is_about_is_kept_in_both_modes() {
    let setting = Setting::new().await;
    let ann = setting.person(Role::Guardian, &[(Channel::Sms, "+15550000001")]).await;
    let (bo, cy) = (setting.student(&[ann]).await, setting.student(&[ann]).await);
    for (mode, rows) in [(DedupeMode::PerDevice, 1), (DedupeMode::PerDeviceAndStudent, 2)] {
        let campaign = setting
            .campaign(|new| {
                new.mode = mode;
                new.audience = Audience { all: true, roles: Role::ALL.to_vec(), ..Audience::default() };
            })
            .await;
        setting.expand(campaign, 1).await;
        // Each student is a recipient as well, on their own behalf.
        for (person, concerned) in [(ann, rows), (bo, 2), (cy, 2)] {
            let count = format!(
                "select count(*) from recipient_people where campaign_id = '{campaign}' and person_id = {person}"
            );
            assert_eq!(setting.number(&count).await, concerned, "{mode:?} {person}");
        }
        let first = format!(
            "select count(*) from jobs j join recipients r on r.campaign_id = j.campaign_id and r.id = j.recipient_id
             where j.campaign_id = '{campaign}' and j.id < r.first_job"
        );
        assert_eq!(setting.number(&first).await, 0);
    }
}
