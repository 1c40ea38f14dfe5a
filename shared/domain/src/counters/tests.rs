//! Each number of the pages on a small campaign, and what holds of all of them.

use chrono::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::AttemptResult::{Error, NotDispatched, Open, Successful};

const SHARED: &str = "+15551230142";

fn no_device(person: i64) -> Row<'static> {
    Row { person, device: None }
}

/// A device whose job ended as `outcome` after `attempts`, the first of them a second after the start.
fn ended<'a>(
    person: i64,
    channel: Channel,
    address: &'a str,
    outcome: Outcome,
    attempts: &[AttemptResult],
) -> Row<'a> {
    let device = Device {
        channel,
        address,
        student: None,
        duplicate: outcome == Outcome::Duplicate,
        repeats: false,
        ended: true,
        outcome: Some(outcome),
        attempts: attempts.to_vec(),
        first_attempt: (!attempts.is_empty()).then_some(Duration::from_secs(1)),
    };
    Row { person, device: Some(device) }
}

fn changed<'a>(mut row: Row<'a>, change: impl FnOnce(&mut Device<'a>)) -> Row<'a> {
    row.device.iter_mut().for_each(|device| {
        device.ended = false;
        device.outcome = None;
    });
    if let Some(device) = &mut row.device {
        change(device);
    }
    row
}

fn of(recount: &Recount, channel: Channel) -> &DeliveryInformation {
    recount.channels.iter().find(|counted| counted.channel == channel).unwrap()
}

#[test]
fn people_are_counted_once_however_many_rows_they_have() {
    let rows = [
        no_device(1),
        no_device(1),
        ended(2, Channel::Voice, SHARED, Outcome::LivePerson, &[Successful]),
        ended(2, Channel::Sms, SHARED, Outcome::Delivered, &[Successful]),
        ended(3, Channel::Voice, SHARED, Outcome::Duplicate, &[]),
        no_device(4),
        ended(4, Channel::Email, "a@example.org", Outcome::Delivered, &[Successful]),
    ];
    let totals = recount(rows).totals;
    assert_eq!((totals.recipients, totals.no_device), (4, 1), "49, 50, 65");
}

#[test]
fn shared_devices_count_once_and_their_people_each() {
    let rows = [
        ended(1, Channel::Voice, SHARED, Outcome::AnsweringMachine, &[Successful]),
        ended(2, Channel::Voice, SHARED, Outcome::Duplicate, &[]),
        ended(3, Channel::Voice, "+15551230199", Outcome::Busy, &[Successful; 3]),
    ];
    let recount = recount(rows);
    assert_eq!(recount.totals.voice, 2, "68");
    assert_eq!(recount.totals.contacted_by_phone, 2, "72");
    assert_eq!(recount.totals.not_contacted_by_phone, 1, "73: busy is a success and no contact");
    let voice = of(&recount, Channel::Voice);
    assert_eq!((voice.devices, voice.duplicates), (2, 1), "63");
    assert_eq!((voice.attempts, voice.successful), (4, 4), "51");
}

#[test]
fn only_calls_and_texts_contact_by_phone() {
    let cases = [
        (Channel::Voice, Outcome::LivePerson, 1),
        (Channel::Voice, Outcome::PreconnectDone, 1),
        (Channel::Voice, Outcome::Confirmed, 1),
        (Channel::Voice, Outcome::NoAnswer, 0),
        (Channel::Voice, Outcome::Canceled, 0),
        (Channel::Sms, Outcome::Sent, 1),
        (Channel::Sms, Outcome::Undelivered, 0),
        (Channel::Sms, Outcome::OptOut, 0),
        (Channel::Email, Outcome::Delivered, 0),
        (Channel::Inbox, Outcome::InboxDelivered, 0),
    ];
    for (channel, outcome, contacted) in cases {
        let totals = recount([ended(1, channel, "x", outcome, &[])]).totals;
        assert_eq!(totals.contacted_by_phone, contacted, "{channel} {outcome}");
        assert_eq!(totals.not_contacted_by_phone, 1 - contacted, "{channel} {outcome}");
    }
}

#[test]
fn attempted_leaves_out_the_canceled_and_texts_also_the_opted_out() {
    // Decision D3: whether the address counts in the total, and among the attempted.
    let cases = [
        (Channel::Voice, Outcome::Busy, 1, 1),
        (Channel::Voice, Outcome::Failed, 1, 1),
        (Channel::Voice, Outcome::Canceled, 1, 0),
        (Channel::Voice, Outcome::OptOut, 1, 1),
        (Channel::Sms, Outcome::Canceled, 1, 0),
        (Channel::Sms, Outcome::OptOut, 1, 0),
        (Channel::Sms, Outcome::Suppressed, 1, 1),
        (Channel::Email, Outcome::Canceled, 1, 0),
        (Channel::Email, Outcome::HardBounce, 1, 1),
        (Channel::Inbox, Outcome::Canceled, 0, 0),
        (Channel::Inbox, Outcome::InboxDelivered, 1, 1),
        // Total Inbox is of those delivered to (66).
        (Channel::Inbox, Outcome::Failed, 0, 1),
    ];
    for (channel, outcome, total, attempted) in cases {
        let totals = recount([ended(1, channel, "x", outcome, &[])]).totals;
        let counted = match channel {
            Channel::Voice => (totals.voice, totals.voice_attempted),
            Channel::Sms => (totals.text, totals.text_attempted),
            Channel::Email => (totals.emails, totals.emails_attempted),
            Channel::Inbox => (totals.inbox, totals.inbox_attempted),
        };
        assert_eq!(counted, (total, attempted), "{channel} {outcome}");
    }
}

/// The row of a message on behalf of `student`.
fn about<'a>(row: Row<'a>, student: i64, repeats: bool) -> Row<'a> {
    let device = row.device.map(|device| Device { student: Some(student), repeats, ..device });
    Row { device, ..row }
}

#[test]
fn an_address_with_a_message_for_each_student_counts_once_as_the_one_that_stands_for_it() {
    use Outcome::{Canceled, Failed, InboxDelivered, Sent};
    let cases = [
        (Channel::Sms, Sent, Canceled, [1, 1]),
        (Channel::Sms, Canceled, Sent, [1, 0]),
        (Channel::Inbox, InboxDelivered, Failed, [1, 1]),
        (Channel::Inbox, Failed, InboxDelivered, [0, 1]),
    ];
    for (channel, stands, repeats, counted) in cases {
        let rows = [
            about(ended(1, channel, SHARED, repeats, &[]), 2, true),
            about(ended(1, channel, SHARED, stands, &[]), 1, false),
        ];
        let recount = recount(rows);
        let totals = match channel {
            Channel::Inbox => [recount.totals.inbox, recount.totals.inbox_attempted],
            _ => [recount.totals.text, recount.totals.text_attempted],
        };
        assert_eq!(totals, counted, "{channel}: {stands}, and {repeats}");
        assert_eq!(of(&recount, channel).devices, 2);
    }
}

#[test]
fn a_person_is_contacted_by_each_of_its_messages_and_by_those_that_stand_for_its_duplicates() {
    let sms = |person, outcome| ended(person, Channel::Sms, SHARED, outcome, &[]);
    let rows = [
        about(sms(1, Outcome::Failed), 1, false),
        about(sms(2, Outcome::Delivered), 2, true),
        // Of the message that failed, and of the one that came through.
        about(sms(3, Outcome::Duplicate), 1, false),
        about(sms(4, Outcome::Duplicate), 2, true),
    ];
    let totals = recount(rows).totals;
    assert_eq!((totals.contacted_by_phone, totals.not_contacted_by_phone), (2, 2), "2 and 4");
    assert_eq!((totals.text, totals.text_attempted), (1, 1));
}

#[test]
fn attempts_count_by_their_results_and_the_untried_by_their_outcome() {
    use Outcome::{Canceled, Expired, Failed, NoAnswer, NoCallStatus, OptOut};
    let cases: [(Outcome, &[AttemptResult], [u64; 5]); 9] = [
        // attempts, successful, error, canceled, not dispatched
        (Failed, &[Successful, Successful, Error], [3, 2, 1, 0, 0]),
        (NoAnswer, &[NotDispatched, Successful], [1, 1, 0, 0, 0]),
        (NoCallStatus, &[NotDispatched], [0, 0, 0, 0, 1]),
        (NoCallStatus, &[NotDispatched, NotDispatched], [0, 0, 0, 0, 1]),
        (Canceled, &[AttemptResult::Canceled], [1, 0, 0, 1, 0]),
        (Canceled, &[], [0, 0, 0, 1, 0]),
        (Expired, &[NotDispatched], [0, 0, 1, 0, 0]),
        (OptOut, &[], [0, 0, 0, 0, 1]),
        (NoAnswer, &[Successful, AttemptResult::Canceled], [2, 1, 0, 1, 0]),
    ];
    for (outcome, attempts, expected) in cases {
        let recount = recount([ended(1, Channel::Voice, "x", outcome, attempts)]);
        let voice = of(&recount, Channel::Voice);
        let counted = [voice.attempts, voice.successful, voice.error, voice.canceled, voice.not_dispatched];
        assert_eq!(counted, expected, "{outcome} after {attempts:?}");
        assert_eq!(voice.open, 0);
    }
}

#[test]
fn a_running_campaign_shows_what_is_open() {
    let rows = [
        changed(ended(1, Channel::Voice, "1", Outcome::Busy, &[]), |_| {}),
        changed(ended(2, Channel::Voice, "2", Outcome::Busy, &[Open]), |_| {}),
        changed(ended(3, Channel::Voice, "3", Outcome::Busy, &[Successful]), |device| {
            device.outcome = Some(Outcome::Busy);
        }),
        ended(4, Channel::Voice, "4", Outcome::LivePerson, &[Successful]),
    ];
    let recount = recount(rows);
    let voice = of(&recount, Channel::Voice);
    assert_eq!((voice.devices, voice.open, voice.attempts, voice.successful), (4, 3, 3, 2));
    assert_eq!(voice.first_attempt, None, "one is not tried yet");
    assert_eq!((recount.totals.voice, recount.totals.voice_attempted), (4, 3));
}

#[test]
fn the_first_attempt_duration_is_that_of_the_last_device_to_be_tried() {
    let tried_after = |person, address, seconds| {
        let mut row = ended(person, Channel::Sms, address, Outcome::Sent, &[Successful]);
        if let Some(device) = &mut row.device {
            device.first_attempt = Some(Duration::from_secs(seconds));
        }
        row
    };
    let opted_out = ended(3, Channel::Sms, "3", Outcome::OptOut, &[]);
    let recounted = recount([tried_after(1, "1", 9), tried_after(2, "2", 4), opted_out.clone()]);
    assert_eq!(of(&recounted, Channel::Sms).first_attempt, Some(Duration::from_secs(9)));
    assert_eq!(of(&recount([opted_out]), Channel::Sms).first_attempt, None);
}

#[test]
fn email_progress_is_a_percentage_of_the_addresses() {
    let waiting =
        |person, address| changed(ended(person, Channel::Email, address, Outcome::Sent, &[]), |_| {});
    let sent = |person, address| {
        changed(ended(person, Channel::Email, address, Outcome::Sent, &[Successful]), |device| {
            device.outcome = Some(Outcome::EmailSent);
        })
    };
    let bounced = ended(3, Channel::Email, "c", Outcome::HardBounce, &[Error]);
    let cases = [
        (vec![], None),
        (vec![waiting(1, "a")], Some(0)),
        (vec![waiting(1, "a"), sent(2, "b"), bounced.clone()], Some(66)),
        (vec![sent(2, "b"), bounced], Some(100)),
    ];
    for (rows, percent) in cases {
        assert_eq!(recount(rows.clone()).totals.email_progress_percent, percent, "{rows:?}");
    }
}

#[test]
fn a_campaign_lasts_from_its_start_to_its_end() {
    let start = Utc.timestamp_opt(1_700_000_000, 0).unwrap();
    let end = Utc.timestamp_opt(1_700_000_090, 0).unwrap();
    assert_eq!(total_duration(start, end), Duration::from_secs(90));
    assert_eq!(total_duration(end, start), Duration::ZERO, "a clock that went back is no panic");
}

prop_compose! {
    fn some_row()(
        person in 0i64..6,
        channel in prop::option::weighted(0.9, prop::sample::select(&Channel::ALL[..])),
        address in prop::sample::select(&["a", "b", "c"][..]),
        outcome in prop::sample::select(Outcome::all().collect::<Vec<_>>()),
        attempts in prop::collection::vec(prop::sample::select(&AttemptResult::ALL[..]), 0..3),
        student in prop::option::of(0i64..2),
        (duplicate, repeats, ended) in any::<(bool, bool, bool)>(),
    ) -> Row<'static> {
        let device = channel.map(|channel| Device {
            channel,
            address,
            student,
            duplicate,
            repeats,
            ended: ended || duplicate,
            outcome: Some(if duplicate { Outcome::Duplicate } else { outcome }),
            first_attempt: (!attempts.is_empty()).then_some(Duration::from_secs(1)),
            attempts: if duplicate { Vec::new() } else { attempts },
        });
        Row { person, device }
    }
}

proptest! {
    #[test]
    fn the_numbers_agree_with_each_other(rows in prop::collection::vec(some_row(), 0..40)) {
        let Recount { totals, channels } = recount(rows.clone());
        prop_assert_eq!(totals.contacted_by_phone + totals.not_contacted_by_phone, totals.recipients);
        prop_assert!(totals.no_device <= totals.recipients);
        prop_assert!(totals.voice_attempted <= totals.voice);
        prop_assert!(totals.text_attempted <= totals.text);
        prop_assert!(totals.emails_attempted <= totals.emails);
        let with_device = rows.iter().filter(|row| row.device.is_some()).count() as u64;
        prop_assert_eq!(channels.iter().map(|c| c.devices + c.duplicates).sum::<u64>(), with_device);
        for counted in &channels {
            // Each attempt that counts, and each device that ended without one, is in one place.
            let settled = counted.successful + counted.error + counted.canceled + counted.not_dispatched;
            prop_assert!(settled <= counted.attempts + counted.devices - counted.open);
            prop_assert!(counted.open <= counted.devices);
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter(rows in prop::collection::vec(some_row(), 0..20)) {
        let backwards = recount(rows.iter().rev().cloned());
        prop_assert_eq!(recount(rows), backwards);
    }
}
